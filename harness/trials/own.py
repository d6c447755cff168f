"""The options --mxnet and --against: commands run on an MXNet that somebody built.

Its name takes the place of a release's. It contains hashes, no path.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from harness.base.console import say
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.options import words
from harness.build import own
from harness.build.own import OwnBuild
from harness.build.toolchain import Host, Toolchain, load_toolchain
from harness.trials.variants import (
    OFF,
    STOCK_AGAIN,
    OwnLayout,
    baseline,
    build_folder,
    parse_scope,
    parse_variant,
)
from patches.python.mkldnn_opcache import elf


def add_options(parser: argparse.ArgumentParser, against: bool = True) -> None:
    """Add --mxnet, and --against where two builds can be compared."""
    parser.add_argument(
        "--mxnet",
        type=Path,
        metavar="DIR",
        help="a folder with mxnet/ of an MXNet that you built, in place of the releases",
    )
    if against:
        parser.add_argument(
            "--against",
            type=Path,
            metavar="DIR",
            help="another build, without the cache, to compare --mxnet with",
        )


def layout_of(args: argparse.Namespace) -> Layout:
    """Return the work tree, with the builds of --mxnet and --against; say what these are.

    HarnessError refuses what cannot be compared, and options that such a build does not have.
    """
    asked, against = args.mxnet, getattr(args, "against", None)
    if asked is None:
        if against is not None:
            raise HarnessError("--against: expected --mxnet, the build to compare with it")
        return here()
    for option in ("hosts", "host"):
        if getattr(args, option, None) is not None:
            raise HarnessError(f"--{option}: expected releases or --mxnet, found both")
    layout = OwnLayout(here().root, identified(asked))
    if against is not None:
        layout = OwnLayout(layout.root, layout.own, identified(against, layout.own.known))
        check_pair(layout.own, layout.against)
    out = getattr(args, "out", None)
    if out is not None and here().raw in out.resolve().parents:
        raise HarnessError(f"--out {out}: expected a folder beside the records of releases")
    for word in words("--scopes", args.scopes) if getattr(args, "scopes", None) else ():
        variant = parse_variant(word) if word == STOCK_AGAIN else parse_scope(word)
        build_folder(layout, layout.own.name, variant)
    return layout


def identified(folder: Path, *known: Tuple[str, str]) -> OwnBuild:
    """Return what the MXNet in ``folder`` is, and say it; ``known`` as for ``identify``."""
    found = own.identify(folder, *known)
    say(found.line())
    return found


def check_pair(build: OwnBuild, against: Optional[OwnBuild]) -> None:
    """Raise HarnessError, with both sides, for builds whose comparison says nothing."""
    if against is None:
        return
    if build.libmxnet_sha256 == against.libmxnet_sha256:
        raise HarnessError(f"--against: expected another build than --mxnet, found {build.name}")
    for what, one, other in (
        ("MXNet", build.version, against.version),
        ("MKL-DNN", build.mkldnn, against.mkldnn),
        ("Python files", build.package_sha256[:8], against.package_sha256[:8]),
    ):
        if one != other:
            raise HarnessError(f"--against: expected {what} {one} as --mxnet has, found {other}")
    if against.cache != "preload":
        raise HarnessError(
            f"--against: expected a build without the cache, found {against.name} with it"
        )


def toolchain_of(layout: Layout) -> Toolchain:
    """Return the toolchain; where MXNet is one that somebody built, that is its only host."""
    toolchain = load_toolchain(layout.toolchain)
    if not isinstance(layout, OwnLayout):
        return toolchain
    host = Host.model_construct(
        version=layout.own.name,
        mkldnn=layout.own.mkldnn,
        mkldnn_build_id=str(elf.build_id(str(layout.own.libmkldnn))),
    )
    return toolchain.model_copy(update={"hosts": (host,)})


def variants_of(layout: OwnLayout, configured: Sequence[str]) -> List[str]:
    """Return the variants of an own build, given those of a release: first the baseline."""
    scopes = [word for word in configured if word != baseline(layout)]
    scopes = [word for word in scopes if _is_scope(word)]
    return [baseline(layout), *scopes]


def scopes_of(layout: OwnLayout) -> List[str]:
    """Return the scopes that are compared with the baseline.

    Beside another build, scope off tells what the builds differ in from what the cache does.
    """
    return [*([OFF] if layout.against is not None else []), "backward", "all"]


def _is_scope(word: str) -> bool:
    variant = parse_scope(word)
    return variant.scope is not None and not variant.preload
