"""Values and tools that every package uses; nothing here asks a vendor or a warehouse::

models          data classes that all modules share: windows, pages, requests, answers, tables
columns         the columns of a table, one function for each of dlt's types
row_keys        keys of rows: the vendor's fields apart from columns of ours, values read back
errors          errors, grouped by who must act; exit_codes the exit codes of the command
intervals       rules about windows, pages and positions
json_reading    JSON as vendors send it → values; json_writing values → exact JSON text
cutting         how long texts are cut: JSON, prose, texts before they are searched
arrow_types     Arrow types by dlt type, rows in columns
batch           the rows, coverage and cursor of one commit; commit_limits how much it holds at most
thread_pools    daemon threads, and maps over threads
stop            the stop signal of a run
folders         the user's folders: home, dlt's data, shared and temporary files
file_lock       locks in files; lock_timeouts how long each lock is waited for
awaited_file    whether another process waits for a file that this one has open
files           safe reading and writing of files, private permissions
naming          names as dlt writes them; dataset_names rules for names of datasets
keyed_hash      keyed hashes that stand in place of values
cron            schedules as five cron fields
calendars       the zone and first weekday of an account's days and weeks
child_python    command line and environment of child Python processes
connector_version the version of this package
log             log events with fields; escapes makes text safe to print
"""
