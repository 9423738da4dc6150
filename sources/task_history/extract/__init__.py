"""What the vendor is asked, and the evidence that its answers are complete. Takes a ``Sender``, knows no client.

In the order in which data meets them::

    window_piece_size   how many rows a piece has, as deep as the vendor lets a listing be read
    counted_window      single pages of a listing, and all pages of one closed window
    rows_without_id     rows of a listing without a usable id, and to which time they belong
    rows_outside        rows that stand in the answer for a window and began elsewhere
    evidence            what is evidence that all rows of a window were read
    repeated_readings   when a list whose rows swap positions was read often enough
    one_instant         all executions of one millisecond, whose order may change
    seen_order          what pages showed of a listing's order
    seen_positions      where one reading saw each row, and where a further page begins among them
    inserted_rows       how many rows were inserted before those that were read
    overlapping_pages   one reading of a list without a count, each page overlapping the one before
    columnar            pages of a window in columns
    read_ahead          the next windows' pages, requested while one window is processed
    listed_rows         the rows of a page, in columns or one by one, with their checks
    listing             what reads a listing in windows: the protocol of the three kinds, and what they give
    window_pieces       rows that were read → a piece of a window
    sorted_listing      filtered by time, oldest first, counted where the vendor counts
    uncounted_listing   the same where the vendor does not count
    unsorted_listing    filtered by time, in any order, not counted
    full_scan           not filtered by time
    listing_kinds       which class reads which kind
    lookback            what the last sync left, and where the lookback begins
    incremental         what is new since the last sync, of a sorted listing
    window_comparison   where the vendor's rows differ from those that are stored
    redacted_json       what customers wrote as texts without secrets and of bounded size
    status_redaction    statuses as they may be stored
    warehouse_rows      what the vendor sent → the rows that the warehouse gets
    last_reads          what the last reads of items that are not final showed
    open_reads          reads of open executions that show what is stored already
    read_context        what reads of single executions have in common
    single_reads        single reads of many items, where one that fails holds up no other
    settling            stored open executions → what the vendor says of them now
    settling_plan       the cheapest requests for that
    status_lists        lists of the executions that have one status
    details             steps and payloads, read once
    integrations        which integration a workflow belongs to
"""
