"""Rows → Arrow → dlt → the warehouse; the only package that imports dlt. In the order in which a batch meets them::

arrow             rows as one Arrow table, nothing lost
resources         a batch as dlt resources, with the cursor
load_package      a package that dlt only has to load
pipeline          the dlt pipeline of a run: made ready, committed to, asked
connection        one connection to the warehouse for all threads
destinations      what is particular to DuckDB, BigQuery and the others
errors            what the warehouse refused, as errors that say what to do
dlt_internals     all of dlt that is not its public API; google_internals the same of Google's client
memory            what is freed is returned to the machine
"""
