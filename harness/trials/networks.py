"""Finds networks in the registry; turns its ValueError into HarnessError."""

from __future__ import annotations

from harness.base.errors import HarnessError
from models import registry
from models.registry import Network


def find_network(name: str) -> Network:
    """Return the network called ``name``; HarnessError names the word and the allowed ones."""
    try:
        return registry.find_network(name)
    except ValueError as error:
        raise HarnessError(str(error)) from error


def find_classifier(name: str) -> Network:
    """Return the network called ``name``, or raise HarnessError unless it is a classifier.

    Only classifiers can be trained through MXNet's Module API.
    """
    network = find_network(name)
    if network.recipe is not None:
        raise HarnessError(f"model '{name}' is not a classifier: verify and bench train it")
    return network


def check_image_size(network: Network, image_size: int) -> None:
    """Refuse an image side (pixels) that the network cannot be built for, with HarnessError."""
    try:
        registry.check_image_size(network, image_size)
    except ValueError as error:
        raise HarnessError(str(error)) from error
