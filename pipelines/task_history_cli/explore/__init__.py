"""``task-history explore``: the marimo ``app`` over the views as a dlt ``dataset``, shown by ``server``."""
