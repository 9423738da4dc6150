"""What the tables are and what they are asked. SQL, and no dlt::

tables          the tables that every dataset has beside the vendor's
queries         what is open, what is covered, what was run
dataset         what every query needs: how tables are named, which executions are selected
backlog         what is still to be done: open executions, wanted details, and when what failed is tried again
backlog_queries details and payloads that are not loaded, and those that could not be read
coverage        which windows are loaded, with how many rows
status_history  in which states an execution was seen
rates           averages that plans and progress count with
duckdb_file     a DuckDB file that is only read
sql_text        names and texts quoted for SQL
"""
