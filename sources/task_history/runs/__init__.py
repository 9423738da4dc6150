"""What a command does: as phases over a context, in batches.

In the order in which a run meets them::

    context             what a run has at hand: settings, client, warehouse, partitions
    session             the loop of one run: chunks of its work → batches that are committed
    partitions          the partitions of a listing, each read for itself, side by side
    phases              what several commands do alike: list, settle, learn integrations, load details
    statistics          what the vendor counts itself
    sync, backfill, audit, replay   the work of each command
    plan, estimate      what a backfill would cost
    replay_candidates   which executions may be run again
    summary             what a run did, as it is watched and as its row keeps it
"""
