"""The configuration of a benchmark: a TOML file's values, replaced by those of the command line.

Checks every name before the first process starts. Runs nothing.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import pydantic
from typing_extensions import Annotated, Literal

from harness.base import hardware
from harness.base.errors import HarnessError
from harness.base.toml import Count, FrozenModel
from harness.bench import pytorch
from harness.bench.record import ALTERNATE, PROFILE, BenchSettings, Series
from harness.build.toolchain import Host, Toolchain
from harness.trials.networks import check_image_size, find_classifier, find_network
from harness.trials.record import Case, Threads
from harness.trials.variants import STOCK, STOCK_AGAIN, check_alternating, parse_variant
from patches.python.mkldnn_opcache.facts import cpus, physical_cores

_NotNegative = Annotated[int, pydantic.Field(ge=0, lt=2**31)]


class SeriesConfig(FrozenModel):
    """One ``[[series]]`` table: processes of one kind; a missing value is the file's own.

    ``batch_sizes`` are in the order of work: all networks with the first, then with the next.
    """

    name: str = pydantic.Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    job: Literal["train", "profile", "memory", "created", "alternate"] = "train"
    batch_sizes: Tuple[Count, ...] = pydantic.Field(min_length=1)
    models: Optional[Tuple[str, ...]] = None
    scopes: Optional[Dict[str, Tuple[str, ...]]] = None
    omp_num_threads: Optional[Count] = None
    allocator: Optional[Literal["default", "heap"]] = None
    rounds_min: Optional[Count] = None
    rounds_max: Optional[Count] = None
    case_budget_s: Optional[float] = pydantic.Field(default=None, ge=0)
    warm_up_steps_min: Optional[_NotNegative] = None
    warm_up_steps_max: Optional[Count] = None
    timed_steps_min: Optional[Count] = None
    timed_steps_max: Optional[Count] = None
    steps_budget_s: Optional[float] = pydantic.Field(default=None, ge=0)
    block_s: Optional[float] = pydantic.Field(default=None, ge=0)
    cycles_min: Optional[Count] = None
    cycles_max: Optional[Count] = None
    half_width: Optional[float] = pydantic.Field(default=None, ge=0)


class BenchConfig(FrozenModel):
    """A benchmark's configuration file; the series are in the order of work.

    ``scopes`` names the variants by MXNet release; a missing image size is that of the network's
    paper. ``together`` is that of BenchSettings. Budgets limit the rounds of a case and the timed
    steps of a process (record.Series). A missing ``memory_limit_gib`` is nine tenths of the
    machine's memory.
    """

    models: Tuple[str, ...] = pydantic.Field(min_length=1)
    scopes: Dict[str, Tuple[str, ...]] = pydantic.Field(min_length=1)
    together: Optional[str] = pydantic.Field(default=None, pattern=r"^[A-Za-z0-9]+$")
    image_sizes: Dict[str, Count] = {}
    rounds_min: Count
    rounds_max: Count
    case_budget_s: float = pydantic.Field(default=0, ge=0)
    warm_up_steps_min: _NotNegative
    warm_up_steps_max: Count
    timed_steps_min: Count
    timed_steps_max: Count
    steps_budget_s: float = pydantic.Field(default=0, ge=0)
    series: Tuple[SeriesConfig, ...] = pydantic.Field(min_length=1)
    seed: int
    learning_rate: pydantic.FiniteFloat
    momentum: pydantic.FiniteFloat
    timeout_s: float = pydantic.Field(gt=0, le=86400)
    memory_limit_gib: Optional[float] = pydantic.Field(default=None, gt=0)
    omp_num_threads: Optional[Count] = None
    kmp_affinity: Optional[str] = None
    kmp_blocktime: Optional[str] = None
    allocator: Literal["default", "heap"] = "default"


def scopes_by_host(
    configured: Dict[str, Tuple[str, ...]],
    hosts: Optional[Tuple[str, ...]],
    scopes: Optional[Tuple[str, ...]],
) -> Dict[str, Tuple[str, ...]]:
    """Return the scopes by MXNet release: the options where given, else the configured ones.

    A release without a configuration gets the scopes of the first configured release.
    """
    first = next(iter(configured.values()), ())
    return {
        host: scopes if scopes is not None else configured.get(host, first)
        for host in (hosts if hosts is not None else configured)
    }


def resolve(config: BenchConfig, toolchain: Toolchain, image_size: Optional[int]) -> BenchSettings:
    """Return the settings of a run; HarnessError names an unknown word and the known ones.

    ``image_size`` in pixels, when given, holds for every model.
    """
    for model in config.image_sizes:
        find_network(model)
    names = [series.name for series in config.series]
    if len(set(names)) != len(names):
        raise HarnessError(f"series: expected different names, found {', '.join(names)}")
    # The rest is for the system and other processes.
    memory_limit_gib = config.memory_limit_gib or 0.9 * hardware.memory_gib()
    return BenchSettings(
        series=[_series(config, series, toolchain, image_size) for series in config.series],
        cpus=cpus(),
        memory_limit_gib=memory_limit_gib,
        seed=config.seed,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        together=config.together,
    )


def _series(
    config: BenchConfig, series: SeriesConfig, toolchain: Toolchain, image_size: Optional[int]
) -> Series:
    # The file's own values complete the series.
    found: Dict[str, Any] = {
        name: getattr(config, name) if value is None else value
        for name, value in series.model_dump().items()
        if name in BenchConfig.model_fields or value is not None
    }
    for name, more in (("rounds", 0), ("timed_steps", 0), ("warm_up_steps", 1)):
        low, high = found[f"{name}_min"], found[f"{name}_max"]
        if high < low + more:
            raise HarnessError(
                f"series {series.name}: {name}_max: expected {low + more} or more, found {high}"
            )
    for host, scopes in found["scopes"].items():
        _check_scopes(series, toolchain, host, scopes)
    threads = Threads(
        omp_num_threads=found.pop("omp_num_threads") or physical_cores(),
        kmp_affinity=config.kmp_affinity,
        kmp_blocktime=config.kmp_blocktime,
    )
    cases = [
        _case(config, series, model, batch_size, image_size)
        for batch_size in found.pop("batch_sizes")
        for model in found["models"]
    ]
    del found["models"]
    variants = {host: list(scopes) for host, scopes in found.pop("scopes").items()}
    return Series(**found, cases=cases, variants=variants, threads=threads)


def _check_scopes(
    series: SeriesConfig, toolchain: Toolchain, host: str, scopes: Sequence[str]
) -> None:
    if series.job == ALTERNATE:
        check_alternating(f"series {series.name}", scopes)
    served = host != pytorch.HOST and isinstance(toolchain.release(host), Host)
    for scope in scopes:
        known = pytorch.FORMATS if host == pytorch.HOST else (STOCK, STOCK_AGAIN)
        if not served and scope not in known:
            raise HarnessError(
                f"series {series.name}: {host}: expected {' or '.join(known)}, found '{scope}'"
            )
        if served and series.job != ALTERNATE:
            parse_variant(scope)


def _case(
    config: BenchConfig,
    series: SeriesConfig,
    model: str,
    batch_size: int,
    image_size: Optional[int],
) -> Case:
    # A profile counts the calls of the loss of MXNet's Module API.
    network = (find_classifier if series.job == PROFILE else find_network)(model)
    side = image_size or config.image_sizes.get(model, network.image_size)
    check_image_size(network, side)
    return Case(model=model, batch_size=batch_size, image_size=side)
