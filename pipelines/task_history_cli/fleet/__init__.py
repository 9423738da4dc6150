"""All configured accounts at once: which there are, their syncs side by side, and their Dagster definitions::

accounts             which are configured, and why one cannot run
file_of_accounts     their DuckDB file, served to their syncs
worker_processes     child processes for many items; fork_server and sync_imports what they are forked from
dagster_definitions  assets, schedules and partitions; dagster_checks, dagster_pools
definitions          a Dagster code location of the current folder
command_process      the command as a child process of Dagster
"""
