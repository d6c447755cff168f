"""Images with labels: in memory, and as the one file that training processes read.

The file is named after its digest, which a process checks when it reads it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy
from typing_extensions import Literal

from harness.base import archives, files
from harness.base.errors import HarnessError
from harness.converge import checkpoint

Source = Literal["CIFAR-10", "synthetic"]

CLASSES = 10
SIDE = 32


@dataclass(frozen=True)
class Images:
    """``pixels`` are uint8 of shape (n, 3, 32, 32), ``labels`` uint8 of shape (n,) below 10."""

    pixels: numpy.ndarray
    labels: numpy.ndarray

    def first(self, count: Optional[int]) -> Images:
        """Return the first ``count`` images, or all for None."""
        return Images(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True)
class DataSet:
    """Training and validation images; ``source`` is ``CIFAR-10`` or ``synthetic``."""

    training: Images
    validation: Images
    source: Source


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
            "CIFAR-10" if str(file["source"]) == "CIFAR-10" else "synthetic",
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
