"""The analysts' views: one ``.sql`` file per question, over all systems that are loaded.

files.py        a file: its question, its grain, a sentence for every column, its SQL
relations.py    the relations that the files read: rows of all systems, over the existing datasets
calendars.py    SQL about an account's days, and the present in its zone
dialects.py     SQL with table names inserted, for DuckDB, BigQuery or Postgres
bigquery.py     translation of the SQL to BigQuery
postgres.py     translation of the SQL to Postgres; postgres_functions.py: the functions that it needs there
access.py       access to a warehouse, and its catalogue
account_registry.py  which dataset of a warehouse holds which account
create.py       creates and refreshes the views
check.py        runs checks/*.sql, each a query for rows that violate it
dictionary.py   the data dictionary, as Markdown and as dbt sources
"""
