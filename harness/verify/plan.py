"""The configuration of a verification: a TOML file's values, replaced by the command line's.

Checks every name before the first process starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Container, Dict, List, Optional, Tuple

import pydantic

from harness.base.errors import HarnessError
from harness.base.options import known_words, words
from harness.base.toml import Count, FrozenModel
from harness.build.toolchain import Toolchain
from harness.operators.cases import OPERATOR_CASES
from harness.trials.networks import check_image_size, find_network
from harness.trials.record import Case
from harness.trials.variants import STOCK, mxnet_version, parse_variant
from harness.verify.context import Task
from harness.verify.faults import known
from harness.verify.mxnet_tests import files_of, host_of
from harness.verify.record import VerifySettings

# In the order of work; the last one needs a checkout of MXNet.
STAGES = ("operators", "bitwise", "debug", "shadow", "faults", "upstream")


class TrainedNetwork(FrozenModel):
    """The training of a network; a missing image size is that of its paper.

    Without ``hosts`` it trains on every host. ``trained_by`` are the releases whose stock MXNet can
    train it, if not all can.
    """

    model: str
    batch_size: Count
    image_size: Optional[Count] = None
    hosts: Optional[Tuple[str, ...]] = None
    trained_by: Optional[Tuple[str, ...]] = None

    def trains_on(self, host: str) -> bool:
        """Tell whether stock MXNet can train it on a release, or on a build of its version."""
        minor = mxnet_version(host).split(".")[:2]
        return self.trained_by is None or minor in [x.split(".")[:2] for x in self.trained_by]


class VerifyConfig(FrozenModel):
    """A verification's configuration file; ``scopes`` are by host."""

    scopes: Dict[str, Tuple[str, ...]] = pydantic.Field(min_length=1)
    networks: Tuple[TrainedNetwork, ...]
    operators: Tuple[str, ...]
    quick_operators: bool
    faults: Tuple[str, ...]
    seed: int
    steps: Count
    stock_runs: Count
    omp_num_threads: Count
    workers: Count
    timeout_s: float = pydantic.Field(gt=0, le=86400)


def resolve(
    config: VerifyConfig,
    toolchain: Toolchain,
    stages: Optional[str] = None,
    models: Optional[str] = None,
    hosts: Optional[str] = None,
    scopes: Optional[str] = None,
    operators: Optional[str] = None,
    faults: Optional[str] = None,
    mxnet_tests: Optional[Path] = None,
    test_files: Optional[str] = None,
    baseline: str = STOCK,
) -> VerifySettings:
    """Return the settings of a run; HarnessError names an unknown word and the known ones.

    The options are the command line's, lists separated by commas, None where not given.
    """
    chosen_scopes = None if scopes is None else words("--scopes", scopes)
    by_host = {}
    for host in list(config.scopes) if hosts is None else words("--hosts", hosts):
        toolchain.host(host)
        if host not in config.scopes and chosen_scopes is None:
            raise HarnessError(f"no scopes are configured for MXNet {host}: give --scopes")
        by_host[host] = list(chosen_scopes or config.scopes[host])
        for scope in by_host[host]:
            if parse_variant(scope).scope is None or scope == baseline:
                raise HarnessError(f"--scopes: {scope} is what the others are compared with")
    networks = {network.model: network for network in config.networks}
    cases = []
    only_on = {}
    for model in list(networks) if models is None else words("--models", models):
        network = find_network(model)
        trained = networks.get(model) or TrainedNetwork(model=model, batch_size=2)
        side = trained.image_size or network.image_size
        check_image_size(network, side)
        able = [host for host in by_host if trained.trains_on(host)]
        if not able and models is None:
            continue
        if not able:
            raise HarnessError(f"{model}: stock MXNet {', '.join(by_host)} cannot train it")
        if len(able) < len(by_host):
            only_on[model] = able
        cases.append(Case(model=model, batch_size=trained.batch_size, image_size=side))
        if models is None and hosts is None and trained.hosts is not None:
            only_on[model] = _hosts(trained.hosts, by_host, model)
    if mxnet_tests is None and (test_files is not None or "upstream" in (stages or "").split(",")):
        raise HarnessError("MXNet's own tests need --mxnet-tests, a checkout of MXNet")
    files = {}
    if mxnet_tests is not None:
        there = files_of(mxnet_tests)
        host = host_of(mxnet_tests, toolchain)
        if host not in by_host:
            raise HarnessError(f"{mxnet_tests}: is MXNet {host}: expected {', '.join(by_host)}")
        files[host] = known_words("--test-files", test_files, there, there)
    default_stages = [stage for stage in STAGES if stage != "upstream" or files]
    return VerifySettings(
        stages=known_words("--stages", stages, default_stages, STAGES),
        scopes=by_host,
        networks=cases,
        only_on=only_on,
        operators=known_words("--operators", operators, config.operators, OPERATOR_CASES),
        quick=config.quick_operators,
        faults=known_words("--faults", faults, config.faults, known()),
        mxnet_tests=files,
        seed=config.seed,
        steps=config.steps,
        stock_runs=config.stock_runs,
        omp_num_threads=config.omp_num_threads,
        baseline=baseline,
    )


def _hosts(hosts: Tuple[str, ...], known: Container[str], model: str) -> List[str]:
    unknown = [host for host in hosts if host not in known]
    if unknown:
        raise HarnessError(f"{model}: no scopes are configured for MXNet {', '.join(unknown)}")
    return list(hosts)


def tasks(settings: VerifySettings) -> List[Task]:
    """Return all tasks of the settings, in order."""
    networks = [
        (case.model, host)
        for case in settings.networks
        for host in settings.only_on.get(case.model, settings.scopes)
    ]
    pairs = {
        "operators": [(name, host) for name in settings.operators for host in settings.scopes],
        "bitwise": networks,
        "debug": networks,
        "shadow": networks,
        # A fault names the releases that can show it.
        "faults": [
            (name, host)
            for name in settings.faults
            for host in known()[name].hosts
            if host in settings.scopes
        ],
        "upstream": [(f, host) for host, files in settings.mxnet_tests.items() for f in files],
    }
    return [Task(stage, *pair) for stage in settings.stages for pair in pairs[stage]]
