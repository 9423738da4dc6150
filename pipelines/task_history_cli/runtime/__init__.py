"""What a command needs around its work::

target          which warehouse; duckdb_path its file, target_dlt where dlt alone knows it
reader          a warehouse that is only read; reader_dlt through dlt
command_run     starts a run for a command: its lock, signals and dlt pipeline
progress        shows a run while it works; run_summary prints its result
views           the analysts' views, kept in the warehouse
interactive_client  a client for a few questions to a vendor, while a person waits
interruption    what Ctrl-C and SIGTERM do
notices         messages to people; telemetry metrics and spans
settings_files  writes settings into .dlt
dlt_defaults    how dlt is run here; forbidden_dlt_settings what a project folder may not set
permissions     files of earlier versions that others can read
"""
