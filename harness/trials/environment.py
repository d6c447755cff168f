"""Builds the environments of worker processes from nothing.

A variable of the user's shell therefore cannot change one variant and not the other.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Protocol, Sequence

from harness.base.layout import Layout
from harness.trials.variants import Variant, build_folder, is_preloaded, own_build
from patches.python.mkldnn_opcache.variables import ASSUME, MAPS
from patches.python.mkldnn_opcache.variables import HEAP as _HEAP

# How fast MXNet updates a large weight depends on its address relative to the gradient's:
# docs/performance.md.
HEAP = dict(_HEAP)


class OpenMP(Protocol):
    """OpenMP's settings, such as a record's ``Threads``; None leaves the runtime's default."""

    @property
    def omp_num_threads(self) -> int: ...

    @property
    def kmp_affinity(self) -> Optional[str]: ...

    @property
    def kmp_blocktime(self) -> Optional[str]: ...


def settings(variant: Variant, threads: OpenMP, overrides: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables that influence a worker's results, to be recorded with them.

    Stock MXNet gets no variable of the cache, even from ``overrides``.
    """
    environment = {"OMP_NUM_THREADS": str(threads.omp_num_threads)}
    if threads.kmp_affinity is not None:
        environment["KMP_AFFINITY"] = threads.kmp_affinity
    if threads.kmp_blocktime is not None:
        environment["KMP_BLOCKTIME"] = threads.kmp_blocktime
    if variant.scope is not None:
        environment["MKLDNN_OPCACHE"] = variant.scope
    if variant.maps is not None:
        environment[MAPS] = str(variant.maps)
    for name, value in overrides.items():
        if variant.scope is not None or not name.startswith("MKLDNN_OPCACHE"):
            environment[name] = value
    return environment


def whole_environment(
    layout: Layout,
    host: str,
    variant: Variant,
    chosen: Mapping[str, str],
    python_path: Sequence[str] = (),
) -> Dict[str, str]:
    """Return the complete environment of a Python process on a variant's build.

    ``python_path`` are further folders of Python modules.
    """
    environment: Dict[str, str] = {
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": ":".join([str(build_folder(layout, host, variant)), *python_path]),
        **chosen,
    }
    build = own_build(layout, host, variant)
    if build is not None:
        # What its user needs to load it; not recorded, because it names folders.
        environment.update(build.environment)
        if variant.scope is None:
            environment.pop(ASSUME, None)
    if is_preloaded(layout, variant):
        environment["LD_PRELOAD"] = str(layout.library)
    return environment
