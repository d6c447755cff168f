"""Faster and Mask R-CNN of GluonCV, with the targets and the losses of its scripts.

GluonCV publishes no numbers of parameters. github.com/osmr/imgclsmob counts 25,557,032 for
ResNet-50 as a classifier of 1,000; the heads are counted by hand.

They train on one image at a time. Their own random numbers, which choose proposals, are MXNet's;
those that choose anchors are NumPy's. As in the scripts, batch normalisation and the first layers
are fixed.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from models.gluon_cv import Recipe, Targets, named
from models.objects import boxes, shapes

# Proposals in training: as many as these have to exist, one for each anchor.
SMALLEST_SIDE = 177
_SAMPLES = 16  # of smaller images than the script's, which has 128
# Of GluonCV's builders.
_STRIDE, _RATIOS, _SCALES = 16, (0.5, 1, 2), (2, 4, 8, 16, 32)
# The trunk; proposals, which are a score and a box of each of 15 anchors.
_COMMON = 25_557_032 - 2_049_000 + (9 * 1024 + 1) * 1024 + (1024 + 1) * 15 * (1 + 4)
PARAMETERS = {
    # A score and a box of each class, and a score of the background.
    "faster_rcnn_resnet50_v1b_voc": _COMMON + (2048 + 1) * (20 * (1 + 4) + 1),
    # And masks of each class.
    "mask_rcnn_resnet50_v1b_coco": _COMMON
    + (2048 + 1) * (80 * (1 + 4) + 1)
    + (4 * 2048 + 1) * 256
    + (256 + 1) * 80,
}


def rcnn(name: str) -> Callable[..., Any]:
    """Return the builder of an R-CNN. The data set of its name tells the number of classes.

    While it is trained, it takes images and boxes, and returns what it predicts and samples.
    """

    def build(classes: int, prefix: str, image_size: Optional[int] = None) -> Any:
        from gluoncv import model_zoo

        settings = {"pretrained": False, "pretrained_base": False}
        net = named(prefix, lambda: model_zoo.get_model(name, **settings))
        if image_size is not None and image_size < net.short:
            # No argument of the builder sets it.
            net._num_sample = net.sampler._num_sample = _SAMPLES
            net.sampler._max_pos = _SAMPLES // 4
        net.collect_params().setattr("grad_req", "null")
        net.collect_train_params().setattr("grad_req", "write")
        return net

    return build


def targets(draw: Any, batch_size: int, side: int, classes: int) -> Targets:
    """Return boxes, their classes, and whether and how each anchor has to become a box."""
    if batch_size != 1:
        raise ValueError(f"batch size {batch_size}: GluonCV's R-CNN trains on one image at a time")
    import numpy
    from gluoncv.model_zoo.rpn.anchor import RPNAnchorGenerator
    from gluoncv.model_zoo.rpn.rpn_target import RPNTargetGenerator
    from mxnet import nd

    corners, kinds = boxes(draw, batch_size, side, classes)
    cells = -(-side // _STRIDE)
    settings = {"stride": _STRIDE, "base_size": _STRIDE, "alloc_size": (cells, cells)}
    generator = RPNAnchorGenerator(ratios=_RATIOS, scales=_SCALES, **settings)
    generator.initialize()
    anchors = generator(nd.zeros((1, 1, cells, cells))).reshape((-1, 4))
    numpy.random.seed(draw.integers(2**32))
    found = RPNTargetGenerator()(nd.array(corners[0]), anchors, side, side)
    return (corners, kinds, *(each.asnumpy()[numpy.newaxis] for each in found))


def targets_with_masks(draw: Any, batch_size: int, side: int, classes: int) -> Targets:
    """Return the targets, and last the pixels of each object."""
    found = targets(draw, batch_size, side, classes)
    return (*found, shapes(found[0], side))


class _Loss:
    """The sum of an R-CNN's losses.

    It takes the network's outputs and the targets, as the scripts do.
    """

    def __init__(self) -> None:
        from mxnet.gluon import loss

        self._objects = loss.SigmoidBinaryCrossEntropyLoss(from_sigmoid=False)
        self._anchors = loss.HuberLoss(rho=1 / 9.0)
        self._classes = loss.SoftmaxCrossEntropyLoss()
        self._boxes = loss.HuberLoss()

    def __call__(self, *arrays: Any) -> Any:
        outputs, expected = arrays[:8], arrays[8:]
        return self._proposals(outputs, expected) + self._detections(outputs, expected)[0]

    def _proposals(self, outputs: Sequence[Any], expected: Sequence[Any]) -> Any:
        scores, moves = outputs[5].squeeze(axis=-1), outputs[6]
        is_object, box_targets, box_masks = expected[2:5]
        used = is_object >= 0
        objects = self._objects(scores, is_object, used) * is_object.size
        boxes_ = self._anchors(moves, box_targets, box_masks) * moves.size
        return ((objects + boxes_) / used.sum()).sum()

    def _detections(self, outputs: Sequence[Any], expected: Sequence[Any]) -> Any:
        """Return the loss, and the class of each sample."""
        from gluoncv.model_zoo.faster_rcnn.rcnn_target import RCNNTargetGenerator

        scores, moves, rois, samples, matches = outputs[:5]
        corners, kinds = expected[:2]
        generate = RCNNTargetGenerator(scores.shape[-1] - 1)
        classes, box_targets, box_masks = generate(rois, samples, matches, kinds, corners)
        used = classes >= 0
        found = self._classes(scores, classes, used) * classes.size
        found = found + self._boxes(moves, box_targets, box_masks) * moves.size
        return (found / used.sum()).sum(), classes


class _LossWithMasks(_Loss):
    """The sum of a Mask R-CNN's losses, whose third output and last target are masks."""

    def __init__(self) -> None:
        super().__init__()
        from mxnet.gluon import loss

        self._pixels = loss.SigmoidBinaryCrossEntropyLoss(from_sigmoid=False)

    def __call__(self, *arrays: Any) -> Any:
        from gluoncv.model_zoo.mask_rcnn.rcnn_target import MaskTargetGenerator

        masks, gt_masks = arrays[2], arrays[-1]
        outputs, expected = (*arrays[:2], *arrays[3:9]), arrays[9:]
        detections, classes = self._detections(outputs, expected)
        rois, matches = outputs[2], outputs[4]
        generate = MaskTargetGenerator(1, masks.shape[1], masks.shape[2], masks.shape[3:])
        targets_, used = generate(rois, gt_masks, matches, classes)
        pixels = self._pixels(masks, targets_, used) * targets_.size / used.sum()
        return self._proposals(outputs, expected) + detections + pixels.sum()


FASTER_RCNN = Recipe(targets, _Loss, sized=True, inputs=1)
MASK_RCNN = Recipe(targets_with_masks, _LossWithMasks, sized=True, inputs=1)
