"""A distributed benchmark's record as a table and its warnings.

Pure: a record in, text out. Ratios are those of trainings of the same round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.base.statistics import UNSTABLE_RELATIVE_IQR
from harness.distributed.bits import comparable, wrong
from harness.distributed.record import DistRecord
from harness.trials.variants import STOCK

LEGEND = (
    "img/s: all workers together; per worker: the slowest to the fastest; medians over trainings",
    "ratio: to stock, median of the pairs of one round; ~: the interval includes 1; n: trainings",
    "bits: every rank's parameters, auxiliary states and output against the first stock training's",
)


@dataclass(frozen=True)
class Row:
    """One variant: throughput of all workers together, and of the slowest and fastest worker.

    Medians over trainings; ``ratio`` is the median over pairs of the same round. Without pairs,
    ``ratio`` and ``interval`` are None.
    """

    variant: str
    images_per_second: float
    slowest: float
    fastest: float
    relative_iqr: float
    samples: int
    ratio: Optional[float]
    interval: Optional[Tuple[float, float]]
    pairs: int
    bits: str


def rows(run: DistRecord) -> List[Row]:
    """Return a row for each variant that has been sampled, in the order of the settings."""
    speeds: Dict[str, Dict[int, List[float]]] = {name: {} for name in run.settings.variants}
    for sample in run.samples:
        batch_size = run.settings.case.batch_size
        speeds[sample.variant][sample.round] = sample.images_per_second(batch_size)
    baseline = speeds.get(run.settings.baseline, {})
    stock = {round_: sum(each) for round_, each in baseline.items()}
    return [_row(run, name, by_round, stock) for name, by_round in speeds.items() if by_round]


def _row(
    run: DistRecord, variant: str, by_round: Dict[int, List[float]], stock: Dict[int, float]
) -> Row:
    totals = {round_: sum(each) for round_, each in by_round.items()}
    paired = [] if variant == run.settings.baseline else sorted(totals.keys() & stock.keys())
    ratios = statistics.ratios([stock[r] for r in paired], [totals[r] for r in paired])
    return Row(
        variant=variant,
        images_per_second=statistics.median(list(totals.values())),
        slowest=statistics.median([min(each) for each in by_round.values()]),
        fastest=statistics.median([max(each) for each in by_round.values()]),
        relative_iqr=statistics.relative_iqr(list(totals.values())),
        samples=len(totals),
        ratio=statistics.median(ratios) if ratios else None,
        interval=statistics.median_interval(ratios),
        pairs=len(ratios),
        bits=_bits(run, variant),
    )


def _bits(run: DistRecord, variant: str) -> str:
    if any(fault.variant == variant for fault in wrong(run)):
        return "DIFFER"
    if not comparable(run.settings):
        return "not compared"
    trainings = sum(sample.variant == variant for sample in run.samples)
    return "one run" if variant == run.settings.baseline and trainings == 1 else "equal"


_COLUMNS: Tuple[Tuple[str, Callable[[DistRecord, Row], str]], ...] = (
    ("model", lambda run, row: run.settings.case.model),
    ("batch", lambda run, row: str(run.settings.case.batch_size)),
    ("image", lambda run, row: str(run.settings.case.image_size)),
    ("MXNet", lambda run, row: run.settings.host),
    ("workers", lambda run, row: str(run.settings.workers)),
    ("servers", lambda run, row: str(run.settings.servers)),
    ("variant", lambda run, row: row.variant),
    ("img/s", lambda run, row: f"{row.images_per_second:.2f}"),
    ("per worker", lambda run, row: f"{row.slowest:.2f} to {row.fastest:.2f}"),
    ("ratio", lambda run, row: "-" if row.ratio is None else f"{row.ratio:.3f}x"),
    ("95 % interval", lambda run, row: interval_text(row.interval)),
    ("n", lambda run, row: str(row.samples)),
    ("bits", lambda run, row: row.bits),
)
_TEXT_COLUMNS = ("model", "MXNet", "variant", "bits")


def render(run: DistRecord) -> str:
    """Return the table as Markdown, with its legend below."""
    cells = [[show(run, row) for _, show in _COLUMNS] for row in rows(run)]
    titles = [title for title, _ in _COLUMNS]
    legend = [line.replace(STOCK, run.settings.baseline) for line in LEGEND]
    return "\n".join([*markdown(titles, _TEXT_COLUMNS, cells), "", *legend]) + "\n"


def warnings(run: DistRecord) -> List[str]:
    """Return the table's caveats, a line each."""
    lines = []
    if not comparable(run.settings):
        lines.append(
            f"bits are not compared with stock's: {run.settings.workers} workers' gradients are "
            "added in the order in which they arrive, and stock does not repeat its own bits"
        )
    for row in rows(run):
        if row.relative_iqr > UNSTABLE_RELATIVE_IQR:
            lines.append(
                f"{row.variant}: unstable, half of the trainings spread over "
                f"{row.relative_iqr:.0%} of the median"
            )
        if row.ratio is not None and row.pairs < statistics.ENOUGH_PAIRS:
            lines.append(
                f"{row.variant}: {row.pairs} pairs, of which no interval reaches 95 %: "
                f"take {statistics.ENOUGH_PAIRS} rounds or more"
            )
    for sample in run.samples:
        late = [str(worker.rank) for worker in sample.workers if worker.still_missing]
        if late:
            lines.append(
                f"{sample.variant} round {sample.round}: the cache still missed after "
                f"{run.settings.warm_up_steps} warm-ups in rank {', '.join(late)}"
            )
    return lines
