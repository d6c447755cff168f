"""Sessions that tests/package/test_api.py runs in processes, on the MXNet that PYTHONPATH names.

``python -m tests.support.api_session NAME [LIBRARY]`` prints what one of the functions below saw,
as JSON. With LIBRARY that file is loaded first, by mkldnn_opcache.load.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
from typing import Any, Callable, Dict, Iterator, List

import mkldnn_opcache

BURST = 20
# A network with all seven operators, batch size, image size.
NETWORK = ("seven-ops", 4, 32)
STEPS = 13  # after each but the last comes a change


def main(argv: List[str]) -> int:
    name, *library = argv
    if library:
        mkldnn_opcache.load(library[0])
        mkldnn_opcache.load(library[0])  # once more changes nothing
        assert not mkldnn_opcache.active()  # asked too early: MKL-DNN is not there yet
    json.dump(SESSIONS[name](), sys.stdout)
    return 0


def counted(block: Callable[[], Any]) -> Dict[str, int]:
    """Return by how much each total rose while ``block`` ran."""
    before = mkldnn_opcache.stats()["totals"]
    block()
    after = mkldnn_opcache.stats()["totals"]
    return {name: after[name] - before[name] for name in after}


def controls() -> Dict[str, Any]:
    """Train one convolution under every control."""
    import mxnet as mx

    # So much work that a burst of it is called faster than it is executed.
    data, weight = mx.nd.ones((8, 16, 64, 64)), mx.nd.ones((32, 16, 3, 3))
    weight.attach_grad()

    def enqueue(times: int = 1) -> None:
        for _ in range(times):
            with mx.autograd.record():
                loss = mx.nd.Convolution(data, weight, kernel=(3, 3), num_filter=32, no_bias=True)
            loss.backward()

    def train() -> None:
        enqueue(2)
        mx.nd.waitall()

    seen: Dict[str, Any] = {"active": mkldnn_opcache.active()}
    seen["version"] = mkldnn_opcache.stats()["version"]
    train()
    seen["on"] = counted(train)
    mkldnn_opcache.reset_stats()
    seen["reset"] = mkldnn_opcache.stats()["totals"]["primitives_avoided"]
    with mkldnn_opcache.disabled():
        seen["disabled"] = {**counted(train), "active": mkldnn_opcache.active()}
    seen["enabled"] = {**counted(train), "active": mkldnn_opcache.active()}
    seen["blocks"] = list(_blocks())
    seen["overlap"] = _overlap()

    def burst_outside() -> None:
        enqueue(BURST)
        with mkldnn_opcache.disabled():
            pass

    def burst_inside() -> None:
        with mkldnn_opcache.disabled():
            enqueue(BURST)

    seen["burst_outside"], seen["burst_inside"] = counted(burst_outside), counted(burst_inside)
    mx.nd.waitall()

    mkldnn_opcache.clear()
    seen["cleared"], seen["filled"] = counted(train), counted(train)
    mkldnn_opcache.set_capacity(0)
    seen["capacity_0"] = {**counted(train), "active": mkldnn_opcache.active()}
    seen["left"] = mkldnn_opcache.stats()["totals"]
    mkldnn_opcache.set_capacity(100)
    train()
    seen["capacity_100"] = {**counted(train), "capacity": mkldnn_opcache.capacity()}
    mkldnn_opcache.set_memory(2**20)
    mkldnn_opcache.clear()  # what was made before was not measured
    train()
    seen["memory"] = {**counted(train), **mkldnn_opcache.stats()["memory"]}
    mkldnn_opcache.set_memory(None)
    mkldnn_opcache.set_scope("off")
    seen["off"] = {**counted(train), "scope": mkldnn_opcache.scope()}
    mkldnn_opcache.set_scope("all")
    seen["all"] = {**counted(train), "scope": mkldnn_opcache.scope()}
    return seen


def _blocks() -> Iterator[bool]:
    """Yield whether the cache is active after each entry to, and way out of, a block."""
    with mkldnn_opcache.disabled():
        with mkldnn_opcache.disabled():
            yield mkldnn_opcache.active()
        yield mkldnn_opcache.active()
    yield mkldnn_opcache.active()
    try:
        with mkldnn_opcache.disabled():
            raise KeyError
    except KeyError:
        yield mkldnn_opcache.active()
    decorated = mkldnn_opcache.disabled()(mkldnn_opcache.active)
    yield decorated()
    yield decorated()
    yield mkldnn_opcache.active()


def _overlap() -> List[bool]:
    """Leave a block on one thread while another thread is in one; then leave that too."""
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with mkldnn_opcache.disabled():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with mkldnn_opcache.disabled():
        thread.start()
        inside.wait()
    seen = [mkldnn_opcache.active()]
    leave.set()
    thread.join()
    return [*seen, mkldnn_opcache.active()]


def changes() -> Dict[str, Any]:
    """Train as a HashJob does, but change the cache after every step; return the jobs' results.

    The Module is waited for before each change. Gluon is not: work is under way then.
    """
    from harness.trials.jobs import HashJob
    from harness.worker import __main__ as worker

    mx = worker.mx
    mx.mod.Module.update = _followed_by_change(mx.mod.Module.update, mx.nd.waitall)
    mx.gluon.Trainer.step = _followed_by_change(mx.gluon.Trainer.step, lambda: None)
    return {
        api: worker.run(HashJob(*NETWORK, steps=STEPS, api=api)) for api in ("module", "hybrid")
    }


def _followed_by_change(step: Callable[..., Any], wait: Callable[[], None]) -> Callable[..., None]:
    blocks = contextlib.ExitStack()
    changes: List[Callable[[], Any]] = [
        lambda: mkldnn_opcache.set_scope("off"),
        lambda: mkldnn_opcache.set_scope("all"),
        lambda: blocks.enter_context(mkldnn_opcache.disabled(wait=False)),
        blocks.close,
        lambda: mkldnn_opcache.set_capacity(3),
        mkldnn_opcache.clear,
        lambda: mkldnn_opcache.set_capacity(0),
        lambda: mkldnn_opcache.set_capacity(4096),
        lambda: mkldnn_opcache.set_memory(2**18),
        lambda: mkldnn_opcache.set_memory(None),
        lambda: mkldnn_opcache.set_scope("backward"),
        lambda: mkldnn_opcache.set_scope("all"),
    ]
    assert len(changes) == STEPS - 1
    remaining = iter(changes)

    def wrapper(*arguments: Any) -> None:
        step(*arguments)
        wait()
        next(remaining, lambda: None)()

    return wrapper


def epochs() -> Dict[str, List[str]]:
    """Train two epochs with each of MXNet's APIs; return the logged lines."""
    import mxnet as mx

    data, labels = mx.nd.random.uniform(shape=(8, 3, 8, 8)), mx.nd.zeros((8,))
    batches = mx.io.NDArrayIter(data, labels, batch_size=4)
    return {"module": _fit(mx, batches), "gluon": _loop(mx, batches)}


def _logged(name: str) -> io.StringIO:
    """Return the stream that gets what is logged by that name."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).setLevel(logging.INFO)
    return stream


def _fit(mx: Any, batches: Any) -> List[str]:
    convolution = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8)
    scores = mx.sym.FullyConnected(mx.sym.Activation(convolution, act_type="relu"), num_hidden=2)
    module = mx.mod.Module(mx.sym.SoftmaxOutput(scores, name="softmax"), context=mx.cpu())
    logged = _logged("module")
    callback = mkldnn_opcache.callback.EpochLogger(logger=logging.getLogger("module"))
    module.fit(batches, num_epoch=2, epoch_end_callback=callback)
    return logged.getvalue().splitlines()


def _loop(mx: Any, batches: Any) -> List[str]:
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(8, 3, activation="relu"), mx.gluon.nn.Dense(2))
    net.initialize()
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd")
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    logged = _logged("mkldnn_opcache")  # the default
    log_epoch = mkldnn_opcache.callback.EpochLogger()
    for epoch in range(2):
        batches.reset()
        for batch in batches:
            with mx.autograd.record():
                errors = loss(net(batch.data[0]), batch.label[0])
            errors.backward()
            trainer.step(batch.data[0].shape[0])
        mx.nd.waitall()
        log_epoch(epoch)
        mkldnn_opcache.reset_stats()  # must not show as a negative rise
    return logged.getvalue().splitlines()


SESSIONS = {"controls": controls, "changes": changes, "epochs": epochs}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
