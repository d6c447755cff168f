"""CIFAR-10 in its official binary version, local or downloaded, and a synthetic stand-in.

A file of the data set holds records of one label byte and 3,072 bytes of a 32x32 image (red, green
and blue planes, row by row). Source: Krizhevsky 2009, "Learning Multiple Layers of Features from
Tiny Images", and https://www.cs.toronto.edu/~kriz/cifar.html. Reads archives member by member:
nothing of a download is unpacked to disk.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import List, Optional, Tuple

import numpy
import requests
from tqdm import tqdm

from harness.base import archives, files, reading
from harness.base.console import say
from harness.base.errors import HarnessError
from harness.converge.dataset import CLASSES, SIDE, DataSet, Images

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # published beside the link
TRAINING_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
RECORDS = 10_000  # per file
_IMAGE_BYTES = 3 * SIDE * SIDE
_RECORD_BYTES = 1 + _IMAGE_BYTES
_ARCHIVE = "cifar-10-binary.tar.gz"
_TIMEOUT_S = 20  # between two parts of an answer
_MOST_DOWNLOAD_S = 3600.0
# The official archive has 170,052,171 bytes, 184,380,000 when unpacked.
_MOST_BYTES = 200 * 2**20


def load(folder: Optional[Path], cache: Path) -> DataSet:
    """Return the data set in ``folder``, else in ``$CIFAR10_DIR``, else downloaded to ``cache``.

    ``folder`` holds the six .bin files, each possibly as .bin.xz, or the official archive, or is
    that archive. Without data and network the data set is synthetic. Raises HarnessError,
    which names the file, for a missing or truncated file and for one that is not CIFAR-10.
    """
    chosen = folder or _from_environment()
    if chosen is not None:
        return _read(chosen)
    archive = cache / _ARCHIVE
    if not archive.is_file():
        try:
            _download(archive)
        except requests.RequestException as error:
            say(
                f"CIFAR-10 cannot be downloaded ({type(error).__name__}): training on synthetic "
                "data; name a folder with --data-dir or CIFAR10_DIR to train on the real one"
            )
            return synthetic()
    # Checked each time: the file may have changed since the download.
    found = reading.digest(archive, "md5", _MOST_BYTES)
    if found != MD5:
        raise HarnessError(
            f"{archive}: expected md5 {MD5}, found {found}: delete it to have it downloaded again"
        )
    return _read(archive)


def _from_environment() -> Optional[Path]:
    named = os.environ.get("CIFAR10_DIR")
    return Path(named) if named else None


def _download(archive: Path) -> None:
    with requests.get(URL, stream=True, timeout=_TIMEOUT_S) as response:
        response.raise_for_status()
        stated = response.headers.get("Content-Length", "")
        total = int(stated) if stated.isascii() and stated.isdigit() else None
        digest, chunks, started_s = hashlib.md5(), [], time.monotonic()
        with tqdm(total=total, unit="B", unit_scale=True, desc=_ARCHIVE) as progress:
            for chunk in response.iter_content(1 << 16):
                digest.update(chunk)
                chunks.append(chunk)
                progress.update(len(chunk))
                if progress.n > _MOST_BYTES:
                    raise HarnessError(f"{URL}: expected {_MOST_BYTES} bytes at most, found more")
                if time.monotonic() - started_s > _MOST_DOWNLOAD_S:
                    raise HarnessError(f"{URL}: not there after {_MOST_DOWNLOAD_S:g} s: given up")
    if digest.hexdigest() != MD5:
        raise HarnessError(f"{URL}: expected md5 {MD5}, found {digest.hexdigest()}; discarded")
    files.write_bytes(archive, b"".join(chunks))


def _read(path: Path) -> DataSet:
    if path.is_dir() and (path / _ARCHIVE).is_file():
        path = path / _ARCHIVE
    if path.is_dir():
        parts = [_images(*_from_folder(path, name)) for name in (*TRAINING_FILES, TEST_FILE)]
    elif path.exists():
        parts = _from_archive(path)
    else:
        raise HarnessError(f"{path}: expected a folder of CIFAR-10 or its archive, found none")
    training = Images(
        numpy.concatenate([part.pixels for part in parts[:-1]]),
        numpy.concatenate([part.labels for part in parts[:-1]]),
    )
    return DataSet(training, parts[-1], "CIFAR-10")


def _from_folder(folder: Path, name: str) -> Tuple[Path, bytes]:
    plain, compressed = folder / name, folder / f"{name}.xz"
    path = plain if plain.is_file() or not compressed.is_file() else compressed
    # One byte more than allowed shows that a file is too long, without reading all of it.
    most = RECORDS * _RECORD_BYTES
    if path is compressed:
        return path, archives.xz(path, most, "an xz file")
    with reading.opened(path, _MOST_BYTES) as file:
        return path, file.read(most + 1)


def _from_archive(path: Path) -> List[Images]:
    members = archives.tar_gz(
        path,
        (*TRAINING_FILES, TEST_FILE),
        RECORDS * _RECORD_BYTES,
        _MOST_BYTES,
        "the archive of CIFAR-10",
    )
    found = {n: _images(Path(f"{path}:{full}"), data) for n, (full, data) in members.items()}
    missing = [name for name in (*TRAINING_FILES, TEST_FILE) if name not in found]
    if missing:
        raise HarnessError(f"{path}: expected {missing[0]} in it, found none")
    return [found[name] for name in (*TRAINING_FILES, TEST_FILE)]


def _images(path: Path, content: bytes) -> Images:
    expected = RECORDS * _RECORD_BYTES
    if len(content) != expected:
        found = "more" if len(content) > expected else str(len(content))
        raise HarnessError(f"{path}: expected {expected} bytes of CIFAR-10, found {found}")
    records = numpy.frombuffer(content, dtype=numpy.uint8).reshape(RECORDS, _RECORD_BYTES)
    labels = records[:, 0]
    if labels.max() >= CLASSES:
        wrong = int(numpy.argmax(labels >= CLASSES))
        raise HarnessError(
            f"{path}: record {wrong}: expected a label below {CLASSES}, found {labels[wrong]}"
        )
    return Images(records[:, 1:].reshape(RECORDS, 3, SIDE, SIDE), labels)


def synthetic(training: int = 5000, validation: int = 1000, seed: int = 1) -> DataSet:
    """Return a generated data set of the same shape that a network can learn.

    Each class is a smooth pattern, shifted, with a random contrast and noise.
    """
    random = numpy.random.default_rng(seed)
    coarse = random.normal(size=(CLASSES, 3, 4, 4))
    patterns = numpy.kron(coarse, numpy.ones((1, 1, SIDE // 4, SIDE // 4)))

    def images(count: int) -> Images:
        labels = random.integers(CLASSES, size=count).astype(numpy.uint8)
        pixels = numpy.empty((count, 3, SIDE, SIDE), dtype=numpy.uint8)
        for i, label in enumerate(labels):
            shifted = numpy.roll(patterns[label], random.integers(SIDE, size=2), axis=(1, 2))
            value = 128 + random.uniform(15, 40) * shifted + random.normal(0, 25, shifted.shape)
            pixels[i] = numpy.clip(value, 0, 255).astype(numpy.uint8)
        return Images(pixels, labels)

    return DataSet(images(training), images(validation), "synthetic")
