"""``task-history report``: one HTML page with figures and charts of the executions.

``figures`` queries them from the views, ``charts`` draws them, ``page`` writes the HTML.
"""
