"""One module per command: ``add_arguments`` says which words it takes, ``run`` gives its exit code."""
