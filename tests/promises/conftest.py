"""Runs make and check views in tests that ask for it."""

from tests.support.views_of_runs import views, views_are_as_they_are

__all__ = ["views", "views_are_as_they_are"]
