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


def check_image_size(network: Network, image_size: int) -> None:
    """Refuse an image side (pixels) that the network cannot be built for, with HarnessError."""
    try:
        registry.check_image_size(network, image_size)
    except ValueError as error:
        raise HarnessError(str(error)) from error
