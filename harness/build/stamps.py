"""Stamps: every product of the build has one, with the hashes of its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping

from harness.base import files, reading

NAME = ".opcache-stamp.json"  # in a folder that is a product


def current(stamp: Path, inputs: Mapping[str, str]) -> bool:
    """Return whether the product with the file ``stamp`` was made from ``inputs``."""
    if not stamp.is_file():
        return False
    return reading.content(stamp, reading.MOST_TEXT_BYTES) == _text(inputs).encode()


def write(stamp: Path, inputs: Mapping[str, str]) -> None:
    """Write the stamp of a product that is complete."""
    files.write_text(stamp, _text(inputs))


def _text(inputs: Mapping[str, str]) -> str:
    return json.dumps(inputs, indent=1, sort_keys=True) + "\n"
