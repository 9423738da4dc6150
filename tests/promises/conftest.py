"""Runs make and check views in tests that ask for it."""

from __future__ import annotations

from tests.support.views_of_runs import commands_make_no_views, views, views_are_as_they_are

__all__ = ["commands_make_no_views", "views", "views_are_as_they_are"]
