"""Tells the time in the format of records. Standard library only."""

from __future__ import annotations

import datetime


def now() -> datetime.datetime:
    """Return the current time in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def utc(moment: datetime.datetime) -> str:
    """Return a time in the format of records."""
    return moment.isoformat(timespec="seconds")
