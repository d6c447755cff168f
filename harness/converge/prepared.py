"""A data set as one file that training processes read: checked once, then only by its digest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy

from harness.base import archives, files
from harness.base.errors import HarnessError
from harness.converge import checkpoint
from harness.converge.dataset import DataSet, Images, Source


def save(folder: Path, data: DataSet) -> Path:
    """Write the data set into ``folder`` and return the file: its name's stem is the digest."""
    path = folder / f"{digest(data)}.npz"
    if not path.is_file():
        buffer = io.BytesIO()
        numpy.savez(buffer, source=numpy.array(data.source), **_arrays(data))
        files.write_bytes(path, buffer.getvalue())
    return path


def load(path: Path, expected: str) -> DataSet:
    """Read a file that ``save`` wrote; HarnessError when its digest is not ``expected``."""
    file = archives.npz(path, "prepared images")
    try:
        data = DataSet(
            Images(file["training_pixels"], file["training_labels"]),
            Images(file["validation_pixels"], file["validation_labels"]),
            _source(str(file["source"])),
        )
    except KeyError as error:
        raise HarnessError(f"{path}: expected prepared images, found no {error}") from error
    found = digest(data)
    if found != expected:
        raise HarnessError(f"{path}: expected sha256 {expected}, found {found}")
    return data


def digest(data: DataSet) -> str:
    """Return a SHA-256 over all images and labels."""
    return checkpoint.digest(_arrays(data))


def _arrays(data: DataSet) -> checkpoint.Arrays:
    return {
        "training_pixels": data.training.pixels,
        "training_labels": data.training.labels,
        "validation_pixels": data.validation.pixels,
        "validation_labels": data.validation.labels,
    }


def _source(text: str) -> Source:
    return "CIFAR-10" if text == "CIFAR-10" else "synthetic"
