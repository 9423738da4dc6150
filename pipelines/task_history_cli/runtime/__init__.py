"""What a command needs around its work::

target          which warehouse; target_dlt where dlt alone knows it
reader          a warehouse that is only read; reader_dlt through dlt
run             the lock, the signals and the pipeline of a run
progress        what a run is doing; run_result what it did
views           the analysts' views, kept in the warehouse
probe           a few questions to a vendor, while a person waits
dlt_config      how dlt is run here; dlt_settings what a project folder may not set
permissions     files of earlier versions that others can read
"""
