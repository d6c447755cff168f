"""Reads TOML files into validated, immutable models.

Every fault is a HarnessError of one line: file, place, and found value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Type, TypeVar

import pydantic
import tomli
from typing_extensions import Annotated

from harness.base import reading
from harness.base.errors import HarnessError

_MOST_FAULTS = 1000
Model = TypeVar("Model", bound=pydantic.BaseModel)
Count = Annotated[int, pydantic.Field(gt=0, lt=2**31)]


class FrozenModel(pydantic.BaseModel):
    """An immutable model that allows no other fields than its own."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path) -> Dict[str, Any]:
    """Return the content of a TOML file; raises HarnessError if it cannot be read or parsed."""
    text = reading.text(path, reading.MOST_CONFIG_BYTES)
    # tomli needs the square of a dotted key's length, in time and memory.
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


def project_version(pyproject: Path) -> str:
    """Return the project's version, which pyproject.toml alone defines."""
    try:
        return str(read_toml(pyproject)["project"]["version"])
    except (KeyError, TypeError) as error:
        raise HarnessError(f"{pyproject}: has no project.version") from error
