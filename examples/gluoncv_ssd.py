"""Trains GluonCV's SSD detector on generated images in the folder format of Pascal VOC.

The loop is that of GluonCV's script train_ssd.py, on one CPU. Nothing is downloaded. The network is
not hybridized: the backward pass then fails in MXNet's add_n (docs/upstream-bugs.md).
"""

import argparse
import os

import mxnet as mx
from gluoncv import loss, model_zoo, utils
from gluoncv.data import batchify
from gluoncv.data.transforms.presets import ssd
from gluoncv.utils.metrics.voc_detection import VOC07MApMetric
from mxnet import autograd, gluon
from voc_shapes import Shapes, write


def loaders(net, args):
    """Write the images; return the batches of training and of validation."""
    write(args.folder, "train", args.images, 2 * args.image_size, seed=1)
    write(args.folder, "val", 8, 2 * args.image_size, seed=2)
    pixels = args.image_size, args.image_size
    with autograd.train_mode():
        _, _, anchors = net(mx.nd.zeros((1, 3, *pixels)))
    training, validation = (Shapes(args.folder, [(2007, split)]) for split in ("train", "val"))
    training = training.transform(ssd.SSDDefaultTrainTransform(*pixels, anchors))
    validation = validation.transform(ssd.SSDDefaultValTransform(*pixels))
    stack, pad = batchify.Stack(), batchify.Pad(pad_val=-1)
    training_settings = {"batchify_fn": batchify.Tuple(stack, stack, stack), "shuffle": True}
    validation_settings = {"batchify_fn": batchify.Tuple(stack, pad), "last_batch": "keep"}
    common = {"batch_size": args.batch_size, "num_workers": args.workers}
    return (
        gluon.data.DataLoader(training, last_batch="discard", **training_settings, **common),
        gluon.data.DataLoader(validation, **validation_settings, **common),
    )


def train(net, batches, trainer):
    """Train an epoch and return the mean losses of classes and of boxes."""
    losses, box_loss = mx.metric.Loss("classes"), mx.metric.Loss("boxes")
    multi_box_loss = loss.SSDMultiBoxLoss()
    for batch in batches:
        x, class_targets, box_targets = (part.as_in_context(mx.cpu()) for part in batch)
        with autograd.record():
            classes, boxes, _ = net(x)
            total, of_classes, of_boxes = multi_box_loss(classes, boxes, class_targets, box_targets)
            autograd.backward(total)
        trainer.step(1)  # the losses are means already
        losses.update(0, of_classes)
        box_loss.update(0, of_boxes)
    return losses.get()[1], box_loss.get()[1]


def mean_average_precision(net, batches):
    """Return the mAP of Pascal VOC 2007."""
    metric = VOC07MApMetric(iou_thresh=0.5, class_names=Shapes.CLASSES)
    net.set_nms(nms_thresh=0.45, nms_topk=400)
    for batch in batches:
        x, y = (part.as_in_context(mx.cpu()) for part in batch)
        ids, scores, boxes = net(x)
        parts = [y.slice_axis(axis=-1, begin=first, end=last) for first, last in ((0, 4), (4, 5))]
        difficult = y.slice_axis(axis=-1, begin=5, end=6)
        metric.update(boxes.clip(0, x.shape[2]), ids, scores, *parts, difficult)
    return metric.get()[1][-1]


def main():
    form = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=form)
    parser.add_argument("folder", help="folder of the images and of the trained parameters")
    parser.add_argument("--network", default="ssd_512_resnet18_v1_voc", help="an SSD of GluonCV")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the images")
    parser.add_argument("--images", type=int, default=16, help="images of an epoch")
    parser.add_argument("--image-size", type=int, default=128, help="pixels of the network's input")
    parser.add_argument("--batch-size", type=int, default=4, help="images of a step")
    parser.add_argument("--workers", type=int, default=1, help="processes that load images")
    args = parser.parse_args()
    utils.random.seed(1)
    net = model_zoo.get_model(args.network, pretrained=False, pretrained_base=False)
    net.initialize()
    net.reset_class(Shapes.CLASSES)
    training, validation = loaders(net, args)
    settings = {"learning_rate": 0.001, "momentum": 0.9, "wd": 0.0005}
    trainer = gluon.Trainer(net.collect_params(), "sgd", settings)
    for epoch in range(args.epochs):
        of_classes, of_boxes = train(net, training, trainer)
        precision = mean_average_precision(net, validation)
        print(f"epoch {epoch + 1}: losses {of_classes:.4f} and {of_boxes:.4f}, mAP {precision:.3f}")
    net.save_parameters(os.path.join(args.folder, "ssd.params"))


if __name__ == "__main__":
    main()
