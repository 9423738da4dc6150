"""Definitions of the warehouse's tables and the queries on them: SQL, without dlt::

tables          the tables that every dataset has beside the vendor's
queries         open executions, coverage, counts and ids, runs
former_tables   columns and tables that an earlier version did not create, read as empty
dataset         base of all queries: names of tables, selection of executions
backlog         values of the backlog: open executions, missing details, instants of the next try
backlog_queries details and payloads that are not loaded, and those that could not be read
coverage        the loaded windows, with their number of rows
status_history  the earlier statuses of an execution
rates           averages over stored executions, for plans and progress
duckdb_file     read-only connections to a DuckDB file
sql_text        names and texts quoted for SQL
"""
