"""Names the paths of a work tree; no other module spells them. Never touches the file system."""

from __future__ import annotations

import dataclasses
from pathlib import Path

CACHE_LIBRARY = "libmkldnn_opcache.so"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of one work tree; ``root`` is absolute."""

    root: Path

    @property
    def readme(self) -> Path:
        """The description of our own wheel."""
        return self.root / "README.md"

    @property
    def license(self) -> Path:
        """The license of our own wheel."""
        return self.root / "LICENSE"

    @property
    def toolchain(self) -> Path:
        """The pinned inputs of the build."""
        return self.root / "configs" / "toolchain.toml"

    @property
    def pyproject(self) -> Path:
        """The file that holds the project's version."""
        return self.root / "pyproject.toml"

    @property
    def sources(self) -> Path:
        """The C++ library's sources, with their own Makefile."""
        return self.root / "patches" / "opcache"

    @property
    def package(self) -> Path:
        """The Python package: in our own wheel, and beside mxnet in a patched MXNet."""
        return self.root / "patches" / "python" / "mkldnn_opcache"

    @property
    def faults(self) -> Path:
        """The planted faults: their list, their patches and a Makefile."""
        return self.root / "tests" / "faults"

    @property
    def cpp_tests(self) -> Path:
        """The C++ tests, with their own Makefile."""
        return self.root / "tests" / "cpp"

    @property
    def build(self) -> Path:
        """Everything built, except the wheels."""
        return self.root / "build"

    @property
    def lock(self) -> Path:
        """The file that a build in this work tree locks."""
        return self.build / ".lock"

    @property
    def dist(self) -> Path:
        """What a release hands out."""
        return self.root / "dist"

    @property
    def library(self) -> Path:
        """The library for LD_PRELOAD, which needs no libmkldnn itself."""
        return self.build / "lib" / CACHE_LIBRARY

    @property
    def microbench(self) -> Path:
        """The micro-benchmark, for the MKL-DNN of every MXNet release."""
        return self.build / "microbench" / "microbench"

    @property
    def tools(self) -> Path:
        """The sources of compiled tools, each with its own Makefile."""
        return self.root / "tools"

    @property
    def no_execution(self) -> Path:
        """The library for LD_PRELOAD that keeps MXNet from executing primitives."""
        return self.build / "no_execution" / "no_execution.so"

    @property
    def kill_at(self) -> Path:
        """The library for LD_PRELOAD that kills a process at a chosen step of writing a file."""
        return self.build / "kill_at" / "kill_at.so"

    @property
    def raw(self) -> Path:
        """The records of measurements and checks."""
        return self.root / "results" / "raw"

    @property
    def mkldnn_headers(self) -> Path:
        """The folder of the MKL-DNN headers that the library is compiled with."""
        return self.build / "headers"

    def stock(self, host: str) -> Path:
        """The PYTHONPATH folder of the released MXNet ``host``."""
        return self.build / f"{host}-stock"

    def patched(self, host: str) -> Path:
        """The PYTHONPATH folder of the patched MXNet ``host``."""
        return self.build / f"{host}-opcache"

    def headers(self, host: str) -> Path:
        """The folder of MKL-DNN's C headers that the wheel of ``host`` ships."""
        return self.stock(host) / "mxnet" / "include" / "mkldnn"


def here() -> Layout:
    """Return the layout of the work tree that this file is in."""
    return Layout(Path(__file__).resolve().parent.parent.parent)
