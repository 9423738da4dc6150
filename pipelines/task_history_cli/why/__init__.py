"""``task-history why``: facts of one execution (``facts``, ``live``) → answers (``present``, ``absent``, with ``coverage``
and ``history``) → ``text``.
"""
