"""``task-history report``: ``data`` asked of the views, drawn as ``charts``, put into one ``page``."""
