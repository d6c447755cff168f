"""Uses MXNet's Python API all over, and prints a digest of each result as JSON.

Runs under every MXNet release and Python. What raises in one place counts as a result too, so that
two Pythons can be compared.
"""

import contextlib
import hashlib
import json
import logging
import os
import random
import sys
import tempfile
import warnings

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
ROUNDED = 6  # significant digits of what NumPy's own functions compute, which differ in the last


class Places(dict):
    """The results by place."""

    def see(self, place, call, *arguments):
        """Call ``call`` with fresh seeds and remember the digest of its value, or its error."""
        mx.random.seed(7)
        np.random.seed(7)
        random.seed(7)
        try:
            self[place] = digest(call(*arguments))
        except Exception as error:
            self[place] = type(error).__name__


def digest(value):
    """Return nested containers of numbers, texts and arrays as text: arrays as their hash."""
    if isinstance(value, mx.nd.NDArray):
        value = value.asnumpy()
    if isinstance(value, np.ndarray):
        total = hashlib.sha256(value.tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {total[:16]}"
    if isinstance(value, (list, tuple)):
        return [digest(each) for each in value]
    if isinstance(value, dict):
        return {str(name): digest(value[name]) for name in sorted(value)}
    if isinstance(value, (float, np.floating)):
        # Half of the bits of a sum are lost where a Python float became a float32.
        wide = "wide" if isinstance(value, float) else str(value.dtype)
        return f"{wide} {value:.{ROUNDED}g}"
    return str(value)


def images(count):
    return np.random.uniform(-1, 1, (count, 3, 16, 16)).astype("float32")


def labels(count):
    return (np.arange(count) % 4).astype("float32")


def network():
    net = gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(gluon.nn.Conv2D(8, 3, padding=1, activation="relu"), gluon.nn.BatchNorm())
        net.add(gluon.nn.MaxPool2D(), gluon.nn.Conv2D(8, 3), gluon.nn.LeakyReLU(0.1))
        net.add(gluon.nn.Flatten(), gluon.nn.Dropout(0.3), gluon.nn.Dense(4))
    net.initialize(mx.init.Xavier())
    return net


def parameters(net):
    return [each.data() for _, each in sorted(net.collect_params().items())]


def train_gluon():
    net, loss = network(), gluon.loss.SoftmaxCrossEntropyLoss()
    net.hybridize()
    data = gluon.data.ArrayDataset(images(24), labels(24))
    loader = gluon.data.DataLoader(data, 8, shuffle=True, num_workers=2)
    options = {"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-4}
    trainer = gluon.Trainer(net.collect_params(), "sgd", options)
    metric = mx.metric.Accuracy()
    for _ in range(2):
        for x, y in loader:
            x, y = x.as_in_context(mx.cpu()), y.as_in_context(mx.cpu())
            with autograd.record():
                out = net(x)
                value = loss(out, y)
            value.backward()
            trainer.step(8)
            metric.update([y], [out])
    return [parameters(net), metric.get()]


def symbol():
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8, name="conv")
    net = mx.sym.Activation(net, act_type="relu")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=4, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def train_module():
    batches = mx.io.NDArrayIter(images(24), labels(24), 8, shuffle=True)
    module = mx.mod.Module(symbol())
    metric = mx.metric.create(["acc", "ce"])
    steps = mx.lr_scheduler.FactorScheduler(step=2, factor=0.9)
    options = {"learning_rate": 0.05, "momentum": 0.9, "lr_scheduler": steps}
    module.fit(
        *(batches, None, metric),
        num_epoch=2,
        initializer=mx.init.Xavier(),
        optimizer_params=options,
        batch_end_callback=mx.callback.Speedometer(8, 1),
    )
    module.save_checkpoint("module", 2, save_optimizer_states=True)
    again = mx.mod.Module.load("module", 2, load_optimizer_states=True)
    again.bind(batches.provide_data, batches.provide_label)
    return [*module.get_params(), metric.get(), again.predict(batches), again.score(batches, "acc")]


def save_and_load():
    net = network()
    before = net(nd.array(images(2)))
    net.save_parameters("net.params")
    other = network()
    other.load_parameters("net.params")
    net.hybridize()
    net(nd.array(images(2)))
    net.export("exported")
    block = gluon.SymbolBlock.imports("exported-symbol.json", ["data"], "exported-0000.params")
    nd.save("list", [before, nd.arange(3)])
    nd.save("dict", {"a": before})
    return [
        before,
        other(nd.array(images(2))),
        block(before.reshape((1, 1, 2, 4)).tile((1, 3, 8, 4))),
        *(nd.load("list"), nd.load("dict"), mx.sym.load("exported-symbol.json").tojson()),
    ]


def records():
    writer = mx.recordio.MXIndexedRecordIO("r.idx", "r.rec", "w")
    for i, label in enumerate((1.5, np.array([1, 2, 3]), [4.0])):
        header = mx.recordio.IRHeader(0, label, i, 0)
        writer.write_idx(i, mx.recordio.pack(header, b"x%d" % i))
    writer.close()
    reader = mx.recordio.MXIndexedRecordIO("r.idx", "r.rec", "r")
    return [[part for part in mx.recordio.unpack(reader.read_idx(i))] for i in (2, 1, 0)]


def optimize(name):
    options = {"momentum": 0.9} if name in ("lbsgd", "sgd") else {}
    made = mx.optimizer.create(name, learning_rate=0.05, wd=1e-3, clip_gradient=0.8, **options)
    updater = mx.optimizer.get_updater(made)
    weights = [nd.array(images(1)), nd.random.normal(shape=(4, 5)).astype("float32")]
    for _ in range(4):
        for i, weight in enumerate(weights):
            updater(i, nd.random.normal(shape=weight.shape), weight)
    states = mx.optimizer.get_updater(mx.optimizer.create(name))
    states.set_states(updater.get_states())
    return weights


def measure(name, kind):
    options = {
        **dict.fromkeys(("topkaccuracy", "top_k_accuracy", "top_k_acc"), {"top_k": 2}),
        "perplexity": {"ignore_label": 0},
        "custommetric": {"feval": lambda label, pred: np.abs(label - pred.argmax(1)).mean()},
    }.get(name, {})
    metric = kind(**options)
    if name == "compositeevalmetric":
        metric.add(mx.metric.MAE())
    binary = name in ("f1", "mcc")
    for _ in range(3):
        label = np.random.randint(0, 2 if binary else 4, (8,)).astype("float32")
        wide = np.random.uniform(0.1, 1, (8, 2 if binary else 4)).astype("float32")
        if name in ("mae", "mse", "rmse", "pearsoncorrelation", "pearsonr"):
            wide = wide[:, 0]
        metric.update([nd.array(label)], [nd.array(wide / wide.sum())])
    return [metric.get(), metric.get_name_value()]


def initialize(name, kind):
    options = {
        "constant": {"value": 0.3},
        "load": {"param": {"x": nd.ones((4, 4))}},
        "mixed": {"patterns": [".*"], "initializers": [mx.init.Uniform(0.2)]},
    }.get(name, {})
    made = kind(**options)
    filled = [nd.zeros((6, 4)), nd.zeros((8, 4, 3, 3)), nd.zeros((16,))]
    for each, suffix in zip(filled, ("weight", "weight", "bias")):
        made(mx.init.InitDesc("x_" + suffix), each)
    return [filled, made.dumps() if hasattr(made, "dumps") else ""]


def attributes():
    one, half, x = np.int64(1), np.float32(0.5), nd.arange(48).reshape((1, 3, 4, 4))
    var = mx.sym.var(
        "v", shape=(one, np.int32(3)), lr_mult=half, wd_mult=np.float64(0.1), dtype=np.float32
    )
    net = mx.sym.Pooling(mx.sym.var("data"), kernel=(2 * one, 2 * one), pool_type="avg")
    boxes = nd.contrib.MultiBoxPrior(x, sizes=(half, np.float32(0.1)), ratios=[one, np.float64(2)])
    return [
        *(var.attr_dict(), net.tojson(), boxes, x.reshape((3 * one, -1)), x.clip(half, 3 * one)),
        nd.transpose(x, axes=(np.int64(0), 2, 3, one)),
        nd.slice(x, begin=(0, one, 0, 0), end=(one, 2, None, None)),
        nd.zeros((2 * one, np.uint8(3)), dtype=np.float16),
        nd.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, one, one, one, one), constant_value=half),
        net.infer_shape(data=(one, 3, np.int32(4), 4))[1],
        mx.sym.Activation(var, act_type=np.str_("relu")).tojson(),
    ]


def arrays():
    x, results = nd.array([[1, 2, 3], [4, 5, 6]]), Places()
    x[np.int64(0), 1:] = np.float64(9)
    x[1] = np.array([7, 8, 9])
    x[:, np.int32(2)] = nd.array([1, 2])
    kinds = [bool, int, float, np.float16, np.int8, np.uint8, np.int32, np.int64, np.float64]
    calls = [
        lambda: [x, repr(x), x.shape, x.size, len(x), x.sum().asscalar() * np.float64(0.1)],
        lambda: nd.array(np.asfortranarray(np.arange(12.0).reshape(3, 4))),
        lambda: [nd.array(np.ones((2, 2), dtype)) for dtype in kinds],
        lambda: [nd.array(range(3)), nd.array([np.float32(1), 2]), nd.full((2,), np.float32(0.1))],
        lambda: [x + np.float32(0.1), x ** np.int64(2), x % 2.5, x > np.float32(3), x == 9],
        lambda: [np.float32(2) * x, np.int64(3) - x],
        lambda: [float(x[0, 0].asscalar()), int(x[0, 1].asscalar()), x[np.int64(1)]],
        lambda: [x[[0, 1], [1, 2]], x[np.array([1, 0])], x[nd.array([1, 0])]],
        lambda: [x.astype(np.float16), x.astype("int32"), x.T, nd.stack(x, x)],
        lambda: [nd.topk(x, k=np.int64(2)), nd.one_hot(nd.array([1, 0]), 3), nd.eye(3)],
        lambda: [nd.maximum(x, np.float32(3)), nd.arange(0, 1, np.float32(0.25))],
        lambda: nd.random.uniform(np.float32(-1), np.float32(1), shape=(2, 3)),
        lambda: nd.random.multinomial(nd.array([0.2, 0.8]), shape=np.int64(4)),
    ]
    for number, call in enumerate(calls):
        results.see(str(number), call)
    return results


def sparse():
    dense = np.array([[0, 1.5, 0], [2, 0, 0]], "float32")
    csr, rows = nd.array(dense).tostype("csr"), nd.array(dense).tostype("row_sparse")
    built = nd.sparse.csr_matrix(([1.0, 2.0], [1, 0], [0, 1, 2]), shape=(2, 3))
    kept = nd.sparse.row_sparse_array(([[1, 2, 3]], [1]), shape=(4, 3))
    product = nd.sparse.dot(csr, nd.ones((3, 2)))
    parts = [csr.data, csr.indices, csr.indptr, rows.indices, kept.indices, kept.data]
    return [
        each.asnumpy()
        for each in [*parts, built, kept, product, csr[1], nd.sparse.retain(rows, nd.array([1]))]
    ]


class Scale(mx.operator.CustomOp):
    """Doubles through NumPy."""

    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], nd.array(in_data[0].asnumpy() * np.float32(2)))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * 2)


@mx.operator.register("scale")
class ScaleProp(mx.operator.CustomOpProp):
    """Describes Scale."""

    def create_operator(self, ctx, shapes, dtypes):
        return Scale()


def custom():
    x = nd.array(images(1))
    x.attach_grad()
    with autograd.record():
        y = nd.Custom(x, op_type="scale")
    y.backward()
    return [y, x.grad]


def control_flow():
    total, states = nd.contrib.foreach(
        lambda x, s: (x + s, x), nd.arange(4), nd.array([np.float32(1)])
    )
    steps = nd.contrib.while_loop(
        lambda i: i < 3, lambda i: (i * 2, [i + 1]), [nd.array([0])], max_iterations=np.int64(5)
    )
    chosen = nd.contrib.cond(nd.array([1]), lambda: nd.ones(2), lambda: nd.zeros(2))
    return [
        total,
        states,
        steps[1],
        chosen,
        nd.contrib.isinf(nd.array([np.inf, 1])),
        nd.contrib.isnan(chosen),
    ]


def recurrent():
    layer = gluon.rnn.LSTM(5, num_layers=2, bidirectional=True)
    layer.initialize(mx.init.Xavier())
    cell = gluon.rnn.GRUCell(4)
    cell.initialize(mx.init.Normal(0.1))
    out = layer(nd.random.uniform(shape=(3, 2, 4)))
    sentences = [[1, 2, 3], [2, 3], [1, 1, 2, 2], [3, 1]] * 3
    buckets = mx.rnn.BucketSentenceIter(sentences, 2, buckets=[2, 4], invalid_label=0)
    seen = [[batch.data[0], batch.label[0], batch.bucket_key] for batch in buckets]
    return [out, cell.unroll(3, nd.random.uniform(shape=(2, 3, 4)), merge_outputs=True)[0], seen]


def transforms():
    image = nd.array((np.random.uniform(0, 255, (20, 24, 3))), dtype="uint8")
    t = gluon.data.vision.transforms
    kinds = [
        t.ToTensor(),
        t.Resize(8),
        t.CenterCrop(8),
        t.RandomResizedCrop(8),
        t.RandomLighting(0.1),
        t.Compose([t.ToTensor(), t.Normalize((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))]),
        t.Cast("float32"),
        *(each(0.3) for each in (t.RandomBrightness, t.RandomContrast, t.RandomSaturation)),
        t.RandomHue(0.3),
        t.RandomColorJitter(0.1, 0.1, 0.1, 0.1),
        t.RandomFlipLeftRight(),
    ]
    results = Places()
    for kind in kinds:
        results.see(type(kind).__name__, kind, image)
    colours = dict.fromkeys(("brightness", "contrast", "saturation", "hue", "pca_noise"), 0.1)
    options = {"rand_crop": True, "rand_mirror": True, "mean": True, "std": True, "rand_gray": 0.5}
    chain = mx.image.CreateAugmenter((3, 8, 8), inter_method=2, **options, **colours)
    for aug in chain:
        results.see(type(aug).__name__, lambda aug=aug: [aug(image.astype("float32")), aug.dumps()])
    boxes = np.array([[0, 0.1, 0.1, 0.6, 0.7]], "float32")
    detection = mx.image.CreateDetAugmenter(
        (3, 8, 8), rand_crop=1, rand_pad=1, rand_mirror=True, mean=True
    )
    for aug in detection:
        results.see(type(aug).__name__, aug, image.astype("float32"), boxes)
    return results


def iterators():
    np.savetxt("x.csv", np.arange(24.0).reshape(8, 3), delimiter=",")
    csv = mx.io.CSVIter(data_csv="x.csv", data_shape=(np.int64(3),), batch_size=np.int64(4))
    plain = mx.io.NDArrayIter(
        {"a": images(5), "b": labels(5)}, labels(5), 2, last_batch_handle="pad"
    )
    resized = mx.io.PrefetchingIter(mx.io.ResizeIter(plain, 4))
    every = [[batch.data, batch.pad] for each in (csv, resized) for batch in each]
    return [every, str(plain.provide_data)]


def clipping():
    arrays = [nd.array(images(1)), nd.random.normal(shape=(4, 5))]
    return [float(gluon.utils.clip_global_norm(arrays, 1.0)), arrays]


def stores():
    store = mx.kv.create("local")
    store.set_optimizer(mx.optimizer.Adam(learning_rate=0.1))
    store.init("w", nd.ones((2, 3)))
    store.push("w", [nd.ones((2, 3)), nd.ones((2, 3)) * 2])
    out = nd.zeros((2, 3))
    store.pull("w", out=out)
    store.save_optimizer_states("states")
    store.load_optimizer_states("states")
    return out


def schedules():
    s = mx.lr_scheduler
    kinds = [s.FactorScheduler(2, 0.5), s.MultiFactorScheduler([2, 5], 0.1)]
    kinds.append(s.PolyScheduler(9, pwr=2))
    if hasattr(s, "CosineScheduler"):
        kinds.append(s.CosineScheduler(9, warmup_steps=3))
    return [[float(kind(i)) for i in range(10)] for kind in kinds]


def tools():
    mx.visualization.print_summary(symbol(), {"data": (1, 3, 16, 16)})
    t = mx.test_utils
    x, data = mx.sym.var("x"), np.random.uniform(-1, 1, (2, 3))
    t.check_numeric_gradient(mx.sym.tanh(x), [data], dtype=np.float64)
    t.check_symbolic_forward(mx.sym.square(x), [data], [data**2])
    t.check_consistency(
        mx.sym.square(x),
        [
            {"ctx": mx.cpu(), "x": (2, 2), "type_dict": {"x": kind}}
            for kind in (np.float32, np.float64)
        ],
    )
    net = network()
    net.summary(nd.array(images(1)))
    monitor = mx.mon.Monitor(1)
    return [
        t.rand_ndarray((3, 4), "csr", density=0.5),
        t.rand_shape_2d(),
        len(str(monitor)) > 0,
        str(net),
    ]


def zoo():
    net = gluon.model_zoo.vision.resnet18_v1(classes=10)
    net.initialize(mx.init.MSRAPrelu())
    return net(nd.array(np.random.uniform(-1, 1, (1, 3, 32, 32))))


def losses():
    results, pred = Places(), nd.random.uniform(0.1, 1, shape=(4, 5))
    for name in sorted(gluon.loss.__all__):
        kind = getattr(gluon.loss, name)
        for label in (nd.array([1, 0, 3, 2]), nd.random.uniform(0.1, 1, shape=(4, 5))):
            results.see(f"{name} {label.ndim}", lambda kind=kind, y=label: kind()(pred, y))
    return results


def main():
    places = Places()
    for call in (train_gluon, train_module, save_and_load, records, attributes, arrays, sparse):
        places.see(call.__name__, call)
    for call in (custom, control_flow, recurrent, transforms, iterators, stores, schedules, tools):
        places.see(call.__name__, call)
    for call in (zoo, losses, clipping):
        places.see(call.__name__, call)
    registry = mx.registry.get_registry
    for name in sorted(mx.optimizer.Optimizer.opt_registry):
        places.see("optimizer " + name, optimize, name)
    for name, kind in sorted(registry(mx.metric.EvalMetric).items()):
        places.see("metric " + name, measure, name, kind)
    for name, kind in sorted(registry(mx.init.Initializer).items()):
        places.see("initializer " + name, initialize, name, kind)
    return places


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with contextlib.redirect_stdout(sys.stderr):
            seen = main()
        print(json.dumps(seen, indent=1))
