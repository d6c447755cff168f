"""A training on disk after an epoch: one file, whole or absent.

Holds every parameter, auxiliary state and momentum, the results of the epochs, and the settings,
which another training must not continue. Checkpoints are written between epochs, whose random
numbers follow from the seed and the epoch's number: no state of a generator has to be saved.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy

from harness.base import archives, files, reading
from harness.base.errors import HarnessError

FILE = "checkpoint.npz"
_STATE = "state.json"

# Momenta are named after the number of their parameter.
_NAME = re.compile(r"parameter:.+|momentum:[0-9]{1,6}", re.ASCII)

Arrays = Dict[str, numpy.ndarray]


def digest(arrays: Mapping[str, numpy.ndarray]) -> str:
    """Return one SHA-256 over all arrays' names, shapes and bits."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(numpy.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def save(folder: Path, arrays: Arrays, trained: Mapping[str, Any], epochs: List[Any]) -> None:
    """Write the arrays by name, with the settings ``trained`` and the results of the ``epochs``."""
    state = json.dumps({"trained": dict(trained), "epochs": epochs}, allow_nan=False)
    buffer = io.BytesIO()
    numpy.savez(buffer, **{_STATE: numpy.frombuffer(state.encode(), numpy.uint8)}, **arrays)
    files.write_bytes(folder / FILE, buffer.getvalue())


def epochs(folder: Path) -> List[Dict[str, Any]]:
    """Return the results of the finished epochs."""
    path = folder / FILE
    if not os.path.lexists(path):
        return []
    return list(_read(path, arrays=False)[0]["epochs"])


def load(folder: Path, trained: Mapping[str, Any]) -> Optional[Tuple[Arrays, List[Any]]]:
    """Return the arrays and the epochs' results, or None where there is no checkpoint.

    Raises HarnessError for a damaged file, or one of another training than ``trained``.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    state, arrays = _read(path, arrays=True)
    if state["epochs"] and digest(arrays) != state["epochs"][-1].get(
        "state_sha256", digest(arrays)
    ):
        raise HarnessError(f"{path}: the arrays are not those of its last epoch: delete it")
    for name in sorted({*trained, *state["trained"]}):
        kept, asked = state["trained"].get(name), trained.get(name)
        if kept != asked:
            raise HarnessError(f"{path}: {name}: checkpoint={kept}, asked={asked}")
    return arrays, state["epochs"]


def _read(path: Path, arrays: bool) -> Tuple[Dict[str, Any], Arrays]:
    found = archives.npz(path, "a checkpoint", None if arrays else [_STATE])
    try:
        state = reading.json_value(found.pop(_STATE).tobytes())
        trained, epochs = state["trained"], state["epochs"]
        if not isinstance(trained, dict) or not all(isinstance(each, dict) for each in epochs):
            raise TypeError("what was trained, or an epoch, is no object")
        for name in found:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r:.60} is no parameter and no momentum")
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(
            f"{path}: expected a checkpoint, found damage ({error}): delete it to start again"
        ) from error
    return {"trained": trained, "epochs": list(epochs)}, found
