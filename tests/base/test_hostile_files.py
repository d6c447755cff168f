"""Files made to do harm: every reader refuses each in one line, soon, in little memory.

``READERS`` holds everything that reads a file of the user's, the network's or an earlier run's;
a test finds readers that go past harness/base/reading.py.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
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
from typing import Callable, Dict, Iterator, Tuple

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
from tests.support.commands import tar_gz

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


# KIND stands for the kind of the record that is expected.
HOSTILE_JSON: Dict[str, bytes] = {
    "many wrong values": b'{"kind": KIND, "schema_version": 1, "curves": [%s0]}'
    % (b"0," * 900_000),
    "NaN": b'{"kind": KIND, "schema_version": NaN}',
    "truncated": b'{"kind": KIND, "schema_vers',
    "another kind": b'{"kind": "other", "schema_version": 1}',
    "a name of lines": b'{"kind": KIND, "schema_version": 1, "a\\nb\\u001b[2J": 1}',
}
# Lines of JSON and a file of JSON: all other records go through the second of these readers.
KINDS = {"bench": bench_record.BenchRecord.KIND, "converge": converge_record.ConvergeRecord.KIND}
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
# Reader, what is wrong with a file, and its content.
HOSTILE = [
    *((n, *each) for n in READERS if n not in ("text", "digest") for each in ANY.items()),
    *((n, *each) for n in TOML for each in HOSTILE_TOML.items()),
    *(
        (n, what, content.replace(b"KIND", json.dumps(kind).encode()) + b"\n")
        for n, kind in KINDS.items()
        for what, content in HOSTILE_JSON.items()
    ),
]


@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param(name, content, id=f"{what}-{name}") for name, what, content in HOSTILE],
)
def test_hostile_files_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAMES.get(name, "file")
    path.write_bytes(content)
    # Readers of a folder name another file in it.
    named = path if name in (*JSON, *TOML) else tmp_path
    assert str(named) in refusal(READERS[name], path)


# Most of it is JSON to the standard library.
STRICTLY_NOT_JSON = {
    **{text: text for text in ("NaN", "-Infinity", "[1e400]", '{"a": 1, "a": 2}', '"\\ud800"')},
    "a large integer": "9" * 4000,
    "deep lists": "[" * 66 + "]" * 66,
    "deeper lists": "[" * 1_000_000,
    "deep objects": '{"a":' * 900 + "1" + "}" * 900,
    "many values": "[" + "0," * 2_000_000 + "0]",
    "many lists": "[" + "[]," * 700_000 + "[]]",
}


@pytest.mark.parametrize("what", STRICTLY_NOT_JSON)
def test_more_than_json_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(STRICTLY_NOT_JSON[what])
    assert refusal(reading.json_file, path).startswith(f"{path}: truncated or not JSON: ")


def test_all_that_json_is_made_of_is_read(tmp_path: Path) -> None:
    value = {"a": [1, -2.5, 1e-300, True, None, "ü\U0001f600\n", 2**63, {}], "b": {"": []}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    assert reading.json_file(path) == value
    nested = "[" * reading.MOST_DEPTH + "1" + "]" * reading.MOST_DEPTH
    assert str(reading.json_value(nested.encode())) == nested


DAMAGE: Dict[str, Callable[[bytes], bytes]] = {
    "wrong checksum": lambda data: data.replace(b"xyz", b"xYz"),
    "truncated": lambda data: data[:-500],
    "one array": lambda data: data[data.index(b"\x93NUMPY") :],
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_arrays_are_refused(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES.get(name, "file.npz")
    numpy.savez(path, a=numpy.frombuffer(b"xyz" * 300, numpy.uint8))
    path.write_bytes(DAMAGE[what](path.read_bytes()))
    said = refusal(READERS[name], path)
    assert str(path) in said and "found damage" in said


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (b"[]", "parameter:a"),
        (b'{"trained": 1, "epochs": []}', "parameter:a"),
        (b'{"trained": {}, "epochs": [1]}', "parameter:a"),
        (b'{"trained": {}, "epochs": [{"state_sha256": "0"}]}', "parameter:a"),
        *((b'{"trained": {}, "epochs": []}', name) for name in ("a", "momentum:x", "parameter:")),
    ],
)
def test_checkpoints_of_a_wrong_form_are_refused(state: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / checkpoint.FILE
    numpy.savez(path, **{"state.json": numpy.frombuffer(state, numpy.uint8), name: numpy.ones(3)})
    assert str(path) in refusal(READERS["checkpoint"], path)


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


def tar_of(*members: Tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    return tar_gz(((f"cifar-10-batches-bin/{name}", *rest) for name, *rest in members), kind, link)


def of_all(kind: bytes, link: str = "") -> bytes:
    """A tar.gz in which all files of CIFAR-10 are of another kind."""
    return tar_of(*((name, b"") for name in ALL), kind=kind, link=link)


BATCH = "data_batch_1.bin"
ALL = (*cifar10.TRAINING_FILES, cifar10.TEST_FILE)
TARS: Dict[str, Callable[[], bytes]] = {
    "bomb": lambda: tar_of(("x", bytes(300 * 2**20))),
    "long file": lambda: tar_of((BATCH, bytes(100 * 2**20))),
    "link": lambda: of_all(tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": lambda: of_all(tarfile.LNKTYPE, "/etc/x"),
    "device": lambda: of_all(tarfile.CHRTYPE),
    "fifo": lambda: of_all(tarfile.FIFOTYPE),
    "sparse": lambda: of_all(tarfile.GNUTYPE_SPARSE),
    "twice": lambda: tar_of((BATCH, b"x"), (BATCH, b"y")),
    "long pax header": lambda: tar_of(("x", b"1" * 10_000_000), kind=tarfile.XHDTYPE),
    "long global header": lambda: tar_of(("x", b"1" * 10_000_000), kind=tarfile.XGLTYPE),
    "long name": lambda: tar_of(("x", b"1" * 10_000_000), kind=tarfile.GNUTYPE_LONGNAME),
    "headers of headers": lambda: tar_of(*[("x", b"")] * 5000, kind=tarfile.XHDTYPE),
    "many members": lambda: tar_of(*((f"{i}", b"") for i in range(1_100))),
    "truncated": lambda: tar_of((BATCH, bytes(1000)))[:-30],
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


# What gives a module the right to read by itself, and the modules that do.
_MAY = {
    "it is the one place": "base/reading.py",
    "what reading.py opened": "base/archives.py",
    "a text that reading.py read": "base/toml.py",
    "the end of a file that it writes": "base/jsonl.py",
    "what Linux says of itself": "base/hardware.py base/proc.py",
    "to write": "base/files.py build/tags.py bench/kit/command.py",
    "its own stamp, before anything is installed": "bootstrap.py",
    "a part of this package": "publish/report/page.py",
    "a wheel of the pinned hash": "build/wheels.py",
    "a wheel that the build packed": "build/sbom.py",
    "what the build wrote": "build/trees.py",
    "a part of this project": "build/wheel.py build/source_patch.py",
    "a tree that came from a wheel of the pinned hash": "build/patching.py",
    "to have Linux forget it, not to read it": "bench/command.py",
    "what a process of its own said": "trials/group.py microbench/command.py",
    "what a process of its own left": "verify/bitwise.py",
    "a pipe of its own": "worker/fork.py",
    "what MXNet says of a network": "worker/network.py worker/facts.py",
}
_READS = re.compile(
    r"(?<![\w.])open\(|\.(read_text|read_bytes|open)\(|ZipFile\(|"
    r"\b(json|numpy|pickle|tarfile|lzma|gzip|bz2|tomli|os)\.(loads?|fdopen|GzipFile)\("
)


def test_every_module_reads_within_the_limits() -> None:
    harness, may = here().root / "harness", " ".join(_MAY.values()).split()
    for path in sorted(harness.rglob("*.py")):
        name = path.relative_to(harness).as_posix()
        # The stages of make reliability read what they and their own processes have just written.
        if name not in may and not name.startswith("reliability/"):
            found = [line for line in path.read_text().splitlines() if _READS.search(line)]
            assert not found, f"{name} reads by itself: use harness/base/reading.py: {found}"
    # Readers past the limits are found.
    readers = "json.loads(a) numpy.load(a) a.open('rb') open(a) tarfile.open(a) ZipFile(a)"
    assert [each for each in readers.split() if not _READS.search(each)] == []
    assert not _READS.search("reading.json_file(path); bench_record.load(path)")
