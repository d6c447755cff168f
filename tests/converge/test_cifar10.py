"""The loader of CIFAR-10: every form the data comes in, and every way in which it can be wrong."""

from __future__ import annotations

import functools
import hashlib
import http.server
import lzma
import re
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

import numpy
import pytest
from pytest import CaptureFixture, MonkeyPatch

from harness.converge import cifar10
from harness.converge.cifar10 import TEST_FILE, TRAINING_FILES
from tests.support.commands import refusal, tar_gz

RECORDS = 20
RECORD_BYTES = 3073
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10"


@pytest.fixture
def files(monkeypatch: MonkeyPatch) -> Dict[str, bytes]:
    """The six files of a small data set; the label of record i is i % 10, its pixels vary."""
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    found = {}
    for number, name in enumerate((*TRAINING_FILES, TEST_FILE)):
        random = numpy.random.default_rng(number)
        records = random.integers(256, size=(RECORDS, RECORD_BYTES), dtype=numpy.uint8)
        records[:, 0] = numpy.arange(RECORDS) % 10
        found[name] = records.tobytes()
    return found


def write(folder: Path, files: Dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(files: Dict[str, bytes], top: str = "cifar-10-batches-bin/") -> bytes:
    return tar_gz((top + name, content) for name, content in files.items())


def check_content(data: cifar10.DataSet, files: Dict[str, bytes]) -> None:
    assert data.source == "CIFAR-10"
    assert data.training.pixels.shape == (5 * RECORDS, 3, 32, 32)
    assert data.training.labels.tolist() == [i % 10 for i in range(RECORDS)] * 5
    third = files[TRAINING_FILES[2]]
    expected = numpy.frombuffer(third, numpy.uint8)[1 + RECORD_BYTES : 2 * RECORD_BYTES]
    found = data.training.pixels[2 * RECORDS + 1]
    assert found.tobytes() == expected.tobytes()
    # Planes of red, green and blue, row by row.
    assert found[2, 5, 7] == expected[2 * 1024 + 5 * 32 + 7]
    assert data.validation.pixels.tobytes()[:3072] == files[TEST_FILE][1:RECORD_BYTES]


FORMS = ("folder", "packed", "archive")


def lay_out(files: Dict[str, bytes], folder: Path, form: str) -> Path:
    """Write the data set in one of its forms; return the folder."""
    if form == "archive":
        files = {"cifar-10-binary.tar.gz": archive(files)}
    elif form == "packed":
        files = {f"{name}.xz": lzma.compress(content) for name, content in files.items()}
    return write(folder, files)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(files: Dict[str, bytes], tmp_path: Path, form: str) -> None:
    folder = lay_out(files, tmp_path, form)
    check_content(cifar10.load(folder, tmp_path), files)
    if form == "archive":
        check_content(cifar10.load(folder / "cifar-10-binary.tar.gz", tmp_path), files)


def test_environment_names_folder(
    files: Dict[str, bytes], tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_DIR", str(write(tmp_path, files)))
    check_content(cifar10.load(None, tmp_path / "cache"), files)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-1], "expected 61460 bytes of CIFAR-10, found 61459"),
        (lambda data: data + b"\0", "expected 61460 bytes of CIFAR-10, found more"),
        (
            lambda data: data[: 7 * RECORD_BYTES] + b"\x0a" + data[7 * RECORD_BYTES + 1 :],
            "record 7: expected a label below 10, found 10",
        ),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_damaged_file(
    files: Dict[str, bytes], tmp_path: Path, damage: Callable[[bytes], bytes], said: str, form: str
) -> None:
    files["data_batch_4.bin"] = damage(files["data_batch_4.bin"])
    said = f"data_batch_4.bin{'.xz' if form == 'packed' else ''}: {said}"
    lay_out(files, tmp_path, form)
    found = refusal(cifar10.load, tmp_path, tmp_path)
    assert said in found and "\n" not in found


def test_missing_file_and_folder_are_named(files: Dict[str, bytes], tmp_path: Path) -> None:
    del files["data_batch_5.bin"]
    said = refusal(cifar10.load, write(tmp_path, files), tmp_path)
    assert "data_batch_5.bin: No such file" in said
    said = refusal(cifar10.load, tmp_path / "nowhere", tmp_path)
    assert "nowhere: expected a folder of CIFAR-10" in said


def test_hostile_archive_writes_nothing(files: Dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "side").mkdir()
    path = tmp_path / "side" / "cifar-10-binary.tar.gz"
    path.write_bytes(archive(files, top="../"))
    before = sorted(tmp_path.rglob("*"))
    check_content(cifar10.load(path, path.parent), files)
    assert sorted(tmp_path.rglob("*")) == before


class _Answers(http.server.BaseHTTPRequestHandler):
    """Gives the bytes that its server was made with, whatever is asked."""

    def do_GET(self) -> None:
        self.wfile.write(self.server.answer)  # type: ignore[attr-defined]

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    answer = b"HTTP/1.0 404 Not Found\r\n\r\n"

    def handle_error(self, *args: object) -> None:
        """Print nothing when the reader closes the connection."""


Answer = Callable[[bytes], None]


@pytest.fixture
def answering(files: Dict[str, bytes], monkeypatch: MonkeyPatch) -> Iterator[Answer]:
    """Have a server on this machine give this whole answer, in the place of the official page."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{port}/cifar-10-binary.tar.gz")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield functools.partial(setattr, server, "answer")
        server.shutdown()
        thread.join()


def served(content: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


def test_download_is_checked_and_cached(
    files: Dict[str, bytes], answering: Answer, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    content, cache = archive(files), tmp_path / "cache"
    # A stated length that is no number is not believed.
    for answer in (b"HTTP/1.0 200 OK\r\nContent-Length: lots\r\n\r\nabc", served(content)):
        answering(answer)
        said = refusal(cifar10.load, None, cache)
        assert re.search(f"expected md5 {cifar10.MD5}, found .*; discarded", said)
        assert not list(cache.rglob("*.gz"))

    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(content).hexdigest())
    check_content(cifar10.load(None, cache), files)
    answering(b"")
    check_content(cifar10.load(None, cache), files)

    # The cached archive is checked each time.
    other = archive({**files, TEST_FILE: files[TRAINING_FILES[0]]})
    (cache / "cifar-10-binary.tar.gz").write_bytes(other)
    said = refusal(cifar10.load, None, cache)
    assert re.search("expected md5 .*: delete it to have it downloaded", said)


def test_download_without_end_is_given_up(
    files: Dict[str, bytes], answering: Answer, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    answering(served(archive(files)))
    for limit, value, message in (
        ("_MOST_BYTES", 1000, "expected 1000 bytes at most, found more"),
        ("_MOST_DOWNLOAD_S", 0.0, "not there after 0 s: given up"),
    ):
        with monkeypatch.context() as limited:
            limited.setattr(cifar10, limit, value)
            assert message in refusal(cifar10.load, None, tmp_path / "cache")


# An answer, and why there is no real data then.
ANSWERS: Dict[str, Tuple[bytes, str]] = {
    "to a file": (b"HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "InvalidSchema"),
    "in a circle": (b"HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n", "TooManyRedirects"),
    "cut": (b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nabc", "ChunkedEncodingError"),
    "cut in a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\nabc",
        "ChunkedEncodingError",
    ),
    "no gzip": (b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc", "ContentDecodingError"),
    "nothing": (b"", "ConnectionError"),
    "an error": (b"HTTP/1.0 500 No\r\n\r\n", "HTTPError"),
    "absent": (_Server.answer, "HTTPError"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_broken_downloads_are_not_cached(
    answering: Answer, what: str, tmp_path: Path, capsys: CaptureFixture, monkeypatch: MonkeyPatch
) -> None:
    """Synthetic data takes the place of real data, and a line reports it."""
    monkeypatch.setattr(cifar10.synthetic, "__defaults__", (20, 5, 1))  # soon made
    answer, reason = ANSWERS[what]
    answering(answer)
    assert cifar10.load(None, tmp_path / "cache").source == "synthetic"
    said = f"cannot be downloaded ({reason}): training on synthetic data"
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.gz"))


def test_interrupted_download_leaves_nothing(
    files: Dict[str, bytes], answering: Answer, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    answering(served(archive(files)))
    monkeypatch.setattr(cifar10.time, "monotonic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cifar10.load(None, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*"))


def test_synthetic_data_is_reproducible_and_can_be_learned() -> None:
    one, two = (cifar10.synthetic(training=200, validation=50) for _ in range(2))
    assert one.training.pixels.tobytes() == two.training.pixels.tobytes()
    assert one.training.pixels.shape == (200, 3, 32, 32)
    assert set(one.training.labels.tolist()) == set(range(10))
    # By the nearest mean of the spectrum's magnitudes, which shifts do not change.
    data = cifar10.synthetic(training=1000, validation=300)

    def features(images: cifar10.Images) -> numpy.ndarray:
        spectrum = numpy.abs(numpy.fft.fft2(images.pixels))[:, :, :5, :5].reshape(-1, 75)
        return spectrum / numpy.linalg.norm(spectrum[:, 1:], axis=1, keepdims=True)

    known = features(data.training)
    means = numpy.stack([known[data.training.labels == c].mean(axis=0) for c in range(10)])
    distances = ((features(data.validation)[:, None] - means) ** 2)[:, :, 1:].sum(axis=2)
    right = distances.argmin(axis=1) == data.validation.labels
    assert right.mean() > 0.5  # by chance 0.1


def test_real_data_is_read(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("the real CIFAR-10 is not beside the project")
    data = cifar10.load(REAL, tmp_path)
    assert numpy.bincount(data.training.labels).tolist() == [5000] * 10
    assert numpy.bincount(data.validation.labels).tolist() == [1000] * 10
    # Published for the training images: mean 125.3, 123.0, 113.9.
    means = data.training.pixels.mean(axis=(0, 2, 3))
    assert means == pytest.approx([125.307, 122.950, 113.865], abs=1e-3)
