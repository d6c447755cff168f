"""Maps names to networks, with their image sizes, builders and ways of training.

Only builders import mxnet, when the worker process calls them. Weights are always random; no
pretrained file is downloaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Optional, Tuple

from models import (
    alexnet,
    cifar,
    dcgan,
    fcn,
    gluon_cv,
    googlenet,
    inception_bn,
    inception_v4,
    rcnn,
    small,
    ssd,
    yolo,
)
from models.gluon_cv import Recipe, classifier, segmenter, simple_pose

Builder = Callable[..., Any]


@dataclass(frozen=True)
class Network:
    """A network by name.

    ``paper`` published its architecture. ``parameters`` counts the learned numbers, without running
    statistics, for ``classes`` and images of ``image_size``, the side in pixels of the paper's
    training images. Below ``smallest_image_size`` a layer would get an empty input.
    ``build(classes, prefix)`` returns a Gluon HybridBlock from images (batch, 3, side, side) to
    scores (batch, classes), or to what the loss of ``recipe`` takes. ``gluoncv`` tells that GluonCV
    builds it.
    """

    name: str
    paper: str
    parameters: int
    image_size: int
    smallest_image_size: int
    classes: int
    build: Builder
    recipe: Optional[Recipe] = None
    gluoncv: bool = False

    @property
    def api(self) -> str:
        """The API through which it is usually trained, a word of HashJob."""
        return "hybrid" if self.gluoncv else "module"

    def sides(self, image_size: int) -> Tuple[int, ...]:
        """Return the sides of the images on which it trains, at most a size."""
        return (image_size,) if self.recipe is None else self.recipe.sides(image_size)

    def build_for(self, image_size: int, prefix: str) -> Any:
        """Build it for images of a size, which some networks of GluonCV have to know.

        Sets the variables of this process that its training needs; MXNet reads them later.
        """
        if self.recipe is not None:
            os.environ.update(self.recipe.environment)
        sized = self.recipe is not None and self.recipe.sized
        return self.build(self.classes, prefix, **({"image_size": image_size} if sized else {}))


def _zoo(zoo_name: str) -> Builder:
    def build(classes: int, prefix: str) -> Any:
        from mxnet.gluon.model_zoo import vision

        return vision.get_model(zoo_name, pretrained=False, classes=classes, prefix=prefix)

    return build


_RESNET = "arXiv:1512.03385"

# Name, paper, parameters, image size, smallest image size, classes, builder.
# The numbers of parameters are published ones: each own network's file names the source, those of
# the zoo are torchvision's, unless it says otherwise here.
_NETWORKS = (
    Network("alexnet", "Krizhevsky 2012, NIPS 25", 60_965_224, 224, 63, 1000, alexnet.build),
    Network("googlenet", "arXiv:1409.4842", 6_998_552, 224, 32, 1000, googlenet.build),
    Network("vgg-16", "arXiv:1409.1556", 138_357_544, 224, 32, 1000, _zoo("vgg16")),
    Network("vgg-19", "arXiv:1409.1556", 143_667_240, 224, 32, 1000, _zoo("vgg19")),
    Network("inception-bn", "arXiv:1502.03167", 11_295_240, 224, 32, 1000, inception_bn.build),
    # Without the auxiliary classifier, which has 3,326,696 more in torchvision.
    Network("inception-v3", "arXiv:1512.00567", 23_834_568, 299, 299, 1000, _zoo("inceptionv3")),
    # MXNet adds biases to the first and last convolution of every bottleneck: 18,880 and 59,840.
    Network("resnet-50", _RESNET, 25_557_032 + 18_880, 224, 16, 1000, _zoo("resnet50_v1")),
    Network("resnet-152", _RESNET, 60_192_808 + 59_840, 224, 16, 1000, _zoo("resnet152_v1")),
    Network("inception-v4", "arXiv:1602.07261", 42_679_816, 299, 75, 1000, inception_v4.build),
    Network("vgg-11-bn", "arXiv:1409.1556", 132_868_840, 224, 32, 1000, _zoo("vgg11_bn")),
    Network("resnet-18", _RESNET, 11_689_512, 224, 16, 1000, _zoo("resnet18_v1")),
    # TensorFlow-Slim's; Keras adds the running statistics.
    Network("mobilenet-1.0", "arXiv:1704.04861", 4_231_976, 224, 16, 1000, _zoo("mobilenet1.0")),
    Network("squeezenet-1.0", "arXiv:1602.07360", 1_248_424, 224, 213, 1000, _zoo("squeezenet1.0")),
    Network("densenet-121", "arXiv:1608.06993", 7_978_856, 224, 221, 1000, _zoo("densenet121")),
    Network("cifar-resnet-50", _RESNET, 755_802, 32, 4, 10, cifar.resnet_50),
    Network("cifar-vgg-16", "arXiv:1409.1556", 14_728_266, 32, 32, 10, cifar.vgg_16),
    Network("dcgan", "arXiv:1511.06434", 9_927_040, 64, 64, 2, dcgan.build),
    # The paper trains on whole images, of about 500x375 pixels.
    Network("fcn", "arXiv:1411.4038", 378_815, 224, 32, 21, fcn.build),
    # Counted by hand: 448 + 32 + 4,096 + 2,304 + 10,250.
    Network("seven-ops", "none", 17_130, 32, 16, 10, small.seven_ops),
)


def _classifier(
    name: str, paper: str, parameters: int, side: int, smallest: int, classes: int
) -> Network:
    build = classifier(name)
    return Network(name, paper, parameters, side, smallest, classes, build, gluoncv=True)


def _segmenter(
    model: str, paper: str, parameters: int, recipe: Recipe = gluon_cv.SEGMENTATION
) -> Network:
    build = segmenter(model)
    return Network(f"{model}_resnet50_voc", paper, parameters, 480, 16, 21, build, recipe, True)


def _pose(name: str, paper: str, parameters: int) -> Network:
    build, recipe = simple_pose(name), gluon_cv.POSE
    return Network(name, paper, parameters, 256, 32, 17, build, recipe, True)


def _yolo(name: str) -> Network:
    paper, parameters, build = "arXiv:1804.02767", yolo.PARAMETERS[name], yolo.yolo(name)
    return Network(name, paper, parameters, 608, 64, 20, build, yolo.YOLO, True)


def _rcnn(name: str, paper: str, side: int, classes: int, recipe: Recipe) -> Network:
    parameters, smallest, build = rcnn.PARAMETERS[name], rcnn.SMALLEST_SIDE, rcnn.rcnn(name)
    return Network(name, paper, parameters, side, smallest, classes, build, recipe, True)


def _ssd(name: str, parameters: int, side: int, smallest: int) -> Network:
    # The data set has 20 classes; the background is one more.
    build, recipe = ssd.ssd(name), ssd.recipe(name)
    return Network(name, "arXiv:1512.02325", parameters, side, smallest, 21, build, recipe, True)


# GluonCV's, which tests/models/test_zoo.py builds on each release. Numbers of parameters: see
# their files. Image sizes are those of GluonCV's scripts.
_GLUONCV = (
    _classifier("cifar_resnet20_v1", _RESNET, 272_474, 32, 4, 10),
    # More than imgclsmob's: batch normalisation of the images, which learns nothing (3 scales and
    # 3 shifts), and of the first convolution (16 and 16).
    _classifier("cifar_wideresnet16_10", "arXiv:1605.07146", 17_116_634 + 6 + 32, 32, 4, 10),
    _classifier("cifar_resnext29_16x64d", "arXiv:1611.05431", 68_155_210, 32, 4, 10),
    _classifier("mobilenetv2_1.0", "arXiv:1801.04381", 3_504_960, 224, 32, 1000),
    _classifier("se_resnext50_32x4d", "arXiv:1709.01507", 27_559_896, 224, 32, 1000),
    _classifier("densenet121", "arXiv:1608.06993", 7_978_856, 224, 221, 1000),
    # With the auxiliary head.
    _segmenter("fcn", "arXiv:1411.4038", 35_445_994),
    _segmenter("psp", "arXiv:1612.01105", 49_081_578),
    _segmenter("deeplab", "arXiv:1706.05587", 42_127_850, gluon_cv.DEEPLAB),
    # The script's images have 256x192 pixels, and its data set 17 joints.
    _pose("simple_pose_resnet18_v1b", "arXiv:1804.06208", 15_376_721),
    # The largest side: the script draws 320 to 608.
    _yolo("yolo3_darknet53_voc"),
    _yolo("yolo3_mobilenet1.0_voc"),
    # The shorter side: the scripts keep the images' proportions.
    _rcnn("faster_rcnn_resnet50_v1b_voc", "arXiv:1506.01497", 600, 20, rcnn.FASTER_RCNN),
    _rcnn("mask_rcnn_resnet50_v1b_coco", "arXiv:1703.06870", 800, 80, rcnn.MASK_RCNN),
    *(_ssd(name, *sizes) for name, sizes in ssd.SIZES.items()),
)
NETWORKS = {network.name: network for network in (*_NETWORKS, *_GLUONCV)}


def find_network(name: str) -> Network:
    """Return the network called ``name``; ValueError names the word and the allowed ones."""
    if name not in NETWORKS:
        raise ValueError(f"unknown model '{name}': expected one of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def check_image_size(network: Network, image_size: int) -> None:
    """Refuse an image side (pixels) that the network cannot be built for, with ValueError."""
    if image_size < network.smallest_image_size:
        raise ValueError(
            f"image size {image_size} is too small for {network.name}: "
            f"expected at least {network.smallest_image_size}"
        )
