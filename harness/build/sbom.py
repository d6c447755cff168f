"""Writes the bill of materials of a release in CycloneDX's format.

Names what is inside each file that is handed out: sources, headers, and MXNet's own libraries.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import uuid
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Iterable, List, Sequence

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY
from harness.base.reading import sha256_of
from harness.build.toolchain import Host, Toolchain

_OWN = "Apache-2.0"
# MXNet's wheels ship no other text for Intel's OpenMP and MKL than MKLML_LICENSE, Apache-2.0.
_LICENSES = {
    "libmxnet.so": "Apache-2.0",
    "libmkldnn.so.0": "Apache-2.0",
    "libmkldnn.so.1": "Apache-2.0",
    "libmklml_intel.so": "Apache-2.0",
    "libiomp5.so": "Apache-2.0",
    "libgfortran.so.3": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libquadmath.so.0": "LGPL-2.1-or-later",
}
_EPOCH = datetime.datetime(1980, 1, 1, tzinfo=datetime.timezone.utc)


def render(files: Sequence[Path], version: str, toolchain: Toolchain) -> str:
    """Return the bill of ``files`` as JSON, the same text for the same files.

    Raises HarnessError when a wheel has a library whose license is not known here.
    """
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, "".join(map(sha256_of, files))))
    bom.metadata.timestamp = _EPOCH
    bom.metadata.component = _component("opcache", version, _OWN)
    parts = _parts(toolchain)
    for part in parts:
        bom.components.add(part)
    handed_out = []
    for path in files:
        file = _file(path.name, sha256_of(path), _OWN)
        if path.suffix == ".whl":
            file.components.update(_libraries(path))
        bom.components.add(file)
        handed_out.append(file)
        bom.register_dependency(file, _inside(path, parts, toolchain.hosts))
    bom.register_dependency(bom.metadata.component, handed_out)
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_5)
    return written.output_as_string(indent=1) + "\n"


def _parts(toolchain: Toolchain) -> List[Component]:
    """Return what goes into the files: releases of MXNet, and what the library is compiled with."""
    headers = toolchain.host(toolchain.headers)
    zig = importlib.metadata.version("ziglang")
    return [
        *(_component(host.package, host.version, _OWN, host.sha256) for host in toolchain.hosts),
        _component("mkl-dnn headers", headers.mkldnn, "Apache-2.0"),
        _component("ziglang: libc++ headers", zig, "Apache-2.0 WITH LLVM-exception"),
        _component("ziglang: glibc's static part", zig, "LGPL-2.1-or-later"),
    ]


def _inside(path: Path, parts: Sequence[Component], hosts: Sequence[Host]) -> Iterable[Component]:
    """Return the parts of a file: the source patch has none, a patched wheel one more than ours."""
    if path.suffix != ".whl":
        return []
    name, version = path.name.split("-")[:2]
    release = version.split("+")[0]
    compiled = parts[len(hosts) :]
    found = zip(hosts, parts)
    patched = [p for h, p in found if (h.package.replace("-", "_"), h.version) == (name, release)]
    return [*patched, *compiled]


def _libraries(wheel: Path) -> Iterable[Component]:
    licenses = {CACHE_LIBRARY: _OWN, **_LICENSES}
    with zipfile.ZipFile(wheel) as archive:
        for member in sorted(archive.namelist()):
            name = Path(member).name
            if ".so" not in name:
                continue
            if name not in licenses:
                raise HarnessError(f"{wheel.name}: {member}: expected a license in sbom.py")
            digest = sha256(archive.read(member)).hexdigest()
            yield _file(member, digest, licenses[name], within=wheel.name)


def _component(name: str, version: str, expression: str, digest: str = "") -> Component:
    return Component(
        name=name,
        version=version,
        bom_ref=f"{name} {version}",
        type=ComponentType.LIBRARY,
        licenses=[LicenseExpression(expression)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
    )


def _file(name: str, digest: str, expression: str, within: str = "") -> Component:
    return Component(
        name=name,
        bom_ref=f"{within}/{name}" if within else name,
        type=ComponentType.FILE,
        licenses=[LicenseExpression(expression)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
