"""One module per command: ``add_arguments`` declares its arguments, ``run`` returns its exit code."""
