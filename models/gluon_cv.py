"""GluonCV's networks, by GluonCV's names, with the targets and losses of its training scripts.

GluonCV 0.4.0.post0 builds them on MXNet 1.3.1, 1.4.1, 1.5.1.post0 and 1.6.0. Weights are random, so
that nothing is downloaded. gluoncv, mxnet and numpy are imported when a network is built only: not
every process that reads the registry has them.

GluonCV publishes weights and no numbers of parameters. github.com/osmr/imgclsmob converts these
weights and counts them in its tests; models/registry.py compares with its numbers.

Dummy targets are drawn from the generator ``draw``. They look like the data set's: objects with
borders that Pascal VOC ignores, joints inside the image of which some are hidden.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Tuple

from models.objects import OBJECTS

# Arrays of NumPy.
Targets = Tuple[Any, ...]
# Arguments: a generator of NumPy, batch size, side in pixels, classes.
DrawTargets = Callable[[Any, int, int, int], Targets]


@dataclass(frozen=True)
class Recipe:
    """How a network that is no classifier is trained.

    ``loss()`` returns a Gluon loss, which takes the network's outputs and then ``targets``.
    ``sized`` tells that the network's builder takes ``image_size`` too. While it is trained, the
    network takes the first ``inputs`` targets after the images. ``sides(image_size)`` are the sides
    of its images; each batch has one of them. ``environment`` has the variables of MXNet without
    which stock does not train it.
    """

    targets: DrawTargets
    loss: Callable[[], Any]
    sized: bool = False
    inputs: int = 0
    sides: Callable[[int], Tuple[int, ...]] = lambda image_size: (image_size,)
    environment: Mapping[str, str] = field(default_factory=dict)


def classifier(name: str) -> Callable[[int, str], Any]:
    """Return the builder of a classifier: (batch, 3, side, side) to scores (batch, classes)."""

    def build(classes: int, prefix: str) -> Any:
        from gluoncv import model_zoo

        return named(prefix, lambda: model_zoo.get_model(name, classes=classes, pretrained=False))

    return build


def segmenter(model: str) -> Callable[..., Any]:
    """Return the builder of a segmenter: scores of each pixel, from the head and the auxiliary one.

    The side is a multiple of 8, because the trunk has an eighth of it.
    """

    def build(classes: int, prefix: str, image_size: Optional[int] = None) -> Any:
        from gluoncv.model_zoo.segbase import get_segmentation_model

        # The script's crop, unless it is given. The data set tells the number of classes.
        settings = {"crop_size": image_size or 480, "pretrained_base": False}
        with contextlib.redirect_stdout(sys.stderr):  # PSPNet prints
            return named(
                prefix,
                lambda: get_segmentation_model(
                    model, dataset="pascal_voc", backbone="resnet50", **settings
                ),
            )

    return build


def simple_pose(name: str) -> Callable[[int, str], Any]:
    """Return the builder of a pose network: heat maps of a quarter of the side, one a joint.

    The side is a multiple of 32.
    """

    def build(joints: int, prefix: str) -> Any:
        from gluoncv import model_zoo

        settings = {"num_joints": joints, "pretrained": False, "pretrained_base": False}
        return named(prefix, lambda: model_zoo.get_model(name, **settings))

    return build


def named(prefix: str, build: Callable[[], Any]) -> Any:
    """Build inside a scope, where names count from 0 and begin with the prefix."""
    from mxnet.gluon import nn

    with nn.HybridSequential(prefix=prefix).name_scope():
        return build()


def masks(draw: Any, batch_size: int, side: int, classes: int) -> Targets:
    """Return the class of each pixel: 0 is background, -1 the border around an object."""
    import numpy

    found = numpy.zeros((batch_size, side, side), dtype=numpy.float32)
    for image in found:
        for _ in range(OBJECTS):
            top, left = draw.integers(side // 2, size=2)
            height, width = draw.integers(side // 4, side // 2, size=2)
            image[top : top + height, left : left + width] = -1
            inside = image[top + 1 : top + height - 1, left + 1 : left + width - 1]
            inside[:] = draw.integers(1, classes)
    return (found,)


def heat_maps(draw: Any, batch_size: int, side: int, joints: int) -> Targets:
    """Return the heat map of each joint, and its weight: 0 where the joint is hidden."""
    import numpy
    from gluoncv.model_zoo.simple_pose.pose_target import SimplePoseGaussianTargetGenerator

    generate = SimplePoseGaussianTargetGenerator(joints, (side, side), (side // 4, side // 4))
    people = numpy.zeros((batch_size, joints, 3, 2), dtype=numpy.float32)
    people[:, :, :2, 0] = draw.uniform(0, side - 1, (batch_size, joints, 2))
    people[:, :, :2, 1] = draw.random((batch_size, joints, 1)) < 0.8
    maps, weights = zip(*(generate(person) for person in people))
    return numpy.stack(maps), numpy.stack(weights)


def _segmentation_loss() -> Any:
    from gluoncv.loss import MixSoftmaxCrossEntropyLoss

    return MixSoftmaxCrossEntropyLoss(aux=True, aux_weight=0.5)  # the script's weight


def _heat_map_loss() -> Any:
    from mxnet.gluon.loss import L2Loss

    return L2Loss()


SEGMENTATION = Recipe(masks, _segmentation_loss, sized=True)
# Five branches begin at one map. By default MXNet adds their five gradients in one operator, which
# fails on every release (docs/upstream-bugs.md); with 5 it adds them two at a time.
DEEPLAB = dataclasses.replace(SEGMENTATION, environment={"MXNET_EXEC_INPLACE_GRAD_SUM_CAP": "5"})
POSE = Recipe(heat_maps, _heat_map_loss)
