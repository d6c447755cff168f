"""Defines the variants of an MXNet release: unmodified, patched or preloaded, with a scope."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.base.reading import sha256_of
from harness.trials.jobs import scope_of
from patches.python.mkldnn_opcache.variables import LIST_WORDS, SCOPES, is_scope

_PRELOAD = "preload:"
STOCK = "stock"
STOCK_AGAIN = "stock-again"


@dataclass(frozen=True)
class Variant:
    """One way to run a release: ``scope`` is None for stock, else the value of MKLDNN_OPCACHE.

    With ``preload`` the library is preloaded under the stock build, else the patched one runs.
    """

    name: str
    scope: Optional[str]
    preload: bool = False


def parse_variant(word: str) -> Variant:
    """Return the variant for ``stock``, a scope, operators joined by ``+``, or preload:SCOPE.

    ``stock-again`` is stock under another name: its difference from stock is noise.
    """
    if word in (STOCK, STOCK_AGAIN):
        return Variant(word, None)
    preload = word.startswith(_PRELOAD)
    scope = word[len(_PRELOAD) :] if preload else word
    operators = scope.split("+")
    if not is_scope(operators):
        raise HarnessError(
            f"unknown scope '{word}': expected stock, {', '.join(SCOPES)}, operators joined by + "
            f"({', '.join(LIST_WORDS)}), or {_PRELOAD} before one of these"
        )
    return Variant(word, ",".join(operators), preload)


def parse_scope(word: str) -> Variant:
    """Return the variant for a scope of a job, whose words ``scope_of`` reads."""
    return parse_variant(scope_of(word).replace(",", "+"))


def check_alternating(what: str, scopes: Sequence[str]) -> None:
    """Refuse scopes that cannot alternate in one process: of other builds, equal, or one alone."""
    for scope in scopes:
        variant = parse_scope(scope)
        if variant.scope is None or variant.preload:
            raise HarnessError(
                f"{what}: expected scopes of the cache, which alternate in one process, "
                f"found '{scope}'"
            )
    if len(set(scopes)) != len(scopes) or len(scopes) < 2:
        raise HarnessError(
            f"{what}: expected two or more different scopes, found {', '.join(scopes)}"
        )


def build_folder(layout: Layout, host: str, variant: Variant) -> Path:
    """Return the PYTHONPATH folder of a variant's build; HarnessError when it is not built."""
    patched = variant.scope is not None and not variant.preload
    folder = layout.patched(host) if patched else layout.stock(host)
    needed = [folder / "mxnet" / "libmxnet.so"] + ([layout.library] if variant.preload else [])
    for path in needed:
        if not path.is_file():
            raise HarnessError(f"{path.relative_to(layout.root)} not found: run make build first")
    return folder


def library_versions(layout: Layout, host: str, variant: Variant) -> Dict[str, str]:
    """Return the sha256 of a variant's cache library, by its name in a record."""
    if variant.preload:
        return {f"preloaded {CACHE_LIBRARY}": sha256_of(layout.library)}
    if variant.scope is None:
        return {}
    path = build_folder(layout, host, variant) / "mxnet" / CACHE_LIBRARY
    return {f"{host} {CACHE_LIBRARY}": sha256_of(path)}
