"""The vendors' APIs as local servers, for trying without a key and for tests.

::

    serve         the command: words → a running server
    process       a server as a child process, and its controls as methods
    server        HTTP/1.1 over asyncio, fast enough never to be what is measured
    odd_rows      rows that a vendor should not send, for any of the APIs
    state         clock, switches, faults, rate limit, counters of one server
    control       what ``/_sandbox/`` answers
    paragon_world what happened: a seeded world of executions as a function of the clock
    paragon_api   what Paragon's API says of it; sailpoint_api what SailPoint's does
    paragon_refusals  errors of Paragon's API; misleading_lists  its lists that show less than there is
    plain_api     what such APIs have in common; apis all of them
"""
