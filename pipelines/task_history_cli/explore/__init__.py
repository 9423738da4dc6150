"""``task-history explore``: an interactive marimo app over the views.

``app`` is the app's own code, ``dataset`` gives it the views as a dlt dataset, ``server`` runs marimo.
"""
