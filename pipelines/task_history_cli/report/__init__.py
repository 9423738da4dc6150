"""``task-history report``: one HTML page with figures and charts of the executions.

``data`` queries the figures from the views, ``charts`` draws them, ``page`` writes the HTML.
"""
