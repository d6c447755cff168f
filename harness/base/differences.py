"""Refuses to mix two runs that differ; names each difference. Standard library only."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple

from harness.base.errors import HarnessError

PARTS = ("machine", "versions", "settings")
SIDES = ("recorded", "asked")


class IncompatibleRuns(HarnessError):
    """Two runs that must not be mixed; names each differing setting with both values."""


def check_equal(
    recorded: Mapping[str, Any],
    asked: Mapping[str, Any],
    parts: Sequence[str] = PARTS,
    sides: Tuple[str, str] = SIDES,
) -> None:
    """Raise IncompatibleRuns unless two runs, as JSON values, are equal in those parts."""
    found: List[str] = []
    for part in parts:
        found += _differences(part, recorded[part], asked[part], sides)
    if found:
        raise IncompatibleRuns("; ".join(found))


def _differences(name: str, recorded: Any, asked: Any, sides: Tuple[str, str]) -> List[str]:
    if isinstance(recorded, dict) and isinstance(asked, dict):
        found = []
        for key in sorted({*recorded, *asked}):
            found += _differences(f"{name}.{key}", recorded.get(key), asked.get(key), sides)
        return found
    if isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        pairs = enumerate(zip(recorded, asked))
        return [line for i, pair in pairs for line in _differences(f"{name}.{i}", *pair, sides)]
    if recorded == asked:
        return []
    return [f"{name}: {sides[0]}={recorded!s:.200}, {sides[1]}={asked!s:.200}"]
