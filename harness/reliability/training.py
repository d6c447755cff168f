"""Hours of training: memory, open files and threads do not grow, and each epoch has stock's bits.

Stock and cached training run side by side on CIFAR-10, with augmentation, processes of Gluon's
DataLoader, a checkpoint and the statistics of the cache after every epoch. An interrupted run
continues after the last finished epoch of each.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.converge import cifar10, dataset, follow
from harness.converge.dataset import DataSet
from harness.reliability.context import PROCESSES, Context, Result, attempt, finding, verdict
from harness.reliability.record import Figure, Finding
from harness.trials.jobs import ConvergeJob
from harness.trials.variants import STOCK

STAGE = "training"
CACHED = "all"
_HOST = "1.4.1"
_MIB = 2**20


@dataclass(frozen=True)
class Plan:
    """The length of a training, and its limits.

    A process has settled after ``settled`` epochs. From then on its resident memory may grow by
    ``growth_most_percent``, its open files and threads not at all.
    """

    model: str
    images: int
    validation: int
    batch_size: int
    epochs: int
    settled: int
    growth_most_percent: float
    loaders: int = 2
    timeout_s: float = 12 * 3600.0


# Six hours on two cores.
FULL = Plan("cifar-resnet-50", 10_000, 2_000, 64, 190, settled=10, growth_most_percent=5.0)
QUICK = Plan("seven-ops", 128, 64, 32, 4, settled=2, growth_most_percent=15.0, timeout_s=300.0)


def run(context: Context) -> List[Finding]:
    """Train with and without the cache on one release, 1.4.1 unless it was not asked for."""
    host = _HOST if _HOST in context.hosts else context.hosts[0]
    if context.quick:
        plan, data = QUICK, cifar10.synthetic(QUICK.images, QUICK.validation)
    else:
        plan, data = FULL, cifar10.load(None, context.layout.build / "cifar10")
    return run_plan(context.layout, plan, data, host, context.seed)


def run_plan(
    layout: Layout, plan: Plan, data: DataSet, host: str, seed: int, cached: str = CACHED
) -> List[Finding]:
    """Train what an interrupted run of the same plan has not trained; judge all epochs."""
    part = DataSet(
        data.training.first(plan.images), data.validation.first(plan.validation), data.source
    )
    folder = layout.build / "reliability" / STAGE
    file = dataset.save(folder / "data", part)
    # Another library, or another plan, is another run.
    identity = [asdict(plan), host, seed, file.stem, sha256_of(layout.library)]
    folder /= hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    train = functools.partial(_train, layout, plan, file, host, seed)
    words = (cached, STOCK)
    with ThreadPoolExecutor(PROCESSES) as pool:
        results = list(pool.map(train, words, [folder / str(i) for i in range(len(words))]))
    found = [
        judge_process(plan, host, word, result, part.source) for word, result in zip(words, results)
    ]
    found.append(judge_bits(plan, host, results[1], results[0]))
    if not any(isinstance(result, str) for result in results):
        shutil.rmtree(folder)
    return found


def _train(
    layout: Layout, plan: Plan, data: Path, host: str, seed: int, word: str, folder: Path
) -> Result:
    job = ConvergeJob(
        model=plan.model,
        batch_size=plan.batch_size,
        data=str(data),
        data_sha256=data.stem,
        folder=str(folder),
        epochs=plan.epochs,
        last_epoch=plan.epochs,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        warm_up_epochs=1,
        seed=seed,
        loaders=plan.loaders,
    )
    folder.mkdir(parents=True, exist_ok=True)
    follow.clear(folder)
    environment = {"MKLDNN_OPCACHE_STATS": str(folder / "at-exit.json")}
    return attempt(layout, job, host, word, environment, plan.timeout_s)


def judge_process(plan: Plan, host: str, word: str, result: Result, source: str) -> Finding:
    """Judge memory, open files and threads over the epochs; those of stock are recorded only."""
    subject = f"{STOCK if word == STOCK else 'cached'}, {source}"
    if isinstance(result, str):
        lines = result.splitlines()
        return finding(STAGE, subject, "fail", lines[0], host, details=lines)
    samples = [epoch["sample"] for epoch in result["epochs"]]
    figures: Dict[str, Figure] = {
        "epochs": len(samples),
        "processes": len({each["first_epoch"] for each in samples}),
        "resident_mib": [round(each["resident_bytes"] / _MIB, 1) for each in samples],
        "open_files": [float(each["open_files"]) for each in samples],
        "threads": [float(each["threads"]) for each in samples],
    }
    problems = grown(plan, samples)
    summary = f"memory, open files and threads flat over {len(samples)} epochs"
    if word == STOCK:
        said = f"{problems[0] if problems else summary} (not judged)"
        return finding(STAGE, subject, "pass", said, host, figures)
    if len(samples) < plan.epochs:
        problems.append(f"{len(samples)} epochs, expected {plan.epochs}")
    if not all(each["avoided"] for each in samples):
        problems.append("no creation was avoided: nothing was put to the test")
    return verdict(STAGE, subject, problems, summary, host, figures)


def grown(plan: Plan, samples: Sequence[Mapping[str, int]]) -> List[str]:
    """Return what grew in a process after it had settled."""
    problems, judged = [], 0
    for first in dict.fromkeys(each["first_epoch"] for each in samples):
        later = [each for each in samples if each["first_epoch"] == first][plan.settled - 1 :]
        judged += max(0, len(later) - 1)
        if len(later) < 2:
            continue
        start = first + plan.settled - 1
        for name in ("open_files", "threads"):
            most = max(each[name] for each in later)
            if most > later[0][name]:
                what = name.replace("_", " ")
                problems.append(f"{what}: {later[0][name]} after epoch {start}, later {most}")
        sizes = [each["resident_bytes"] for each in later]
        percent = 100 * (max(sizes) / sizes[0] - 1)
        if percent > plan.growth_most_percent:
            problems.append(
                f"memory: {percent:+.1f} % since epoch {start}, expected at most "
                f"{plan.growth_most_percent:g} %"
            )
    if judged == 0:
        problems.append("no process trained long enough to tell")
    return problems


def judge_bits(plan: Plan, host: str, stock: Result, cached: Result) -> Finding:
    """Compare the state after each epoch that both trained: parameters, statistics, momenta."""
    for each in (stock, cached):
        if isinstance(each, str):
            return finding(STAGE, "bits", "fail", each.splitlines()[0], host)
    assert not isinstance(stock, str) and not isinstance(cached, str)  # for the type checker
    pairs = list(zip(_states(stock), _states(cached)))
    differing = [number for number, (a, b) in enumerate(pairs, start=1) if a != b]
    problems = [f"differs from stock after epoch {differing[0]}"] if differing else []
    if len(set(_states(stock))) < plan.epochs:
        problems.append("epochs with equal states, or too few: nothing was learned")
    return verdict(STAGE, "bits", problems, f"equal after each of {len(pairs)} epochs", host)


def _states(result: Mapping[str, Any]) -> List[str]:
    return [epoch["state_sha256"] for epoch in result["epochs"]]
