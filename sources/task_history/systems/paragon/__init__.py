"""Paragon: requests and answers in ``api``, beside them settings, statuses and tables."""

from __future__ import annotations

from .api import SYSTEM

__all__ = ["SYSTEM"]
