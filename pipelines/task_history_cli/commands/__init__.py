"""The commands of ``task-history``, one module each.

``add_arguments`` declares a command's arguments; ``run`` carries it out and returns its exit code.
"""
