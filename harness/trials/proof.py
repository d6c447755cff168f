"""Rejects samples that did not run on the requested build, by the libraries that were mapped."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY
from harness.trials.variants import Variant


class NotProven(HarnessError):
    """A result that cannot count: the worker did not run on the requested libraries."""


def check_proof(variant: Variant, result: Mapping[str, Any], expect_hits: bool, what: str) -> None:
    """Raise NotProven, with both sides, unless the worker ran on the variant's libraries."""
    mapped = [library["file"] for library in result["libraries"]]
    found = f"found {', '.join(mapped) or 'no MKL-DNN'}"
    if variant.scope is None:
        if CACHE_LIBRARY in mapped:
            raise NotProven(f"{what}: expected no {CACHE_LIBRARY} in a stock process, {found}")
        return
    if CACHE_LIBRARY not in mapped or result["stats"] is None:
        raise NotProven(f"{what}: expected scope {variant.scope} of {CACHE_LIBRARY}, {found}")
    stats = result["stats"]
    if not stats["recognised"]:
        raise NotProven(
            f"{what}: expected an MKL-DNN that {CACHE_LIBRARY} recognises, "
            f"found build-id {stats['build_id']}"
        )
    expected = {"scope": variant.scope, "active": variant.scope != "off"}
    actual = {"scope": stats["scope"], "active": stats["active"]}
    if _unordered(expected) != _unordered(actual):
        raise NotProven(
            f"{what}: expected scope {expected['scope']} and active {expected['active']}, "
            f"found scope {actual['scope']} and active {actual['active']}"
        )
    totals = stats["totals"]
    avoided = totals["primitives_avoided"] + totals["descriptors_avoided"]
    if expected["active"] and expect_hits and avoided == 0:
        raise NotProven(f"{what}: expected creations avoided, found 0")
    if not expected["active"] and avoided != 0:
        raise NotProven(f"{what}: expected no creations avoided, found {avoided}")


def _unordered(claim: Mapping[str, Any]) -> Dict[str, Any]:
    return {**claim, "scope": set(claim["scope"].split(","))}
