"""The analysts' views: one ``.sql`` file per question, over all systems that are loaded.

Each ``.sql`` file of this folder is a view, and each of ``checks`` a check; nothing else lists them. The header of
``daily_usage.sql`` and ``checks/ended_after_started.sql`` shows what a file states.

sql_file_reader.py  reads a file: its question, its grain, a sentence for every column, its SQL
relations.py    the relations that the files read: rows of all systems, over the existing datasets
branches.py     a relation as the union over datasets, with the columns that are named
calendars.py    SQL about an account's days, and the present in its zone
dialects.py     SQL with table names inserted, for DuckDB, BigQuery or Postgres
bigquery.py     translation of the SQL to BigQuery
postgres.py     translation of the SQL to Postgres; postgres_functions.py: the functions that it needs there
access.py       access to a warehouse, and its catalogue
account_registry.py  which dataset of a warehouse holds which account
user_map.py     the table of customers and regions beside the views
create.py       creates and refreshes the views
check_runner.py runs checks/*.sql, each a query for rows that violate it
semantic.py     semantic models and metrics of dbt
dictionary.py   the data dictionary, as Markdown and as dbt sources
"""
