"""Reads configs/toolchain.toml: the pinned wheels, and the MKL-DNN in each."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Tuple, TypeVar

import pydantic

from harness.base.errors import HarnessError
from harness.base.toml import FrozenModel, load
from patches.python.mkldnn_opcache.releases import interface_of, library_of

# Patterns of one path component: these values become names of files and folders.
_VERSION = pydantic.Field(pattern=r"^[0-9]+(\.[0-9a-z]+)*$")
_NAME = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")


class Wheel(FrozenModel):
    """An MXNet release, as a wheel that measurements compare with."""

    version: str = _VERSION
    package: str = _NAME
    filename: str = _NAME
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")


class Host(Wheel):
    """An MXNet release to be patched: its wheel, and the MKL-DNN that it comes with."""

    mkldnn: str = pydantic.Field(pattern=r"^v[0-9]+(\.[0-9]+)+$")
    mkldnn_build_id: str = pydantic.Field(pattern=r"^[0-9a-f]{40}$")

    @property
    def library(self) -> str:
        """The file name of its MKL-DNN."""
        return library_of(self.mkldnn)

    @property
    def interface(self) -> int:
        """The first number of its MKL-DNN's version: another one is another C interface."""
        return interface_of(self.mkldnn)


class Toolchain(FrozenModel):
    """All pinned inputs of the build; ``unserved`` are releases to compare with."""

    headers: str
    requires: Tuple[str, ...]
    hosts: Tuple[Host, ...] = pydantic.Field(min_length=1)
    unserved: Tuple[Wheel, ...] = ()

    @pydantic.model_validator(mode="after")
    def _check_versions(self) -> Toolchain:
        every = [wheel.version for wheel in (*self.hosts, *self.unserved)]
        if len(set(every)) != len(every):
            raise ValueError(f"a host is named twice: {', '.join(every)}")
        versions = every[: len(self.hosts)]
        if self.headers not in versions:
            raise ValueError(f"headers: expected one of {', '.join(versions)}: {self.headers!r}")
        return self

    def host(self, version: str) -> Host:
        """Return the served release of that version; HarnessError names the known ones."""
        return _find(version, self.hosts)

    def release(self, version: str) -> Wheel:
        """Return the release of that version, served or not; HarnessError names the known ones."""
        return _find(version, (*self.hosts, *self.unserved))


_Wheel = TypeVar("_Wheel", bound=Wheel)


def _find(version: str, wheels: Sequence[_Wheel]) -> _Wheel:
    for wheel in wheels:
        if wheel.version == version:
            return wheel
    known = ", ".join(wheel.version for wheel in wheels)
    raise HarnessError(f"unknown host {version!r}: expected one of {known}")


def load_toolchain(path: Path) -> Toolchain:
    """Read configs/toolchain.toml."""
    return load(path, Toolchain)
