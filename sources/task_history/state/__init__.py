"""What runs on several machines share, in one Postgres that TASK_HISTORY_STATE names. In the order in which it is used::

postgres         the connection: its address, its bounded waits, its errors, the tables in a schema of their own

Without TASK_HISTORY_STATE a machine keeps its state in files: its budgets in ``client/rate_limit_file``, its locks in
``runs/lock``. The budgets in Postgres are ``client/rate_limit_postgres``.
"""
