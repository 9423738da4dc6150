"""The warehouse's tables, the queries and statements on them, and the rules for what they hold: SQL, without dlt::

common_tables   the tables that every dataset has beside the vendor's
queries         open executions, coverage, counts and ids, runs
former_tables   columns and tables that an earlier version did not create, read as empty
dataset         base of all queries: names of tables, selection of executions
backlog         values of the backlog: open executions, missing details, instants of the next try
left_days       on which days something may be left to read, from the notes of runs and packages
recent_queries  executions that began lately; recent_executions answers many questions by one of them
query_cache     answers that are kept until a commit changes their tables
day_conditions  conditions on days by which BigQuery reads few of them
bigquery_billed_bytes the minimum bytes that BigQuery bills for a run
backlog_queries details and payloads that are not loaded, and those that could not be read
coverage        the loaded windows, with their number of rows
loaded_days     which days are loaded, over all lanes and parts: what status says of them
verified_days   when a window or a day counts as verified
status_history  the earlier statuses of an execution
statistics_buckets the stored buckets of the vendor's statistics
averages        averages over stored executions, for plans and progress
retry_schedule  when something that could not be read is tried again
column_rules    exclude_columns and hash_columns; old_values what was stored before such a rule was set
keep_days       since when rows are kept (keep_days_…), and which are older
forgotten_people the executions of forgotten people; erasure the statements that erase a person's rows
user_map        customer, plan and region of users, of a file; user_map_query of a table or query
duckdb_file_reader read-only connections to a DuckDB file
copied_tables   creates the tables of a DuckDB dataset as copies of another one's
table_names     qualified names of tables, and which part of a table a query reads
sql_text        names and texts quoted for SQL
"""
