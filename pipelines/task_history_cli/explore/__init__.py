"""``task-history explore``: the marimo ``app`` over the views as a dlt ``dataset``, served to this machine by ``server``."""
