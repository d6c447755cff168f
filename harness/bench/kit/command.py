"""The bench-kit command: writes one archive that measures on a machine without network.

The archive holds a patched MXNet, the networks, the worker and the files of the harness that run
under Python and NumPy alone (measure.py). Equal inputs make equal bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from harness.base import files, reading
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout, here
from harness.base.toml import load, project_version
from harness.bench.config import BenchConfig, resolve
from harness.bench.kit import manifest
from harness.bench.record import BenchRecord
from harness.build.toolchain import load_toolchain
from harness.trials import record
from harness.trials.jobs import DescribeJob
from harness.trials.launch import run_worker
from harness.trials.networks import find_network
from harness.trials.variants import build_folder, library_versions, parse_variant

EXAMPLES = """examples:
  python -m harness bench-kit
  python -m harness bench-kit --host 1.4.1 --out /tmp/kit.tar.xz
"""
_MOST_BYTES = 55 * 2**20
# Programs and headers of MXNet that a worker does not need.
_LEFT_OUT = ("__pycache__", "_cy2", "_cy3", "include", "tools")
_MODULES = (
    *("__init__", "base/__init__", "base/console", "base/differences", "base/errors"),
    *("base/files", "base/hardware", "base/jsonl", "base/layout", "base/options", "base/proc"),
    *("base/process", "base/reading", "base/times", "bench/__init__", "bench/kit/__init__"),
    *("bench/kit/manifest", "bench/kit/measure", "bench/kit/plan"),
    *("trials/__init__", "trials/environment", "trials/jobs", "trials/launch", "trials/networks"),
    *("trials/proof", "trials/variants", "worker/__init__"),
    *("worker/__main__", "worker/alternate", "worker/counters", "worker/data", "worker/network"),
    "worker/training",
)
_XZ = [
    {"id": lzma.FILTER_X86},
    {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 26},
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench-kit``."""
    parser.add_argument("--host", default="1.3.1", help="MXNet release (default: 1.3.1)")
    parser.add_argument(
        "--out", type=Path, help="archive (default: dist/opcache-bench-kit-<release>.tar.xz)"
    )


def main(args: argparse.Namespace) -> int:
    """Write the archive, print its name and size, and return 0."""
    layout = here()
    load_toolchain(layout.toolchain).host(args.host)
    config = load(layout.root / "configs" / "bench-kit.toml", BenchConfig)
    if args.host not in config.scopes:
        hosts = ", ".join(config.scopes)
        raise HarnessError(f"--host: expected one of {hosts}, found {args.host}")
    folder = f"opcache-bench-kit-{args.host}"
    out = args.out or layout.dist / f"{folder}.tar.xz"
    libraries, others = contents(layout, args.host)
    kit = _manifest(layout, args.host, config, {**libraries, **others})
    text = json.dumps(kit, indent=1).encode() + b"\n"
    # Two streams of xz, which every reader takes for one: the first needs minutes.
    packed = _compressed_once(layout, _tar(folder, libraries, last=False))
    packed += _compressed(_tar(folder, {**others, manifest.NAME: text}, last=True))
    if len(packed) > _MOST_BYTES:
        raise HarnessError(f"{out}: expected at most {_MOST_BYTES} bytes, found {len(packed)}")
    files.write_bytes(out, packed)
    print(
        f"{shown(out, layout.root)}: {len(packed) / 2**20:.1f} MiB, sha256 {reading.sha256_of(out)}"
    )
    return 0


def contents(layout: Layout, host: str) -> Tuple[Dict[str, bytes], Dict[str, bytes]]:
    """Return MXNet's libraries, and all other files except the manifest, by their names."""
    tree = build_folder(layout, host, parse_variant("all"))
    named: List[Tuple[str, Path]] = []
    for path in sorted((tree / "mxnet").rglob("*")):
        wanted = path.suffix == ".py" or ".so" in path.name
        if wanted and not set(_LEFT_OUT) & set(path.relative_to(tree).parts):
            named.append((str(path.relative_to(layout.root)), path))
    own = [layout.root / "harness" / f"{name}.py" for name in _MODULES]
    own += sorted((layout.root / "models").glob("*.py"))
    own += sorted(layout.package.glob("*.py"))
    named += [(str(path.relative_to(layout.root)), path) for path in own]
    named.append(("run.py", Path(__file__).with_name("run.py")))
    named.append(("LICENSE", layout.root / "LICENSE"))
    found = {name: reading.content(path, reading.MOST_ARCHIVE_BYTES) for name, path in named}
    # The cache's library is small, and changes most often.
    large = {name for name in found if ".so" in name and not name.endswith(CACHE_LIBRARY)}
    return (
        {name: data for name, data in found.items() if name in large},
        {name: data for name, data in found.items() if name not in large},
    )


def _manifest(
    layout: Layout, host: str, config: BenchConfig, found: Dict[str, bytes]
) -> Dict[str, Any]:
    variant = parse_variant("all")
    described = run_worker(
        DescribeJob(), layout, host, variant, record.threads(1), timeout_s=120, expect_hits=False
    )
    config = config.model_copy(update={"scopes": {host: config.scopes[host]}})
    settings = resolve(config, load_toolchain(layout.toolchain), None)
    (series,) = settings.series
    networks = {
        name: {
            "image_size": find_network(name).image_size,
            "multiply_adds": each["multiply_adds"],
        }
        for name, each in described["networks"].items()
        if not find_network(name).gluoncv  # the archive lacks GluonCV
    }
    return {
        "schema_version": manifest.SCHEMA_VERSION,
        "host": host,
        "record": {"kind": BenchRecord.KIND, "schema_version": BenchRecord.SCHEMA_VERSION},
        "versions": {
            "opcache": project_version(layout.pyproject),
            **library_versions(layout, host, variant),
        },
        "series": series.model_dump(),
        "settings": settings.model_dump(include={"seed", "learning_rate", "momentum"}),
        "networks": networks,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(found.items())},
    }


def _tar(folder: str, found: Dict[str, bytes], last: bool) -> bytes:
    """Return a tar of the files, without owners and times; not ``last``: without its end."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(found.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
        end = archive.offset
    return packed.getvalue() if last else packed.getvalue()[:end]


def _compressed_once(layout: Layout, data: bytes) -> bytes:
    """Return the data as xz, from an earlier run where it is the same."""
    path = (
        layout.build / "bench-kit" / f"{hashlib.sha256(data + repr(_XZ).encode()).hexdigest()}.xz"
    )
    path.parent.mkdir(exist_ok=True)
    with files.lock(path.parent / ".lock"):
        if not path.is_file():
            say("compressing the libraries, which takes minutes")
            files.write_bytes(path, _compressed(data))
    return reading.content(path, reading.MOST_ARCHIVE_BYTES)


def _compressed(data: bytes) -> bytes:
    return lzma.compress(data, format=lzma.FORMAT_XZ, filters=_XZ)
