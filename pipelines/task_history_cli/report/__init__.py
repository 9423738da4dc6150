"""``task-history report``: one HTML page with figures and charts of the executions.

``figures`` queries them from the views by ``queries``, ``charts`` draws them, ``page`` writes the HTML::

    period         the period, and the one before it
    queries        the SQL of each table and chart; the columns of a table's rows are those of its query
    headline       the first sentences
    sections       which sections there are, and the columns of their tables; section_parts what a section is made of
    formatting     how figures are written
    formats        PDF and CSV
"""
