"""Files made to do harm: every reader refuses each in one line, soon, in little memory.

``READERS`` holds everything that reads a file of the user's, the network's or an earlier run's;
a test finds readers that go past harness/base/reading.py.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gzip
import io
import json
import lzma
import os
import re
import resource
import signal
import socket
import struct
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import numpy
import pytest

from harness.base import archives, jsonl, reading, toml
from harness.base.layout import here
from harness.bench import record as bench_record
from harness.bench.config import BenchConfig
from harness.build import toolchain
from harness.converge import checkpoint, cifar10, dataset
from harness.converge import record as converge_record
from harness.converge.config import ConvergeConfig
from harness.microbench import record as microbench_record
from harness.publish.report import page
from harness.reliability import record as reliability_record
from harness.verify import record as verify_record
from tests.support import commands

_MOST_MEMORY = 900 * 2**20  # more than before
_MOST_S = 20

Reader = Callable[[Path], object]


JSON: Dict[str, Reader] = {
    "bench": bench_record.load,
    "jsonl": jsonl.read,
    "converge": converge_record.load,
    "microbench": microbench_record.load,
    "reliability": reliability_record.load,
    "verify": verify_record.load,
    "result of a worker": reading.json_file,
}
TOML: Dict[str, Reader] = {
    "toolchain": toolchain.load_toolchain,
    "bench configuration": functools.partial(toml.load, model=BenchConfig),
    "converge configuration": functools.partial(toml.load, model=ConvergeConfig),
    "pyproject": toml.project_version,
}
ARRAYS: Dict[str, Reader] = {
    "checkpoint": lambda path: checkpoint.load(path.parent, {}),
    "prepared": functools.partial(dataset.load, expected="0" * 64),
}
OTHERS: Dict[str, Reader] = {
    "cifar bin": lambda path: cifar10.load(path.parent, path.parent),
    "cifar xz": lambda path: cifar10.load(path.parent, path.parent),
    "cifar archive": lambda path: cifar10.load(path, path.parent),
    "figure": page.picture,
    "text": reading.text,
    "digest": lambda path: reading.digest(path, "sha256", reading.MOST_CONFIG_BYTES),
}
READERS = {**JSON, **TOML, **ARRAYS, **OTHERS}
# Where a reader looks for a file by itself.
NAMES = {
    "checkpoint": checkpoint.FILE,
    "cifar bin": "data_batch_1.bin",
    "cifar xz": "data_batch_1.bin.xz",
}


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes too much memory, or too long."""

    def too_late(*_: object) -> None:
        raise AssertionError(f"not refused in {_MOST_S} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, too_late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _MOST_MEMORY, hard))
    signal.alarm(_MOST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def refusal(read: Reader, path: Path) -> str:
    with bounded():
        said = commands.refusal(read, path)
    assert "\n" not in said and said.isprintable()
    assert len(said) < 400 + len(str(path))
    return said


def sparse(path: Path) -> None:
    """A file of one TiB that takes no room."""
    with path.open("wb") as file:
        file.truncate(2**40)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


# Paths that no reader may read.
NO_FILE: Dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "folder": Path.mkdir,
    "fifo": os.mkfifo,
    "socket": a_socket,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "random device": lambda path: path.symlink_to("/dev/urandom"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "a TiB of nothing": sparse,
}


@pytest.mark.parametrize("what", NO_FILE)
@pytest.mark.parametrize("name", READERS)
def test_special_files_are_refused(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES.get(name, "file")
    NO_FILE[what](path)
    if (name, what) == ("checkpoint", "absent"):
        assert READERS[name](path) is None  # nothing to go on with
    else:
        assert str(tmp_path) in refusal(READERS[name], path)


ANY: Dict[str, bytes] = {
    "empty": b"",
    "one byte": b"{",
    "NULs": b"\0" * 1000,
    "not UTF-8": b"\xff\xfe\xfa\n",
    "UTF-16": '{"kind": "x"}\n'.encode("utf-16"),
    "an ELF file": Path(sys.executable).read_bytes()[:5000],
    "gzip": gzip.compress(b"{}\n"),
    "control characters": b'{"kind": "\x1b[2J\n\x07"}\n',
}


@pytest.mark.parametrize("what", ANY)
@pytest.mark.parametrize("name", [name for name in READERS if name not in ("text", "digest")])
def test_foreign_files_are_refused(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES.get(name, "file")
    path.write_bytes(ANY[what])
    assert str(tmp_path) in refusal(READERS[name], path)


# KIND stands for the kind of the record that is expected.
HOSTILE_JSON: Dict[str, bytes] = {
    "deep list": b'{"kind": KIND, "a": ' + b"[" * 900 + b"]" * 900 + b"}",
    "deeper list": b"[" * 1_000_000,
    "deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "many values": b"[" + b"0," * 2_000_000 + b"0]",
    "many lists": b"[" + b"[]," * 700_000 + b"[]]",
    "many wrong values": b'{"kind": KIND, "schema_version": 1, "curves": ['
    + b"0," * 900_000
    + b"0]}",
    "NaN": b'{"kind": KIND, "schema_version": NaN}',
    "Infinity": b'{"kind": KIND, "schema_version": -Infinity}',
    "a float too large": b'{"kind": KIND, "schema_version": 1e999}',
    "an integer too large": b'{"kind": KIND, "schema_version": ' + b"9" * 1_000_000 + b"}",
    "a name twice": b'{"kind": KIND, "kind": KIND, "schema_version": 1}',
    "a lone surrogate": b'{"kind": KIND, "a": "\\ud800"}',
    "truncated": b'{"kind": KIND, "schema_vers',
    "another kind": b'{"kind": "other", "schema_version": 1}',
    "a name of lines": b'{"kind": KIND, "schema_version": 1, "a\\nb\\u001b[2J": 1}',
}
# Lines of JSON and a file of JSON: all other records go through the second of these readers.
KINDS = {"bench": bench_record.BenchRecord.KIND, "converge": converge_record.ConvergeRecord.KIND}


@pytest.mark.parametrize("what", HOSTILE_JSON)
@pytest.mark.parametrize("name", KINDS)
def test_hostile_json_is_refused(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    kind = json.dumps(KINDS[name]).encode()
    path.write_bytes(HOSTILE_JSON[what].replace(b"KIND", kind) + b"\n")
    assert str(path) in refusal(JSON[name], path)


@pytest.mark.parametrize("text", ["NaN", "[1e400]", '{"a": 1, "a": 2}', "[" * 66 + "]" * 66])
def test_json_that_the_standard_library_takes_is_refused(text: str, tmp_path: Path) -> None:
    json.loads(text)
    path = tmp_path / "a.json"
    path.write_text(text)
    assert refusal(reading.json_file, path).startswith(f"{path}: truncated or not JSON: ")


def test_all_that_json_is_made_of_is_read(tmp_path: Path) -> None:
    value = {"a": [1, -2.5, 1e-300, True, None, "ü\U0001f600\n", 2**63, {}], "b": {"": []}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    assert reading.json_file(path) == value
    nested = "[" * reading.MOST_DEPTH + "1" + "]" * reading.MOST_DEPTH
    assert str(reading.json_value(nested.encode())) == nested


HOSTILE_TOML: Dict[str, bytes] = {
    "deep list": b"a = " + b"[" * 20_000,
    "list of 500": b"a = " + b"[" * 500 + b"]" * 500,
    "deep inline table": b"a = " + b"{a = " * 10_000,
    "deep key": b".".join([b"a"] * 20_000) + b" = 1",
    "deep table": b"[" + b".".join([b"a"] * 20_000) + b"]",
    "nan": b"headers = nan",
    "inf": b"a = [-inf]",
    "float too large": b"a = 1e999",
    "integer too large": b"a = " + b"9" * 50_000,
    "long": b"a = 1\n" + b"#" * 70_000,
    "a name twice": b"a = 1\na = 2",
    "truncated": b'headers = "1.4',
    "a name of lines": b'"a\\nb" = 1',
}


@pytest.mark.parametrize("what", HOSTILE_TOML)
@pytest.mark.parametrize("name", TOML)
def test_hostile_toml_is_refused(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(HOSTILE_TOML[what])
    assert str(path) in refusal(TOML[name], path)


def wrong_checksum(path: Path) -> None:
    numpy.savez(path, a=numpy.frombuffer(b"xyz", numpy.uint8))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"xyz", b"xYz"))


def truncated(path: Path) -> None:
    numpy.savez(path, a=numpy.arange(1000))
    path.write_bytes(path.read_bytes()[:-500])


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        numpy.save(file, numpy.ones(3))


@pytest.mark.parametrize("damage", [wrong_checksum, truncated, one_array])
@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_arrays_are_refused(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / NAMES.get(name, "file.npz")
    damage(path)
    said = refusal(READERS[name], path)
    assert str(path) in said and "found damage" in said


@pytest.mark.parametrize(
    "state",
    [
        b"[]",
        b"{}",
        b'{"trained": 1, "epochs": []}',
        b'{"trained": {}, "epochs": 1}',
        b'{"trained": {}, "epochs": [1]}',
        b'{"trained": {}, "epochs": NaN}',
        b'{"trained": {}, "epochs": [{"state_sha256": "0"}]}',
        b"[" * 60_000,
    ],
)
def test_checkpoints_of_a_wrong_form_are_refused(state: bytes, tmp_path: Path) -> None:
    path = tmp_path / checkpoint.FILE
    arrays = {"parameter:a": numpy.ones(3, numpy.float32)}
    numpy.savez(path, **{"state.json": numpy.frombuffer(state, numpy.uint8), **arrays})
    assert str(path) in refusal(READERS["checkpoint"], path)


@pytest.mark.parametrize("name", ["a", "momentum:x", "momentum:", "parameter:", "momentum:-1"])
def test_checkpoints_of_other_arrays_are_refused(name: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {name: numpy.ones(3, numpy.float32)}, {}, [])
    said = refusal(READERS["checkpoint"], tmp_path / checkpoint.FILE)
    assert "is no parameter and no momentum" in said


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    arrays = {
        "a": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
        "in columns": numpy.asfortranarray(numpy.arange(6, dtype=">i8").reshape(3, 2)),
        "nothing": numpy.zeros((0, 3), numpy.uint8),
        "a number": numpy.array(7, dtype=numpy.uint64),
        "text": numpy.array("CIFAR-10"),
        "truth": numpy.array([True, False]),
    }
    numpy.savez(tmp_path / "a.npz", **arrays)
    found = archives.npz(tmp_path / "a.npz", "arrays")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and numpy.array_equal(found[name], array)


def endless_xz() -> bytes:
    """Much of nothing, in a file that is small."""
    packer = lzma.LZMACompressor(preset=0)
    return b"".join([packer.compress(bytes(2**26)) for _ in range(2)]) + packer.flush()


def hungry_xz() -> bytes:
    """A file whose header asks for 1.5 GiB to be unpacked."""
    data = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**16}])
    # The dictionary's size is a byte of the block's header, which ends in a checksum.
    header = bytearray(data[12:24])
    assert header[:4] == bytes([2, 0, 0x21, 1])
    header[4] = 37
    header[8:12] = struct.pack("<I", zlib.crc32(header[:8]))
    return data[:12] + bytes(header) + data[24:]


XZ: Dict[str, Callable[[], bytes]] = {
    "bomb": endless_xz,
    "hungry": hungry_xz,
    "truncated": lambda: lzma.compress(bytes(5_000_000))[:-20],
    "lzma, not xz": lambda: lzma.compress(b"x", format=lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("what", XZ)
def test_hostile_xz_files_are_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES["cifar xz"]
    path.write_bytes(XZ[what]())
    said = refusal(READERS["cifar xz"], path)
    assert said.startswith(f"{path}: expected ")
    assert "an xz file, found damage" in said or said.endswith("found more")


def tar_of(*members: Any, **options: Any) -> bytes:
    """A tar.gz of (TarInfo, content)s."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, **options) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    member.type, member.linkname = kind, link
    return member


def long_header(kind: bytes, size: int) -> bytes:
    """A tar.gz that begins with a header of headers of that size."""
    member = tar_member("x", kind)
    return tar_of((member, b"1" * size))


BATCH = "data_batch_1.bin"
ALL = (*cifar10.TRAINING_FILES, cifar10.TEST_FILE)
TARS: Dict[str, Callable[[], bytes]] = {
    "bomb": lambda: tar_of((tar_member("x"), bytes(300 * 2**20))),
    "long file": lambda: tar_of((tar_member(BATCH), bytes(100 * 2**20))),
    "link": lambda: tar_of(*((tar_member(n, tarfile.SYMTYPE, "/etc/passwd"), b"") for n in ALL)),
    "hard link": lambda: tar_of(*((tar_member(n, tarfile.LNKTYPE, "/etc/x"), b"") for n in ALL)),
    "device": lambda: tar_of(*((tar_member(n, tarfile.CHRTYPE), b"") for n in ALL)),
    "fifo": lambda: tar_of(*((tar_member(n, tarfile.FIFOTYPE), b"") for n in ALL)),
    "sparse": lambda: tar_of(*((tar_member(n, tarfile.GNUTYPE_SPARSE), b"") for n in ALL)),
    "twice": lambda: tar_of((tar_member(BATCH), b"x"), (tar_member(BATCH), b"y")),
    "long pax header": lambda: long_header(tarfile.XHDTYPE, 10_000_000),
    "long global header": lambda: long_header(tarfile.XGLTYPE, 10_000_000),
    "long name": lambda: long_header(tarfile.GNUTYPE_LONGNAME, 10_000_000),
    "headers of headers": lambda: tar_of(
        *((tar_member("x", tarfile.XHDTYPE), b"") for _ in range(5000))
    ),
    "many members": lambda: tar_of(*((tar_member(f"{i}"), b"") for i in range(1_100))),
    "truncated": lambda: tar_of((tar_member(BATCH), bytes(1000)))[:-30],
    "bzip2": lambda: b"BZh9" + bytes(100),
    "gzip of noise": lambda: gzip.compress(bytes(range(256)) * 100),
}


@pytest.mark.parametrize("what", TARS)
def test_hostile_tar_archives_are_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(TARS[what]())
    before = sorted(tmp_path.rglob("*"))
    said = refusal(READERS["cifar archive"], path)
    assert re.match(
        re.escape(str(path)) + ": expected (the archive of CIFAR-10, found damage|"
        "data_batch_1.bin in it, found none)|.*/data_batch_1.bin: .* found more$",
        said,
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_of_lines_is_still_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[2J.json"
    assert "a\\nb\\x1b[2J.json: No such file" in refusal(reading.json_file, path)
    assert "embedded null byte" in refusal(reading.json_file, Path("a\0b"))


@pytest.mark.parametrize("what", ["fifo", "endless device", "folder"])
def test_nothing_is_appended_to_special_files(what: str, tmp_path: Path) -> None:
    NO_FILE[what](tmp_path / "a.jsonl")
    assert "a.jsonl: " in refusal(jsonl.Appender, tmp_path / "a.jsonl")


# The modules that read by themselves, and what gives them the right.
_MAY = {
    "base/reading.py": "it is the one place",
    "base/archives.py": "what reading.py opened",
    "base/toml.py": "a text that reading.py read",
    "base/jsonl.py": "the end of a file that it writes",
    "base/machine.py": "what Linux says of itself",
    "base/files.py": "to write",
    "build/elf.py": "the libraries that this process runs on",
    "base/proc.py": "what Linux says of itself",
    "bootstrap.py": "its own stamp, before anything is installed",
    "publish/report/page.py": "a part of this package",
    "build/wheels.py": "a wheel of the pinned hash",
    "build/patching.py": "a tree that came from a wheel of the pinned hash",
    "build/source_patch.py": "a part of this project",
    "bench/command.py": "to have Linux forget it, not to read it",
    "trials/group.py": "what a process of its own said",
    "microbench/command.py": "what a process of its own said",
    "verify/bitwise.py": "what a process of its own left",
    "worker/fork.py": "a pipe of its own",
    "worker/network.py": "what MXNet says of a network",
    "worker/facts.py": "what MXNet says of a network",
}
_MODULES = {"json", "numpy", "pickle", "tarfile", "lzma", "gzip", "bz2", "tomli", "zipfile", "os"}


def reads(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that read a file: Path's methods, open, and the readers of modules."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in ("open", "ZipFile"):
            yield node
        elif isinstance(function, ast.Attribute):
            of = function.value.id if isinstance(function.value, ast.Name) else ""
            if function.attr in ("read_text", "read_bytes") or (
                function.attr in ("open", "load", "loads", "fdopen", "ZipFile", "GzipFile")
                and (of in _MODULES or function.attr == "open")
            ):
                yield node


def test_every_module_reads_within_the_limits() -> None:
    harness = here().root / "harness"
    for path in sorted(harness.rglob("*.py")):
        name = path.relative_to(harness).as_posix()
        # The stages of make reliability read what they and their own processes have just written.
        if name in _MAY or name.startswith("reliability/"):
            continue
        found = [call.lineno for call in reads(ast.parse(path.read_text()))]
        assert not found, f"{name} reads by itself in lines {found}: use harness/base/reading.py"
    # Readers past the limits are found.
    for line in (
        "json.loads(path.read_text())",
        "numpy.load(path)",
        "path.open('rb')",
        "open(path)",
        "tarfile.open(path)",
        "zipfile.ZipFile(path)",
    ):
        assert list(reads(ast.parse(line)))
    assert not list(reads(ast.parse("reading.json_file(path); bench_record.load(path)")))
