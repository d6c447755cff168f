"""Trains a small network, and prints the hash of its parameters and what the cache did, as JSON.

Runs under Python 2.7 to 3.13, on every MXNet release.
"""

import hashlib
import json
import os
import sys

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

STEPS, BATCH = 6, 4


def network():
    """Return a network with each kind of primitive that the cache knows best."""
    net = gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(gluon.nn.Conv2D(16, 3, padding=1), gluon.nn.BatchNorm())
        net.add(gluon.nn.Activation("relu"), gluon.nn.MaxPool2D())
        net.add(gluon.nn.Conv2D(16, 3, padding=1, activation="relu"), gluon.nn.AvgPool2D())
        net.add(gluon.nn.Flatten(), gluon.nn.Dense(8))
    net.initialize(mx.init.Xavier())
    return net


def train():
    """Return the SHA-256 of the parameters after ``STEPS`` steps."""
    mx.random.seed(1)
    numbers = np.random.RandomState(1)
    net, loss = network(), gluon.loss.SoftmaxCrossEntropyLoss()
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9})
    for _ in range(STEPS):
        x = nd.array(numbers.uniform(-1, 1, (BATCH, 3, 16, 16)))
        y = nd.array(numbers.randint(0, 8, (BATCH,)))
        with autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(BATCH)
    total = hashlib.sha256()
    for _, parameter in sorted(net.collect_params().items()):
        total.update(parameter.data().asnumpy().tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    seen = {"hash": train(), "mxnet": mx.__version__, "numpy": np.__version__}
    with open("/proc/self/maps") as maps:
        seen["library"] = "libmkldnn_opcache" in maps.read()
    seen["python"], seen["process"] = list(sys.version_info[:2]), os.getpid()
    print(json.dumps(seen))
