"""Defines the variants of an MXNet: unmodified, patched or preloaded, with a scope.

An MXNet is a release, or one that somebody built.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional, Sequence

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.base.reading import sha256_of
from harness.trials.jobs import scope_of
from patches.python.mkldnn_opcache.releases import RELEASES, library_of
from patches.python.mkldnn_opcache.variables import LIST_WORDS, SCOPES, is_scope

if TYPE_CHECKING:  # not in the archive of bench-kit
    from harness.build.own import OwnBuild

_PRELOAD = "preload:"
STOCK = "stock"
STOCK_AGAIN = "stock-again"
OFF = "off"
# After the word of a variant: the size of MXNet's maps.
_MAPS = re.compile(r"(?P<word>(?:(?!-maps-).)+)-maps-(?P<size>[0-9]{1,6})")
_OWN = re.compile(r"own-(?P<version>[^\s,]+)-[0-9a-f]{8}")


@dataclass(frozen=True)
class Variant:
    """One way to run an MXNet: ``scope`` is None without the cache, else that of MKLDNN_OPCACHE.

    With ``preload`` the library is preloaded under the stock build, else the patched one runs.
    ``maps`` is the value of MXNET_MKLDNN_CACHE_NUM, None leaves it unset.
    """

    name: str
    scope: Optional[str]
    preload: bool = False
    maps: Optional[int] = None


def parse_variant(word: str) -> Variant:
    """Return the variant for ``stock``, a scope, operators joined by ``+``, or preload:SCOPE.

    ``stock-again`` is stock under another name: its difference from stock is noise. The name of
    a build is that build, as it is. ``WORD-maps-16`` is WORD with MXNET_MKLDNN_CACHE_NUM=16.
    """
    maps = _MAPS.fullmatch(word)
    if maps is not None:
        inner = parse_variant(maps["word"])
        return dataclasses.replace(inner, name=word, maps=int(maps["size"]))
    if word in (STOCK, STOCK_AGAIN) or is_own(word):
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
    variants = [parse_scope(scope) for scope in scopes]
    for scope, variant in zip(scopes, variants):
        if variant.scope is None or variant.preload or variant.maps is not None:
            raise HarnessError(
                f"{what}: expected scopes of the cache, which alternate in one process, "
                f"found '{scope}'"
            )
    if len(set(scopes)) != len(scopes) or len(scopes) < 2:
        raise HarnessError(
            f"{what}: expected two or more different scopes, found {', '.join(scopes)}"
        )


def is_own(word: str) -> bool:
    """Tell whether a word is the name of an MXNet that somebody built."""
    return _OWN.fullmatch(word) is not None


def mxnet_version(host: str) -> str:
    """Return the version that the sources of a host state."""
    own = _OWN.fullmatch(host)
    return own["version"] if own else host.split(".post")[0]


def baseline_of(words: Sequence[str]) -> Optional[str]:
    """Return which variant has no cache, and is what the others are compared with; else None."""
    return next((word for word in words if word == STOCK or is_own(word)), None)


@dataclass(frozen=True)
class OwnLayout(Layout):
    """A work tree whose commands run on an MXNet that somebody built.

    ``against`` is another build, without the cache, that it is compared with.
    """

    own: OwnBuild
    against: Optional[OwnBuild] = None

    @property
    def raw(self) -> Path:
        """The records of such builds, which are never beside the published ones."""
        return self.root / "results" / "own"

    @property
    def preloads(self) -> bool:
        """Tell whether the build has no cache of its own, so that the library is preloaded."""
        return self.own.cache == "preload"

    def build_of(self, host: str, variant: Variant) -> OwnBuild:
        """Return the build that a variant runs on; HarnessError names what there is instead."""
        if self.against is not None and variant.name == self.against.name:
            return self.against
        scopes_only = variant.scope is not None and not variant.preload
        if host == self.own.name and (scopes_only or variant.name == baseline(self)):
            return self.own
        raise HarnessError(
            f"{self.own.name}: expected {baseline(self)} or a scope of the cache, "
            f"found '{variant.name}' of {host}"
        )


def own_build(layout: Layout, host: str, variant: Variant) -> Optional[OwnBuild]:
    """Return the build that a variant runs on, None for a release."""
    return layout.build_of(host, variant) if isinstance(layout, OwnLayout) else None


def baseline(layout: Layout) -> str:
    """Return the variant that the others are compared with.

    It is stock, or the build that was named for it. A build with the cache inside has no stock: its
    baseline is scope off.
    """
    if not isinstance(layout, OwnLayout):
        return STOCK
    if layout.against is not None:
        return layout.against.name
    return STOCK if layout.preloads else OFF


def without_paths(layout: Layout, text: str) -> str:
    """Return a text to record, without the folders of the work tree and of own builds.

    Such folders are those of --mxnet (DIR) and --against (AGAINST), the source tree around each,
    and those of LD_LIBRARY_PATH.
    """
    words: Dict[str, str] = {}
    if isinstance(layout, OwnLayout):
        for word, build in (("DIR", layout.own), ("AGAINST", layout.against)):
            if build is None:
                continue
            for folder in (build.folder, build.libmxnet.parent, build.libmkldnn.parent):
                words.setdefault(str(folder), word)
            if build.commit is not None:
                words.setdefault(str(build.folder.resolve().parent), f"{word}/..")
        for path in layout.own.environment.get("LD_LIBRARY_PATH", "").split(":"):
            if os.path.isabs(path):
                words.setdefault(path.rstrip("/"), "LIBRARIES")
    # The longest first: a folder may be inside another one.
    for path in sorted(words.keys() - {"", "/"}, key=len, reverse=True):
        # Not the beginning of another name.
        text = re.sub(re.escape(path) + r"(?![\w-]|\.\w)", words[path], text)
    return text.replace(f"{layout.root}/", "")


def is_preloaded(layout: Layout, variant: Variant) -> bool:
    """Tell whether a variant preloads the library of the work tree."""
    own = isinstance(layout, OwnLayout) and layout.preloads
    return variant.preload or (own and variant.scope is not None)


def build_folder(layout: Layout, host: str, variant: Variant) -> Path:
    """Return the PYTHONPATH folder of a variant's build; HarnessError when it is not built."""
    build = own_build(layout, host, variant)
    if build is not None:
        folder, needed = build.folder, []
    elif is_own(variant.name):
        raise HarnessError(f"{variant.name}: expected --mxnet and --against to name builds")
    else:
        patched = variant.scope is not None and not variant.preload
        folder = layout.patched(host) if patched else layout.stock(host)
        needed = [folder / "mxnet" / "libmxnet.so"]
    for path in needed + ([layout.library] if is_preloaded(layout, variant) else []):
        if not path.is_file():
            served = path == layout.library or any(host == each.version for each in RELEASES)
            make = "make build" if served else "make bench-releases"
            raise HarnessError(f"{path.relative_to(layout.root)} not found: run {make} first")
    return folder


def library_versions(layout: Layout, host: str, variant: Variant) -> Dict[str, str]:
    """Return the sha256 of a variant's cache library, by its name in a record.

    Of an MXNet that somebody built, return what it is, and the sha256 of its libraries.
    """
    folder, build = build_folder(layout, host, variant), own_build(layout, host, variant)
    found = {} if build is None else own_versions(build)
    if is_preloaded(layout, variant):
        return {**found, f"preloaded {CACHE_LIBRARY}": sha256_of(layout.library)}
    if variant.scope is None or build is not None:
        return found
    return {f"{host} {CACHE_LIBRARY}": sha256_of(folder / "mxnet" / CACHE_LIBRARY)}


def own_versions(build: OwnBuild) -> Dict[str, str]:
    """Return what a build is and the sha256 of its files, by their names in a record."""
    commit = f", commit {build.commit}" if build.commit else ""
    cache = {"inside": "inside libmxnet.so", "needed": f"in {CACHE_LIBRARY}"}.get(build.cache)
    found = {
        build.name: f"MXNet {build.version}{commit}, MKL-DNN {build.mkldnn} ({build.recognised}), "
        f"{f'cache {cache}' if cache else 'no cache'}",
        f"{build.name} libmxnet.so": build.libmxnet_sha256,
        f"{build.name} {library_of(build.mkldnn)}": build.libmkldnn_sha256,
        f"{build.name} Python files": build.package_sha256,
    }
    if build.cache_sha256 is not None:
        found[f"{build.name} {CACHE_LIBRARY}"] = build.cache_sha256
    return found
