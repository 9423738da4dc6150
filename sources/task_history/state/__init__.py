"""What runs share: on several machines in one Postgres, which TASK_HISTORY_STATE names, else in files::

postgres         the connection: its address, its bounded waits, its errors, the tables in a schema of their own
locks            named locks of a run, which end with its process: in Postgres, or in files of one machine

The budgets are in ``client/rate_limit_postgres``, and those of one machine in ``client/rate_limit_file``.
"""
