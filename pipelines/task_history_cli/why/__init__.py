"""``task-history why``: explains why an execution is stored as it is, or why it is not stored.

In the order in which data meets them::

    facts     reads the facts about the execution from the warehouse
    live      asks the vendor for the execution, with ``--live``
    coverage  whether the execution's start lies in a window that is loaded
    history   the states in which the execution was seen, and the request that brought it
    present   the answer for an execution that is stored
    absent    the answer for one that is not
    text      the answer and the facts as lines
"""
