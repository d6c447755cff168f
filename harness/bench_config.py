"""What a benchmark runs: a TOML file's values, with the command line's in their place.

Every name is checked here, before the first process starts.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import pydantic
from typing_extensions import Annotated

from harness.config import Toolchain
from harness.errors import HarnessError
from harness.machine import physical_cores
from harness.record import Case, Settings, Threads
from harness.run import parse_variant
from models.registry import check_image_size, find_network

_Positive = Annotated[int, pydantic.Field(gt=0, lt=2**31)]


class BenchConfig(pydantic.BaseModel):
    """A benchmark's configuration file.

    ``scopes`` names the variants by host; an image size left out is that of the network's paper.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    models: Tuple[str, ...]
    scopes: Dict[str, Tuple[str, ...]]
    batch_sizes: Tuple[_Positive, ...]
    image_sizes: Dict[str, _Positive] = {}
    samples: _Positive
    seed: int
    warm_up_steps_min: _Positive
    warm_up_steps_max: _Positive
    timed_steps: _Positive
    learning_rate: pydantic.FiniteFloat
    momentum: pydantic.FiniteFloat
    timeout_s: float = pydantic.Field(gt=0, le=86400)
    omp_num_threads: Optional[_Positive] = None
    kmp_affinity: Optional[str] = None
    kmp_blocktime: Optional[str] = None


def words(option: str, text: str) -> Tuple[str, ...]:
    """Return the words of a comma-separated option, each of which may occur once."""
    found = tuple(word.strip() for word in text.split(","))
    if "" in found or len(set(found)) != len(found):
        raise HarnessError(f"{option}: expected different words separated by commas: '{text}'")
    return found


def scopes_by_host(
    configured: Dict[str, Tuple[str, ...]],
    hosts: Optional[Tuple[str, ...]],
    scopes: Optional[Tuple[str, ...]],
) -> Dict[str, Tuple[str, ...]]:
    """Return what to run on each host: the options where given, else what is configured.

    A host that no configuration mentions gets the first configured host's scopes.
    """
    first = next(iter(configured.values()), ())
    return {
        host: scopes if scopes is not None else configured.get(host, first)
        for host in (hosts if hosts is not None else configured)
    }


def numbers(option: str, text: str) -> Tuple[int, ...]:
    """Return the positive integers of a comma-separated option."""
    return tuple(number(option, word) for word in words(option, text))


def number(option: str, text: str) -> int:
    """Return a positive integer option's value."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise HarnessError(f"{option}: expected a positive integer, found '{text}'")
    return int(text)


def resolve(config: BenchConfig, toolchain: Toolchain, image_size: Optional[int]) -> Settings:
    """Return the settings of a run; HarnessError names a word that is not known and the allowed.

    ``image_size`` in pixels, when given, holds for every model.
    """
    for host, scopes in config.scopes.items():
        toolchain.host(host)
        for scope in scopes:
            parse_variant(scope)
    for model in config.image_sizes:
        find_network(model)
    if config.warm_up_steps_max <= config.warm_up_steps_min:
        raise HarnessError(
            "warm_up_steps_max: expected more than warm_up_steps_min "
            f"({config.warm_up_steps_min}), found {config.warm_up_steps_max}"
        )
    return Settings(
        cases=_cases(config, image_size),
        variants={host: list(scopes) for host, scopes in config.scopes.items()},
        samples=config.samples,
        seed=config.seed,
        threads=Threads(
            omp_num_threads=config.omp_num_threads or physical_cores(),
            kmp_affinity=config.kmp_affinity,
            kmp_blocktime=config.kmp_blocktime,
        ),
        warm_up_steps_min=config.warm_up_steps_min,
        warm_up_steps_max=config.warm_up_steps_max,
        timed_steps=config.timed_steps,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
    )


def _cases(config: BenchConfig, image_size: Optional[int]) -> List[Case]:
    cases = []
    for model in config.models:
        network = find_network(model)
        side = image_size or config.image_sizes.get(model, network.image_size)
        check_image_size(network, side)
        for batch_size in config.batch_sizes:
            cases.append(Case(model=model, batch_size=batch_size, image_size=side))
    return cases
