"""SSDs of GluonCV, with the targets and the loss of its script.

GluonCV publishes no numbers of parameters. SSD300 with VGG-16 has 26,285,486 where others count it.
The other two have the published numbers of their trunks; their heads are counted here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable

from models.gluon_cv import Recipe, Targets, named
from models.objects import OBJECTS, boxes

_CLASSIFIER = (1024 + 1) * 1000, (2048 + 1) * 1000  # of MobileNet and ResNet-50


def _heads(middle: int, last: int) -> int:
    """Return the parameters above two feature maps with so many channels, in images of VOC."""
    channels, anchors = (middle, last, 512, 512, 256, 256), (4, 6, 6, 6, 4, 4)
    # Each anchor has 21 scores and 4 numbers of a box, of a 3x3 convolution with bias.
    count = sum((9 * maps + 1) * 25 * each for maps, each in zip(channels, anchors))
    # Between maps: 1x1 and 3x3 convolutions, each with a scale and a shift instead of a bias.
    for below, through, above in zip(channels[1:], (512, 512, 256, 256), channels[2:]):
        count += (below + 2) * through + (9 * through + 2) * above
    return count


# Parameters, side of the images, and the smallest side that leaves a pixel for the last map.
SIZES = {
    "ssd_300_vgg16_atrous_voc": (26_285_486, 300, 257),
    "ssd_512_mobilenet1.0_voc": (4_231_976 - _CLASSIFIER[0] + _heads(512, 1024), 512, 16),
    # MXNet's ResNet-50 has 18,880 more: see models/registry.py.
    "ssd_512_resnet50_v1_voc": (
        25_557_032 + 18_880 - _CLASSIFIER[1] + _heads(1024, 2048),
        512,
        16,
    ),
}


def ssd(name: str) -> Callable[[int, str], Any]:
    """Return the builder of an SSD. The data set of its name tells the number of classes.

    It returns what the loss takes: the scores and the box of each anchor. The anchors, GluonCV's
    third output, are left out: see the two faults of their gradients in docs/upstream-bugs.md.
    """

    def build(scores: int, prefix: str) -> Any:
        from mxnet import autograd, sym
        from mxnet.gluon import SymbolBlock

        net, images = named(prefix, lambda: _get_model(name)), sym.var("data")
        with autograd.train_mode():  # otherwise it returns what it detects
            outputs = net(images)[:2]
        return SymbolBlock(outputs, images, params=net.collect_params())

    return build


def _get_model(name: str) -> Any:
    from gluoncv import model_zoo

    return model_zoo.get_model(name, pretrained=False, pretrained_base=False)


@lru_cache(maxsize=None)
def _anchors(name: str, side: int) -> Any:
    """Return the network's anchors (1, anchors, 4) for images of a side, without running it."""
    import mxnet

    net = named("anchors_", lambda: _get_model(name))
    features = mxnet.sym.Group(list(net.features(mxnet.sym.var("data"))))
    _, shapes, _ = features.infer_shape(data=(1, 3, side, side))
    found = [
        generator.anchors.value[:, :, :height, :width].reshape((1, -1, 4))
        for generator, (_, _, height, width) in zip(net.anchor_generators, shapes)
    ]
    return mxnet.nd.concat(*found, dim=1)


def _more_anchors(anchors: Any, objects: int) -> Any:
    """Add anchors of no area, which match no object, so that MXNet 1.3.1 can match the others.

    Its matching writes up to two numbers beyond its memory (docs/upstream-bugs.md). They fit into
    what malloc rounds up if the number of pairs leaves 2 or 3 when divided by 4.
    """
    from mxnet import nd

    missing = next(i for i in range(4) if (anchors.shape[1] + i) * objects % 4 >= 2)
    return nd.concat(anchors, nd.zeros((1, missing, 4)), dim=1) if missing else anchors


def _targets(name: str) -> Callable[[Any, int, int, int], Targets]:
    def targets(draw: Any, batch_size: int, side: int, scores: int) -> Targets:
        """Return the class, 0 is background, and the box that each anchor has to become."""
        import numpy
        from gluoncv.model_zoo.ssd.target import SSDTargetGenerator
        from mxnet import nd

        anchors = _anchors(name, side)
        corners, kinds = boxes(draw, batch_size, side, scores - 1)
        # As the script's transform does, image by image. The loss chooses among the background's.
        generate = SSDTargetGenerator(negative_mining_ratio=-1)
        given = _more_anchors(anchors, OBJECTS)
        found = [
            generate(given, None, nd.array(corners[i : i + 1]), nd.array(kinds[i : i + 1]))
            for i in range(batch_size)
        ]
        count = anchors.shape[1]
        classes, offsets, _ = (numpy.concatenate([f.asnumpy() for f in x]) for x in zip(*found))
        return classes[:, :count], offsets[:, :count]

    return targets


def _multi_box_loss() -> Any:
    from gluoncv.loss import SSDMultiBoxLoss

    loss = SSDMultiBoxLoss()
    # It takes and returns a list, an array for each device: the sums, and their two parts.
    return lambda *outputs_and_targets: loss(*outputs_and_targets)[0][0]


def recipe(name: str) -> Recipe:
    """Return how an SSD is trained."""
    return Recipe(_targets(name), _multi_box_loss)
