"""Reads TOML files into validated, immutable models; here those of configs/toolchain.toml.

Every fault of a file is a HarnessError of one line that names the file, the place in it and the
value found. Knows the files' form only, never what is built from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple, Type, TypeVar

import pydantic
import tomli

from harness import reading
from harness.errors import HarnessError

_MOST_FAULTS = 1000

Model = TypeVar("Model", bound=pydantic.BaseModel)

# One path component: these values become names of files and folders.
_VERSION = pydantic.Field(pattern=r"^[0-9]+(\.[0-9a-z]+)*$")
_NAME = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")


class Host(pydantic.BaseModel):
    """One MXNet release that is patched: its wheel, and the MKL-DNN inside it."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    version: str = _VERSION
    package: str = _NAME
    filename: str = _NAME
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    mkldnn: str
    mkldnn_build_id: str = pydantic.Field(pattern=r"^[0-9a-f]{40}$")


class Toolchain(pydantic.BaseModel):
    """All pinned inputs of the build."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    headers: str
    requires: Tuple[str, ...]
    hosts: Tuple[Host, ...] = pydantic.Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _check_versions(self) -> Toolchain:
        versions = [host.version for host in self.hosts]
        if len(set(versions)) != len(versions):
            raise ValueError(f"a host is named twice: {', '.join(versions)}")
        if self.headers not in versions:
            raise ValueError(f"headers: expected one of {', '.join(versions)}: {self.headers!r}")
        return self

    def host(self, version: str) -> Host:
        """Return the host of that version; raises HarnessError naming those there are."""
        for host in self.hosts:
            if host.version == version:
                return host
        known = ", ".join(host.version for host in self.hosts)
        raise HarnessError(f"unknown host {version!r}: expected one of {known}")


def read_toml(path: Path) -> Dict[str, Any]:
    """Return the content of a TOML file; raises HarnessError if it cannot be read or parsed."""
    text = reading.text(path, reading.MOST_CONFIG_BYTES)
    # tomli takes the square of a dotted key's length, in time and memory.
    if any(line.count(".") > reading.MOST_DEPTH for line in text.splitlines()):
        raise HarnessError(f"{path}: expected at most {reading.MOST_DEPTH} dots in a line")
    try:
        content = tomli.loads(text, parse_float=reading.number)
        reading.check_value(content)
    except RecursionError:
        raise HarnessError(f"{path}: not a TOML file: nested too deeply") from None
    except tomli.TOMLDecodeError as error:
        raise HarnessError(f"{path}: not a TOML file: {error}") from error
    except ValueError as error:
        raise HarnessError(f"{path}: {error}") from error
    return content


def load(path: Path, model: Type[Model]) -> Model:
    """Read a TOML file into ``model``; raises HarnessError naming the first fault in it."""
    content = read_toml(path)
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        if error.error_count() > _MOST_FAULTS:
            raise HarnessError(f"{path}: {error.error_count()} wrong values") from error
        fault = error.errors()[0]
        place = "".join(f"{part}: " for part in fault["loc"])
        found = "" if isinstance(fault["input"], dict) else f", found {fault['input']!r:.60}"
        raise HarnessError(f"{path}: {place}{fault['msg']}{found}") from error


def load_toolchain(path: Path) -> Toolchain:
    """Read configs/toolchain.toml."""
    return load(path, Toolchain)


def project_version(pyproject: Path) -> str:
    """Return the project's version, which pyproject.toml alone defines."""
    try:
        return str(read_toml(pyproject)["project"]["version"])
    except (KeyError, TypeError) as error:
        raise HarnessError(f"{pyproject}: has no project.version") from error
