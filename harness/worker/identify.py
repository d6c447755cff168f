"""Tells harness.build.own what the MXNet of PYTHONPATH is, and whether its MKL-DNN works.

``python -m harness.worker.identify OUT.json`` writes the facts twice: after the import, and after
a convolution, in which an MKL-DNN that does not belong to this libmxnet.so may crash.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

import mxnet as mx
import numpy

from harness.base import files
from harness.worker import counters
from patches.python.mkldnn_opcache.library import LIBRARY, mapped

_LIBRARIES = ("libmxnet.so", "libmkldnn", "libdnnl")


def main(out: Path) -> None:
    """Write the facts of this process to ``out``."""
    facts: Dict[str, Any] = {
        "package": mx.__file__,
        "version": mx.__version__,
        "libraries": sorted({path for name in _LIBRARIES for path in mapped(name)}),
    }
    cache = counters.open_cache()
    _write(out, facts)
    facts["wrong"] = _wrong_convolution()
    facts["stats"] = counters.read(cache)
    facts["cache"] = None if cache is None else "needed" if mapped(LIBRARY) else "inside"
    _write(out, facts)


def _write(out: Path, facts: Dict[str, Any]) -> None:
    files.write_text(out, json.dumps(facts) + "\n")


def _wrong_convolution() -> str:
    """Tell what is wrong with a convolution, "" if nothing is."""
    try:
        return "" if _convolution_is_right() else "gave wrong results"
    except mx.base.MXNetError as error:
        first = str(error).splitlines()[0]
        return "failed: " + re.sub(r"^\[[\d:]+\] ", "", first)  # without the time


def _convolution_is_right() -> bool:
    """Compare a convolution and its gradient with NumPy's, in integers, which are exact."""
    channels, side, kernel = 16, 6, 3
    data = numpy.arange(channels * side * side).reshape(channels, side, side) % 7
    weight = numpy.arange(channels * channels * kernel * kernel) % 5
    weight = weight.reshape(channels, channels, kernel, kernel)
    inner = range(side - kernel + 1)
    patches = numpy.array([[data[:, y : y + kernel, x : x + kernel] for x in inner] for y in inner])
    x, w = mx.nd.array(data[None], dtype="float32"), mx.nd.array(weight, dtype="float32")
    w.attach_grad()
    for _ in range(2):
        with mx.autograd.record():
            y = mx.nd.Convolution(x, w, kernel=(kernel, kernel), num_filter=channels, no_bias=True)
        y.backward()
    right = [
        (y.asnumpy()[0], numpy.einsum("yxcij,ocij->oyx", patches, weight)),
        (w.grad.asnumpy(), numpy.broadcast_to(patches.sum((0, 1)), weight.shape)),
    ]
    return all(numpy.array_equal(found, expected) for found, expected in right)


def _arguments(words: List[str]) -> Path:
    if len(words) != 1:
        sys.exit("usage: python -m harness.worker.identify OUT.json")
    return Path(words[0])


if __name__ == "__main__":
    main(_arguments(sys.argv[1:]))
