"""The vendors' APIs as local servers, for trying without a key and for tests::

serve             the command: parses its options and runs a server
process           a server as a child process, with its controls as methods
server            HTTP/1.1 over asyncio, fast enough not to limit what is measured
state             clock, switches, faults, rate limit and counters of one server
control           answers to ``/_sandbox/``, which read and change that state
apis              finds the vendors' APIs, each in the module ``<system>_api``; api_base is their base
paragon_api       Paragon's API; paragon_refusals its errors, paragon_payloads and paragon_replays its content
paragon_world     a seeded world of Paragon executions, as a function of the clock
sailpoint_api     SailPoint's API; twinit_api and b3os_api those of the others
misleading_lists  lists that show fewer rows than there are
odd_rows          rows that a vendor should not send
"""
