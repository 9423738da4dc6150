"""Runs: the work of each command that loads rows, from its lock to its result.

In the order in which a run uses them::

    lanes               the kinds of runs that a dataset has, each with a pipeline of its own
    run_lock            one run at a time per pipeline
    shared_days         the days of a range that a process loads, where several share it
    runner              starts a run and commits its batches
    context             settings, client, warehouse, partitions and counters of one run
    shared_by_listings  what all listings of an account share in one run
    left_days_notes     the days that a sync asks of; at its end it notes those on which something is left to read
    run_loop            groups the chunks of the work into batches; ends at a stop or an error
    sync, backfill, audit, replay   the work of each command, as chunks of rows
    listing_partitions  reads the partitions of a listing concurrently
    listed_windows      what pages show of executions → chunks of rows and coverage
    rejected_rows       rows without a usable id, as rows of ``rejected_rows``
    column_changes      checks the settings of columns against what is stored
    delete_old_rows     deletes rows that the warehouse no longer keeps
    fresh_payloads      the payloads of steps that were just read
    common_phases       what several commands share: settle, learn integrations, load details
    statistics          loads the counts that the vendor publishes
    replay_candidates   selects the executions that may be run again
    audit_steps, audit_findings   comparison of stored steps with the API; what an audit found
    forget              the steps in which what is stored of a person is erased
    plan                what a backfill or a sync would request, before it runs: by estimate_formulas
    pace                how long the rest of a run takes
    run_counters, sync_runs_values, run_result   counters of a run, its row in ``sync_runs``, its result for the caller
"""
