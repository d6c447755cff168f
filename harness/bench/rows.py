"""A benchmark's record as a table and its warnings.

Pure: a record in, text out. Every ratio comes from samples of the same round, and is shown with its
interval and its number of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.base.statistics import UNSTABLE_RELATIVE_IQR
from harness.bench.record import TRAIN, BenchRecord, Cell, Failure, Series, TrainSample
from harness.trials.record import Case
from harness.trials.variants import STOCK, STOCK_AGAIN, baseline_of


@dataclass(frozen=True)
class Row:
    """One variant of one case on one host, in one series.

    ``images_per_second`` and times are medians over samples, times in nanoseconds per step;
    ``ratios`` are those of the pairs of a round, ``ratio`` is their median. None stands for a value
    that is unknown: without stock in the series, enough pairs, or the library's counters.
    """

    series: Series
    case: Case
    host: str
    variant: str
    images_per_second: float
    relative_iqr: float
    samples: int
    ratios: Tuple[float, ...]
    ratio: Optional[float]
    interval: Optional[Tuple[float, float]]
    step_ns: float
    create_ns: Optional[float]
    destroy_ns: Optional[float]
    cache_ns: Optional[float]
    create_share: Optional[float]
    destroy_share: Optional[float]
    cache_share: Optional[float]
    peak_resident_bytes: float

    @property
    def pairs(self) -> int:
        """The number of ratios."""
        return len(self.ratios)


def rows(record: BenchRecord) -> List[Row]:
    """Return the rows of all sampled variants, in the order of the settings."""
    return [row for row in cells(record) if isinstance(row, Row)]


def cells(record: BenchRecord) -> List[Union[Row, Failure]]:
    """Return a row for every variant that was tried, or its first failure without any sample."""
    samples: Dict[Cell, List[TrainSample]] = {}
    for sample in record.samples:
        samples.setdefault(sample.key[:4], []).append(sample)
    failures = {failure.key[:4]: failure for failure in reversed(record.failures)}
    found: List[Union[Row, Failure]] = []
    for series in record.settings.series:
        for case in series.cases if series.job == TRAIN else ():
            for host, variant in series.runs:
                cell = (series.name, case, host, variant)
                if cell in samples:
                    first = baseline_of(series.variants[host]) or STOCK
                    stock = samples.get((series.name, case, host, first), [])
                    found.append(_row(series, samples[cell], stock))
                elif cell in failures:
                    found.append(failures[cell])
    return found


def _row(series: Series, samples: Sequence[TrainSample], stock: Sequence[TrainSample]) -> Row:
    first = samples[0]
    speeds = {sample.round: sample.images_per_second for sample in samples}
    baseline = {sample.round: sample.images_per_second for sample in stock}
    is_baseline = baseline_of([first.variant]) is not None
    paired = [] if is_baseline else sorted(speeds.keys() & baseline.keys())
    ratios = statistics.ratios([baseline[r] for r in paired], [speeds[r] for r in paired])
    parts: Dict[str, Optional[float]] = {}
    for part in ("create", "destroy", "cache"):
        each = [(s.per_step_ns(f"{part}_ns"), s.step_mean_ns) for s in samples]
        known = [(ns, step_ns) for ns, step_ns in each if ns is not None]
        parts[f"{part}_ns"] = statistics.median([ns for ns, _ in known]) if known else None
        shares = [ns / step_ns for ns, step_ns in known]
        parts[f"{part}_share"] = statistics.median(shares) if shares else None
    return Row(
        series=series,
        case=first.case,
        host=first.host,
        variant=first.variant,
        images_per_second=statistics.median(list(speeds.values())),
        relative_iqr=statistics.relative_iqr(list(speeds.values())),
        samples=len(samples),
        ratios=tuple(ratios),
        ratio=statistics.median(ratios) if ratios else None,
        interval=statistics.median_interval(ratios),
        step_ns=statistics.median([sample.step_mean_ns for sample in samples]),
        peak_resident_bytes=statistics.median([s.peak_resident_bytes for s in samples]),
        **parts,
    )


_COLUMNS: Tuple[Tuple[str, Callable[[Row], str]], ...] = (
    ("img/s", lambda row: f"{row.images_per_second:.2f}"),
    ("ratio", lambda row: "-" if row.ratio is None else f"{row.ratio:.3f}x"),
    ("95 % interval", lambda row: interval_text(row.interval)),
    ("n", lambda row: str(row.samples)),
    ("create", lambda row: _percent(row.create_share)),
    ("destroy", lambda row: _percent(row.destroy_share)),
    ("cache", lambda row: _percent(row.cache_share)),
    ("peak MiB", lambda row: f"{row.peak_resident_bytes / 2**20:.0f}"),
)
_SUBJECT = ("model", "batch", "image", "threads", "MXNet", "variant")
# As a share of the hits. Fewer are references of MXNet that are older than the scope.
MANY_MISSES = 0.02
_TEXT_COLUMNS = ("model", "MXNet", "variant")
# In place of a throughput.
NO_RESULT = {"memory": "no memory", "died": "died", "not proven": "not proven"}


def _percent(share: Optional[float]) -> str:
    return "-" if share is None else f"{share:.1%}"


LEGEND = (
    "img/s: median; ratio: to stock, median of the pairs of one round; ~: the interval includes 1",
    "create, destroy, cache: share of the timed steps spent in creating and destroying MKL-DNN",
    "primitives and in the cache itself, by the library's counters (variant off measures stock)",
)
NOISE_LEGEND = (f"{STOCK_AGAIN}: {STOCK} once more; its ratio is the noise of this machine",)


def render(record: BenchRecord) -> str:
    """Return the table of all variants that were tried, as Markdown with a legend."""
    found = cells(record)
    titles = [*_SUBJECT, *(title for title, _ in _COLUMNS)]
    lines = markdown(titles, _TEXT_COLUMNS, [_line(record, cell) for cell in found])
    again = any(cell.variant == STOCK_AGAIN for cell in found)
    first = baseline_of([cell.variant for cell in found]) or STOCK
    legend = [line.replace(f"to {STOCK},", f"to {first},") for line in LEGEND]
    return "\n".join([*lines, "", *legend, *(NOISE_LEGEND if again else ())]) + "\n"


def _line(record: BenchRecord, cell: Union[Row, Failure]) -> List[str]:
    series = cell.series if isinstance(cell, Row) else record.settings.find(cell.series)
    case = cell.case
    subject = [case.model, str(case.batch_size), str(case.image_size)]
    subject += [str(series.threads.omp_num_threads), cell.host, cell.variant]
    if isinstance(cell, Row):
        return [*subject, *(show(cell) for _, show in _COLUMNS)]
    return [*subject, NO_RESULT[cell.reason], *("-" for _ in _COLUMNS[1:])]


def warnings(record: BenchRecord) -> List[str]:
    """Return the table's caveats, a line for each caveat and variant, with its networks."""
    lines: Dict[Tuple[str, str], List[str]] = {}

    def warn(case: Case, host: str, variant: str, series: Series, text: str) -> None:
        threads = series.threads.omp_num_threads
        subject = f"batch {case.batch_size} threads {threads} {host} {variant}"
        models = lines.setdefault((subject, text), [])
        if case.model not in models:
            models.append(case.model)

    # Where scopes alternate, the intervals say all of it: fresh processes only show the detour.
    for row in [] if record.alternates else rows(record):
        for text in _doubts(row):
            warn(row.case, row.host, row.variant, row.series, text)
    for each in record.alternates:
        series = record.settings.find(each.series)
        for scope in each.scopes:
            own = [block for block in each.blocks if block.scope == scope]
            missed = sum(block.missed for block in own)
            avoided = sum(block.primitives_avoided + block.descriptors_avoided for block in own)
            if missed > MANY_MISSES * avoided:
                text = "the cache missed in timed steps: raise MKLDNN_OPCACHE_CAPACITY"
                warn(each.case, each.host, scope, series, text)
        if not each.finite:
            text = f"round {each.round}: the network's output is not finite"
            warn(each.case, each.host, each.variant, series, text)
    for sample in [*record.samples, *record.profiles]:
        series = record.settings.find(sample.series)
        if sample.still_missing:
            text = f"the cache still created something after {len(sample.warm_up_ns)} warm-up steps"
            warn(sample.case, sample.host, sample.variant, series, text)
        if not sample.finite:
            text = f"round {sample.round}: the network's output is not finite"
            warn(sample.case, sample.host, sample.variant, series, text)
    for failure in record.failures:
        series = record.settings.find(failure.series)
        text = f"round {failure.round}: {failure.reason}: {failure.detail}"
        warn(failure.case, failure.host, failure.variant, series, text)
    return [f"{', '.join(models)} {subject}: {text}" for (subject, text), models in lines.items()]


def _doubts(row: Row) -> Iterator[str]:
    if row.relative_iqr > UNSTABLE_RELATIVE_IQR:
        yield (
            f"unstable, half of the samples spread over more than {UNSTABLE_RELATIVE_IQR:.0%} "
            "of the median"
        )
    if row.ratio is not None and row.interval is None:
        yield f"too few pairs for an interval ({row.pairs})"
    elif row.ratio is not None and row.pairs < statistics.ENOUGH_PAIRS:
        yield (
            f"{row.pairs} pairs, of which no interval reaches 95 %: "
            f"take {statistics.ENOUGH_PAIRS} or more"
        )
    if row.variant == STOCK_AGAIN and statistics.excludes_one(row.interval):
        yield (
            f"stock differs from itself ({interval_text(row.interval)}): "
            "smaller differences are noise here"
        )
