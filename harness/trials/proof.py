"""Rejects samples that did not run on the requested build, by the libraries that were mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY
from harness.trials.jobs import scope_of
from harness.trials.variants import Variant, mxnet_version

if TYPE_CHECKING:
    from harness.build.own import OwnBuild


class NotProven(HarnessError):
    """A result that cannot count: the worker did not run on the requested libraries."""


def check_proof(
    variant: Variant,
    result: Mapping[str, Any],
    expect_hits: bool,
    what: str,
    host: Optional[str] = None,
    build: Optional[OwnBuild] = None,
) -> None:
    """Raise NotProven, with both sides, unless the worker ran on the variant's libraries.

    ``host`` is the worker's MXNet, None where it has none; ``build`` the one that somebody built.
    """
    mapped = [library["file"] for library in result["libraries"]]
    found = f"found {', '.join(mapped) or 'no MKL-DNN'}"
    stats = result.get("stats")
    version = None if host is None else mxnet_version(host)
    if version is not None and result["versions"]["mxnet"] != version:
        raise NotProven(f"{what}: expected MXNet {version}, found {result['versions']['mxnet']}")
    if variant.scope is None:
        if CACHE_LIBRARY in mapped or stats is not None:
            raise NotProven(f"{what}: expected no {CACHE_LIBRARY} in a stock process, {found}")
        return
    inside = build is not None and build.cache == "inside"
    if stats is None or inside == (CACHE_LIBRARY in mapped):
        cache = "the cache inside libmxnet.so" if inside else CACHE_LIBRARY
        raise NotProven(f"{what}: expected scope {variant.scope} of {cache}, {found}")
    if not stats["recognised"]:
        raise NotProven(
            f"{what}: expected an MKL-DNN that {CACHE_LIBRARY} recognises, "
            f"found build-id {stats['build_id']}"
        )
    scope, active = variant.scope, variant.scope != "off"
    same_scope = set(scope.split(",")) == set(stats["scope"].split(","))
    if not same_scope or stats["active"] != active:
        raise NotProven(
            f"{what}: expected scope {scope} and active {active}, "
            f"found scope {stats['scope']} and active {stats['active']}"
        )
    _check_hits(active, expect_hits, stats["totals"], what)
    # The scope changed in the process: each block has evidence of its own.
    for block in result.get("blocks", ()):
        _check_hits(scope_of(block["scope"]) != "off", True, block, f"{what}, {block['scope']}")


def _check_hits(active: bool, expect_hits: bool, counted: Mapping[str, Any], what: str) -> None:
    avoided = counted["primitives_avoided"] + counted["descriptors_avoided"]
    if active and expect_hits and avoided == 0:
        raise NotProven(f"{what}: expected creations avoided, found 0")
    if not active and avoided != 0:
        raise NotProven(f"{what}: expected no creations avoided, found {avoided}")
