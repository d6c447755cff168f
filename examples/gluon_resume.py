"""Trains a Gluon network, saves a checkpoint after each epoch, resumes, and exports.

A run that resumes ends with the same bits as an uninterrupted one: each epoch sets the seed of its
order and of its dropout, and a checkpoint contains what the optimizer remembers.
"""

import argparse
import glob
import os

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn

CLASSES, SIZE, BATCH = 8, 24, 8


def dataset(count):
    """Return images in which the place of a bright square is the class."""
    numbers = np.random.RandomState(0)
    labels = numbers.randint(0, CLASSES, count)
    images = numbers.normal(0, 0.5, (count, 3, SIZE, SIZE))
    for image, label in zip(images, labels):
        row, column = label // 4 * 12, label % 4 * 6
        image[:, row : row + 6, column : column + 6] += 1
    return gluon.data.ArrayDataset(images.astype("float32"), labels.astype("float32"))


def network():
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        for channels in (16, 32):
            net.add(nn.Conv2D(channels, 3), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D())
        net.add(nn.Flatten(), nn.Dropout(0.3), nn.Dense(CLASSES))
    return net


def save(net, trainer, folder, epoch):
    """Write a checkpoint; it is complete when its parameters have their name."""
    mx.nd.waitall()  # MXNet's engine does not know when BatchNorm writes its moving averages
    name = os.path.join(folder, f"checkpoint-{epoch:04d}")
    trainer.save_states(name + ".states")
    net.save_parameters(name + ".incomplete")
    os.replace(name + ".incomplete", name + ".params")


def resume(net, trainer, folder):
    """Load the newest checkpoint and return its epoch; 0 if there is none."""
    found = sorted(glob.glob(os.path.join(folder, "checkpoint-*.params")))
    if not found:
        return 0
    name = found[-1][: -len(".params")]
    net.load_parameters(found[-1])
    trainer.load_states(name + ".states")
    return int(name[-4:])


def export(net, folder, x):
    """Write the network as a symbol with parameters, load both, and compare what they predict."""
    prefix = os.path.join(folder, "exported")
    expected = net(x).asnumpy()
    net.export(prefix)
    files = prefix + "-symbol.json", ["data"], prefix + "-0000.params"
    if not np.array_equal(gluon.SymbolBlock.imports(*files)(x).asnumpy(), expected):
        raise SystemExit(f"error: the network in {prefix}-symbol.json predicts something else")
    print(f"exported to {prefix}-symbol.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder of checkpoints and of the exported network")
    parser.add_argument("--epochs", type=int, default=4, help="epochs in all (default: 4)")
    parser.add_argument("--images", type=int, default=256, help="of an epoch (default: 256)")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    mx.random.seed(0)
    net, loss = network(), gluon.loss.SoftmaxCrossEntropyLoss()
    net.initialize(mx.init.Xavier())
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.003})
    batches = gluon.data.DataLoader(dataset(args.images), BATCH, shuffle=True)
    for epoch in range(resume(net, trainer, args.folder), args.epochs):
        mx.random.seed(epoch)
        np.random.seed(epoch)
        accuracy = mx.metric.Accuracy()
        for x, y in batches:
            with autograd.record():
                predicted = net(x)
                value = loss(predicted, y)
            value.backward()
            trainer.step(len(x))
            accuracy.update(y, predicted)
        save(net, trainer, args.folder, epoch + 1)
        print(f"epoch {epoch + 1}: accuracy in training {accuracy.get()[1]:.3f}")
    export(net, args.folder, mx.nd.random.normal(shape=(BATCH, 3, SIZE, SIZE)))


if __name__ == "__main__":
    main()
