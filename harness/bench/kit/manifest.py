"""The manifest of a kit: its contents with their hashes, and the benchmark's defaults.

Standard library only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from harness.base import reading
from harness.base.errors import HarnessError

NAME = "kit.json"
SCHEMA_VERSION = 1


def load(root: Path) -> Dict[str, Any]:
    """Return the manifest of the kit in the folder ``root``; HarnessError when it is no kit's."""
    found = reading.json_file(root / NAME)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise HarnessError(f"{NAME}: expected schema {SCHEMA_VERSION}, found {version!r:.40}")
    return found


def check_files(root: Path, manifest: Dict[str, Any]) -> None:
    """Raise HarnessError, with both hashes, for the first file that is not the kit's."""
    for name, expected in manifest["files"].items():
        if not (root / name).is_file():
            raise HarnessError(f"{name} of the kit not found: unpack the archive again")
        found = reading.sha256_of(root / name)
        if found != expected:
            raise HarnessError(
                f"{name}: expected sha256 {expected:.16}…, found {found:.16}…: "
                "unpack the archive again"
            )
