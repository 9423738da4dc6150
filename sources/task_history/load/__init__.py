"""Rows → Arrow → dlt → the warehouse; the only package that imports dlt. In the order in which a batch meets them::

arrow_table       rows as one Arrow table, nothing lost
dlt_resources     a batch as Arrow tables and as dlt resources, with the cursor
table_hints       what dlt is told of each table: types, partition, clustering, descriptions
column_values     conversion of values to column types
load_package      load packages written without dlt's extract and normalize
pipeline          the dlt pipeline of a run: prepares tables, commits batches
loader_queries    its queries, and the answers that are kept where each is billed
stored_state      whether the warehouse's state is still that of the working folder
commits_per_day   spreads commits over the day where a warehouse takes only so many
shared_connection  one connection to the warehouse for all threads
duckdb_turn_lock  the lock by which processes that wait for a DuckDB file take turns
duckdb_file_server  one process has a DuckDB file open, and runs the statements of others
row_changes       statements that change and erase stored rows; rows_without_package reads and writes rows at once
destinations      one backend each for DuckDB, BigQuery and other databases
dlt_setting_errors  dlt's errors about settings as errors that name setting and place
errors            failures of the warehouse as errors; error_kinds tells what happened, error_advice what to do
dlt_internals     all of dlt that is not its public API; google_internals the same of Google's client
working_dir       what dlt keeps in the working folder of a pipeline
refused_packages  packages that the warehouse refused for good
dropped_by_hand   creates tables and columns again that were dropped by hand
schema_changes    notes fields, types and statuses that the vendor sends for the first time
descriptions      descriptions of tables and columns
vendor_fields     which column holds which undocumented field of the vendor's
migrated_columns  copies the values of renamed columns; migrated_texts writes texts as this version does
migrated_keys     extends keys that were too short, and has what was overwritten read again
memory            returns freed memory to the operating system
"""
