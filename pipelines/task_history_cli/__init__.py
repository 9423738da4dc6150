"""The ``task-history`` command.

``cli`` reads the words and calls one module of ``commands``. The rooms, each importing only those after it::

    commands    one module per command
    explore     the views as a marimo app and as a dlt dataset
    report      the HTML report: data, charts, page
    why         what is known of one execution, and what follows from it
    runtime     where the warehouse is, how it is read, how a run is started and watched
    console     arguments, ranges of time, what is printed and how
    sandbox     the vendors' APIs as local servers
"""
