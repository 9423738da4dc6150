"""One module per command of ``task-history``: ``add_arguments`` says which words it takes, ``run`` gives its exit code."""
