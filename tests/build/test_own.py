"""What an MXNet that somebody built is taken for, and the lines that refuse what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from harness.base import reading
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.build import own
from patches.python.mkldnn_opcache.releases import MKLDNNS
from patches.python.mkldnn_opcache.variables import ASSUME
from tests.support import own_builds
from tests.support.commands import refusal, run

OLDEST, SECOND = "1.3.1", "1.4.1"  # the second ships MKL-DNN's headers
V14, V17 = MKLDNNS[:2]


@pytest.fixture(autouse=True)
def no_assumption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ASSUME, raising=False)


def told(build: own.OwnBuild) -> Dict[str, Any]:
    return {"mkldnn": build.mkldnn, "recognised": build.recognised, "cache": build.cache}


@pytest.mark.parametrize("host", [OLDEST])
@pytest.mark.parametrize(
    ("kind", "cache", "place"),
    [
        ("inside", "inside", "inside libmxnet.so (source patch)"),
        ("opcache", "needed", "in a library that libmxnet.so needs (patched wheel)"),
        ("stock", "preload", "to be preloaded"),
    ],
)
def test_where_the_cache_is(built: Layout, host: str, kind: str, cache: str, place: str) -> None:
    folders = {"opcache": built.patched(host), "stock": built.stock(host)}
    folder = folders.get(kind) or own_builds.make(built, host, kind)
    build = own.identify(folder)
    assert told(build) == {"mkldnn": V14, "recognised": "build-id", "cache": cache}
    assert (build.folder, build.version) == (folder, "1.3.1")
    assert build.libmxnet == folder / "mxnet" / "libmxnet.so"
    libraries = (build.libmxnet, build.libmkldnn)
    hashes = [reading.sha256_of(path) for path in libraries]
    assert [build.libmxnet_sha256, build.libmkldnn_sha256] == hashes
    commit = (folder / "mxnet" / "COMMIT_HASH").read_text().strip()
    assert build.commit == commit and build.name == f"own-1.3.1-{hashes[0][:8]}"
    assert build.line() == (
        f"{build.name}: MXNet 1.3.1 (commit {commit[:12]}), MKL-DNN {V14} recognised by its "
        f"build-id; the cache {'has' if cache == 'preload' else 'is'} {place}"
    )
    needed = folder / "mxnet" / CACHE_LIBRARY
    assert build.cache_sha256 == (reading.sha256_of(needed) if cache == "needed" else None)


def test_how_mkldnn_is_recognised(built: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = own_builds.make(built, SECOND, "headers")
    known = own.identify(headers)
    assert told(known) == {"mkldnn": V17, "recognised": "headers", "cache": "inside"}

    unknown = own_builds.make(built, SECOND, "unknown")
    assert refusal(own.identify, unknown) == (
        f"{unknown}: libmkldnn.so.0 with build-id {'0' * 40} is not one that the cache knows "
        f"({', '.join(MKLDNNS)}); if it was built from one of these sources, set {ASSUME} to it"
    )
    same = own.identify(unknown, known.known)
    assert told(same) == {"mkldnn": V17, "recognised": "same", "cache": "preload"}
    monkeypatch.setenv(ASSUME, V17)
    assumed = own.identify(unknown)
    assert told(assumed) == {"mkldnn": V17, "recognised": "assumed", "cache": "preload"}
    assert assumed.environment[ASSUME] == V17
    monkeypatch.setenv(ASSUME, "v1.0")
    assert refusal(own.identify, unknown) == (
        f"{ASSUME}: expected one of {', '.join(MKLDNNS)}, found 'v1.0'"
    )


@pytest.mark.parametrize(
    ("host", "kind", "line"),
    [
        (
            *(OLDEST, "without"),
            "this MXNet loads no libmkldnn.so.0 or libmkldnn.so.1: it was built without MKL-DNN or "
            "with a static one, so there is nothing to cache",
        ),
        (
            *(OLDEST, "newer"),
            "expected libmkldnn.so.0 or libmkldnn.so.1 (MKL-DNN 0.14 to 1.0, MXNet 1.3 to 1.6), "
            "found libmkldnn.so.2",
        ),
        (SECOND, "other", "a first convolution failed: src/operator/nn/mkldnn/mkldnn_base.cc:"),
        (OLDEST, "broken", "import mxnet ended with exit code 1: OSError: libmkldnn.so.0: cannot "),
        (OLDEST, "hidden", "libmxnet.so has a cache inside, but hides the functions"),
    ],
)
def test_builds_that_cannot_be_served(built: Layout, host: str, kind: str, line: str) -> None:
    folder = own_builds.make(built, host, kind)
    said = refusal(own.identify, folder)
    assert said.startswith(f"{folder}: {line}") and "\n" not in said


def package(folder: Path, init: str = "") -> Path:
    """Make a folder with a package mxnet that has no library."""
    (folder / "mxnet").mkdir(parents=True)
    (folder / "mxnet" / "__init__.py").write_text(init)
    return folder


def test_folders_without_mxnet(tmp_path: Path) -> None:
    python = package(tmp_path / "python")
    for folder in (tmp_path, python / "mxnet"):
        assert refusal(own.identify, folder) == (
            f"{folder}: expected a folder with mxnet/__init__.py; try {python}"
        )
    absent = tmp_path / "absent"
    assert refusal(own.identify, absent) == (
        f"{absent}: expected a folder with mxnet/__init__.py, found none"
    )


def test_another_mxnet_than_that_of_the_folder(built: Layout, tmp_path: Path) -> None:
    """A package that hands over to an installed one would be measured under a wrong name."""
    stock = built.stock(OLDEST)
    init = (
        f"import sys\nsys.path.insert(0, {str(stock)!r})\ndel sys.modules['mxnet']\nimport mxnet\n"
    )
    folder = package(tmp_path / "own", init)
    assert refusal(own.identify, folder) == (
        f"{folder}: expected its own mxnet to be imported, found {stock}/mxnet/__init__.py"
    )


def test_the_commit_is_that_of_the_tree_around(tmp_path: Path) -> None:
    folder = package(tmp_path / "python")
    assert own.commit_of(folder) is None
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "a"]):
        run([*git, *words]).check_returncode()
    assert own.commit_of(folder) is None  # a repository of something else
    (tmp_path / "include" / "mxnet").mkdir(parents=True)
    assert own.commit_of(folder) == run([*git, "rev-parse", "HEAD"]).stdout.strip()


def test_the_python_package_is_told_apart_by_its_code(tmp_path: Path) -> None:
    one, same, other = (package(tmp_path / name, "a = 1") for name in ("one", "same", "other"))
    (same / "mxnet" / "notes.txt").write_text("no code")
    (same / "mxnet" / "symbol").mkdir()
    (same / "mxnet" / "symbol" / "gen_op.py").write_text("of python/setup.py")
    (other / "mxnet" / "gluon").mkdir()
    (other / "mxnet" / "gluon" / "more.py").write_text("b = 2")
    digests = [own.package_digest(folder / "mxnet") for folder in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
