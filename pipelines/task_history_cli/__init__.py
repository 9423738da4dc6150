"""The ``task-history`` command.

``cli`` parses the command line and calls one module of ``commands``. The packages, lowest first; each imports only
those above it in this list (``make check``)::

    sandbox     the vendors' APIs as local servers
    console     arguments, ranges of time, what is printed and how
    runtime     where the warehouse is, how it is read, how a run is started and watched
    report      the HTML report: data, charts, page
    why         what is known of one execution, and what follows from it
    explore     the views as a marimo app and as a dlt dataset
    fleet       all configured accounts at once, on one machine or under Dagster
    commands    one module per command
"""
