"""The analysts' views: one ``.sql`` file per question, over all systems that are loaded.

files.py        a file: its question, its grain, a sentence for every column, its SQL
relations.py    the relations that the files read: rows of all systems, over the existing datasets
dialects.py     SQL with table names inserted, for DuckDB or BigQuery
bigquery.py     translation of the SQL to BigQuery
create.py       creates and refreshes the views
check.py        runs checks/*.sql, each a query for rows that violate it
dictionary.py   the data dictionary, as Markdown and as dbt sources
"""
