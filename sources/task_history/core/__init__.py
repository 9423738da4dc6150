"""Values and tools that every package uses; nothing here asks a vendor or a warehouse::

models          what modules hand to each other: windows, pages, requests, answers, tables
errors          errors, grouped by who must act; exit_codes what the command makes of them
intervals       rules about windows, pages and positions
json            values as JSON text; json_reading JSON as vendors send it as values
arrow           Arrow's types for dlt's, rows in columns
batch           what is committed together
concurrency     requests side by side, their answers in order
stop            how a run is asked to end
files           files whose names come from outside, and who may read them
dataset_names   which names a dataset may have
child_python    how a further Python process is started
log             events with fields; escapes how hostile text is shown
"""
