"""``task-history why``: facts of one execution (``facts``, ``live``) → answers (``present``, ``absent``) → ``text``.

``coverage`` says where its start lies in what is loaded, ``history`` in which states it was seen.
"""
