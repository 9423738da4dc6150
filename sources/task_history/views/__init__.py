"""The analysts' views: one ``.sql`` file per question, over all systems that are loaded.

files.py        a file: its question, its grain, a sentence for every column, its SQL
relations.py    what the files read: each system's rows as it says in ``systems/``, over the datasets that exist
dialects.py     the one text with names put in, as DuckDB takes it
bigquery.py     … and carried to BigQuery
create.py       which views are to be re-created, and how
check.py        checks/*.sql: what must hold, each a query for the rows that break it
dictionary.py   every table, view and column as a page, and as dbt's sources
"""
