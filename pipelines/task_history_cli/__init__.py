"""The ``task-history`` command.

``cli`` parses the command line and calls one module of ``commands``. The packages, lowest first; each imports only
those above it in this list (``make check``)::

    sandbox     the vendors' APIs as local servers
    console     arguments, ranges of time, what is printed and how
    runtime     where the warehouse is, how it is read, how a run is started and watched
    why         what is known of one execution, and what follows from it
    report      the HTML report: data, charts, page
    explore     the views as a marimo app and as a dlt dataset
    commands    one module per command
"""
