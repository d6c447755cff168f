"""Trains an image classifier with Module.fit on generated images.

Each class has a pattern of coloured squares; an image is the pattern of its class in noise.
"""

import argparse
import logging

import mxnet as mx
import numpy as np


def images(patterns, count, size, numbers):
    """Return an iterator over ``count`` images and their classes."""
    labels = numbers.randint(0, len(patterns), count)
    side = size // patterns.shape[-1]
    clean = patterns[labels].repeat(side, axis=2).repeat(side, axis=3)
    noise = numbers.normal(0, 1, clean.shape)
    return {"data": (clean + noise).astype("float32")}, {"softmax_label": labels}


def layer(x, filters, name, stride=1, relu=True):
    """Return a 3x3 convolution of ``x`` with batch normalisation."""
    options = {"kernel": (3, 3), "stride": (stride, stride), "pad": (1, 1), "no_bias": True}
    x = mx.sym.Convolution(x, num_filter=filters, name=name, **options)
    x = mx.sym.BatchNorm(x, fix_gamma=False, name=name + "_bn")
    return mx.sym.Activation(x, act_type="relu") if relu else x


def network(classes):
    """Return a small residual network."""
    x = layer(mx.sym.var("data"), 16, "first")
    for filters in (32, 64):
        name = f"block{filters}"
        y = layer(x, filters, name + "_a", stride=2)
        y = layer(y, filters, name + "_b", relu=False)
        x = layer(x, filters, name + "_shortcut", stride=2, relu=False)
        x = mx.sym.Activation(x + y, act_type="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")
    x = mx.sym.FullyConnected(mx.sym.flatten(x), num_hidden=classes, name="last")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def options():
    form = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=form)
    parser.add_argument("--epochs", type=int, default=3, help="passes over the images")
    parser.add_argument("--images", type=int, default=512, help="images of an epoch")
    parser.add_argument("--image-size", type=int, default=32, help="pixels, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=8, help="images of a step")
    parser.add_argument("--classes", type=int, default=10, help="classes of images")
    parser.add_argument("--seed", type=int, default=1, help="seed of images and parameters")
    parser.add_argument("--save", metavar="PREFIX", help="save symbol and parameters there")
    options = parser.parse_args()
    if options.image_size < 8 or options.image_size % 8:
        parser.error(f"--image-size is {options.image_size}, not a multiple of 8")
    return options


def main():
    args = options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    mx.random.seed(args.seed)
    np.random.seed(args.seed)
    numbers = np.random.RandomState(args.seed)
    patterns = numbers.uniform(-1, 1, (args.classes, 3, 4, 4))
    training = mx.io.NDArrayIter(
        *images(patterns, args.images, args.image_size, numbers),
        batch_size=args.batch_size,
        shuffle=True,
        last_batch_handle="discard",
    )
    validation = mx.io.NDArrayIter(
        *images(patterns, 128, args.image_size, numbers), batch_size=args.batch_size
    )
    module = mx.mod.Module(network(args.classes))
    module.fit(
        training,
        eval_data=validation,
        num_epoch=args.epochs,
        initializer=mx.init.Xavier(),
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.02, "momentum": 0.9},
        batch_end_callback=mx.callback.Speedometer(args.batch_size, frequent=20),
    )
    ((_, accuracy),) = module.score(validation, "acc")
    print(f"validation accuracy: {accuracy:.3f}")
    if args.save:
        module.save_checkpoint(args.save, args.epochs)


if __name__ == "__main__":
    main()
