"""Maps the names that people type to networks.

Owns the list of names, each network's image sizes and how it is built. Nothing here imports
mxnet: builders do when they are called, in the worker process. Weights are always random,
a pretrained file is never fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from harness.errors import HarnessError
from models import small

Builder = Callable[[int, str], Any]


@dataclass(frozen=True)
class Network:
    """A network by name.

    ``image_size`` is the side in pixels that its paper trains on; below ``smallest_image_size`` one
    of its layers has nothing left to work on. ``build(classes, prefix)`` returns a Gluon
    HybridBlock from images (batch, 3, side, side) to scores (batch, classes).
    """

    name: str
    image_size: int
    smallest_image_size: int
    classes: int
    build: Builder


def _from_mxnet_zoo(zoo_name: str) -> Builder:
    def build(classes: int, prefix: str) -> Any:
        from mxnet.gluon.model_zoo import vision

        return vision.get_model(zoo_name, pretrained=False, classes=classes, prefix=prefix)

    return build


def _zoo(name: str, zoo_name: str, image_size: int, smallest_image_size: int) -> Network:
    return Network(name, image_size, smallest_image_size, 1000, _from_mxnet_zoo(zoo_name))


# A network with a definition of its own names its builder here, as seven-ops does.
_NETWORKS = (
    _zoo("alexnet", "alexnet", 224, 63),
    _zoo("vgg-11-bn", "vgg11_bn", 224, 32),
    _zoo("vgg-16", "vgg16", 224, 32),
    _zoo("vgg-19", "vgg19", 224, 32),
    _zoo("inception-v3", "inceptionv3", 299, 299),
    _zoo("resnet-18", "resnet18_v1", 224, 16),
    _zoo("resnet-50", "resnet50_v1", 224, 16),
    _zoo("resnet-152", "resnet152_v1", 224, 16),
    _zoo("mobilenet-1.0", "mobilenet1.0", 224, 16),
    _zoo("squeezenet-1.0", "squeezenet1.0", 224, 213),
    _zoo("densenet-121", "densenet121", 224, 221),
    Network("seven-ops", 32, 16, 10, small.seven_ops),
)
NETWORKS = {network.name: network for network in _NETWORKS}


def find_network(name: str) -> Network:
    """Return the network called ``name``; HarnessError names the word and the allowed ones."""
    if name not in NETWORKS:
        raise HarnessError(f"unknown model '{name}': expected one of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def check_image_size(network: Network, image_size: int) -> None:
    """Refuse an image side (pixels) that the network cannot be built for, with HarnessError."""
    if image_size < network.smallest_image_size:
        raise HarnessError(
            f"image size {image_size} is too small for {network.name}: "
            f"expected at least {network.smallest_image_size}"
        )
