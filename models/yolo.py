"""YOLOv3 of GluonCV, as its script trains it: on images whose side changes.

GluonCV publishes no numbers of parameters. github.com/ultralytics/yolov3 counts 61,949,149 for
Darknet-53 and COCO's 80 classes, github.com/osmr/imgclsmob 41,609,928 for Darknet-53 as a
classifier of 1,000. MobileNet has as many channels as Darknet-53 where the heads begin.
"""

from __future__ import annotations

from typing import Any, Callable, Tuple

from models.gluon_cv import Recipe, Targets, named
from models.objects import boxes

# Of GluonCV's builders: the anchors' widths and heights, and the pixels of a cell, the deepest
# head first.
_ANCHORS = (
    ((116, 90), (156, 198), (373, 326)),
    ((30, 61), (62, 45), (59, 119)),
    ((10, 13), (16, 30), (33, 23)),
)
_STRIDES = (32, 16, 8)
_CLASSIFIER = 1024 * 1000 + 1000
# Heads for VOC: each of three maps has three anchors, and each anchor a score for 60 classes less.
_HEADS = 61_949_149 - (41_609_928 - _CLASSIFIER) - 3 * 60 * (1024 + 512 + 256 + 3)
PARAMETERS = {
    "yolo3_darknet53_voc": 41_609_928 - _CLASSIFIER + _HEADS,
    "yolo3_mobilenet1.0_voc": 4_231_976 - _CLASSIFIER + _HEADS,
}


def yolo(name: str) -> Callable[[int, str], Any]:
    """Return the builder of a YOLOv3. The data set of its name tells the number of classes.

    While it is trained, it takes images and all targets, and returns four losses of each image.
    """

    def build(classes: int, prefix: str) -> Any:
        from gluoncv import model_zoo

        settings = {"pretrained": False, "pretrained_base": False}
        return named(prefix, lambda: model_zoo.get_model(name, **settings))

    return build


def sides(image_size: int) -> Tuple[int, ...]:
    """Return the multiples of 32 from half the size to the size. Of 608: the script's"""
    step = _STRIDES[0]
    fewest = -(-image_size // (2 * step))
    return tuple(range(fewest * step, image_size + 1, step))


def targets(draw: Any, batch_size: int, side: int, classes: int) -> Targets:
    """Return boxes, and those targets that do not depend on what the network predicts."""
    import numpy
    from gluoncv.model_zoo.yolo.yolo_target import YOLOV3PrefetchTargetGenerator
    from mxnet import nd

    corners, kinds = boxes(draw, batch_size, side, classes)
    maps = [nd.zeros((1, 1, side // stride, side // stride)) for stride in _STRIDES]
    anchors = [nd.array(each).reshape((1, 1, -1, 2)) for each in _ANCHORS]
    # The column and the row of each cell.
    cells = [numpy.indices(each.shape[2:])[::-1].reshape((2, -1)).T for each in maps]
    offsets = [nd.array(each).reshape((1, -1, 1, 2)) for each in cells]
    generate = YOLOV3PrefetchTargetGenerator(classes)
    images = nd.zeros((1, 3, side, side))  # its shape is read
    found = generate(images, maps, anchors, offsets, nd.array(corners), nd.array(kinds))
    return (corners, *(each.asnumpy() for each in found))


def _sum_of_losses() -> Any:
    def loss(objects: Any, centres: Any, scales: Any, classes: Any, *_targets: Any) -> Any:
        return objects + centres + scales + classes

    return loss


YOLO = Recipe(targets, _sum_of_losses, inputs=6, sides=sides)
