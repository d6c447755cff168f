"""Times training steps of a small network in the user's interpreter.

`PYTHON -c THIS OUT` writes JSON: the time of each step, and the cache library's counters over all.
Every Python from 2.7 on can parse this file. Needs MXNet, NumPy and the cache, in MXNet or
preloaded; the environment chooses the scope.
"""

import ctypes
import json
import sys
import time

import mxnet
import numpy

WARM_UP_STEPS = 4
TIMED_STEPS = 12
SIDE = 64  # pixels; the steps of one small image are short, and creation weighs most

_clock = getattr(time, "perf_counter", time.time)


def main(out):
    # type: (str) -> None
    """Train, and write the times and counters to the file ``out``."""
    numpy.random.seed(1)
    mxnet.random.seed(1)
    training = _training()
    for _ in range(WARM_UP_STEPS):
        _timed_step(training)
    cache = _cache()
    cache.mkldnn_opcache_stats_json.restype = ctypes.c_size_t
    cache.mkldnn_opcache_reset_stats()
    times = [_timed_step(training) for _ in range(TIMED_STEPS)]
    text = ctypes.create_string_buffer(1 << 16)
    cache.mkldnn_opcache_stats_json(text, ctypes.c_size_t(len(text)))
    with open(out, "w") as file:
        json.dump({"step_ns": times, "counters": json.loads(text.value.decode())}, file)


def _cache():
    # type: () -> ctypes.CDLL
    """Return the library with the cache: libmxnet.so, or what it needs, else the preloaded one."""
    library = mxnet.base._LIB
    is_in_mxnet = hasattr(library, "mkldnn_opcache_stats_json")
    return library if is_in_mxnet else ctypes.CDLL("libmkldnn_opcache.so")


def _training():
    # type: () -> dict
    net = mxnet.gluon.model_zoo.vision.get_model("mobilenet1.0", pretrained=False)
    net.initialize(mxnet.init.Xavier())
    net.hybridize()
    optimizer = {"learning_rate": 0.01, "momentum": 0.9}
    return {
        "net": net,
        "loss": mxnet.gluon.loss.SoftmaxCrossEntropyLoss(),
        "trainer": mxnet.gluon.Trainer(net.collect_params(), "sgd", optimizer, kvstore=None),
        "data": mxnet.nd.array(numpy.random.uniform(-1, 1, (1, 3, SIDE, SIDE))),
        "label": mxnet.nd.array([1]),
    }


def _timed_step(training):
    # type: (dict) -> int
    """Return a step's time in ns, from an idle MXNet to an idle MXNet."""
    mxnet.nd.waitall()
    start = _clock()
    with mxnet.autograd.record():
        errors = training["loss"](training["net"](training["data"]), training["label"])
    errors.backward()
    training["trainer"].step(1)
    mxnet.nd.waitall()
    return int(1e9 * (_clock() - start))


if __name__ == "__main__":
    main(sys.argv[1])
