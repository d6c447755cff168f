"""Extrapolates a benchmark's record to more cores: steps for the model, and its tables.

Pure: a record in, numbers and text out. The model stands in harness/bench/step_model.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from harness.base import statistics
from harness.base.errors import HarnessError
from harness.base.markdown import Column, columns, interval_text, markdown, number
from harness.bench import alternation, pr11301, step_model
from harness.bench.alternation import OFF, AlternateRow
from harness.bench.pr11301 import BeforeAfter
from harness.bench.record import BenchRecord
from harness.bench.rows import Row, rows
from harness.bench.step_model import Step
from harness.trials.record import Case
from harness.trials.variants import STOCK, STOCK_AGAIN

CORES = (2, 8, 28, 56)
# Half of the ideal: an assumption, printed beside the fitted efficiency.
EFFICIENCY = 0.5


def checked(efficiency: float) -> float:
    """Return the option's value; HarnessError unless the model holds for it."""
    if not 0 < efficiency < float("inf"):
        raise HarnessError(f"--efficiency: expected a number above 0, found {efficiency}")
    return efficiency


@dataclass(frozen=True)
class Measured:
    """A cached variant of a case: its step for the model, and the ratio that was measured."""

    case: Case
    host: str
    variant: str
    step: Step
    ratio: Optional[float]
    interval: Optional[Tuple[float, float]]


def measured(run: BenchRecord) -> List[Measured]:
    """Return every cached variant that was measured together with stock and the variant ``off``.

    Where scopes alternate, ``off`` stands for stock. Stock's time in creation and destruction is
    the time that ``off`` counted on as many threads.
    """
    found: Dict[Tuple[int, Case, str, str], Row] = {}
    for row in [*alternation.rows(run), *rows(run)]:
        threads = row.series.threads.omp_num_threads
        found.setdefault((threads, row.case, row.host, row.variant), row)
    result = []
    for (threads, case, host, variant), row in found.items():
        off = found.get((threads, case, host, OFF))
        stock = off if isinstance(row, AlternateRow) else found.get((threads, case, host, STOCK))
        if variant in (STOCK, STOCK_AGAIN, OFF) or stock is None or off is None:
            continue
        step = Step(
            cores=threads,
            stock_s=stock.step_ns / 1e9,
            serial_s=_total_s(off.create_ns, off.destroy_ns),
            serial_left_s=_total_s(row.create_ns, row.destroy_ns, row.cache_ns),
        )
        result.append(Measured(case, host, variant, step, row.ratio, row.interval))
    return result


def _total_s(*parts_ns: Optional[float]) -> float:
    return sum(part or 0.0 for part in parts_ns) / 1e9


def chosen(run: BenchRecord) -> List[Measured]:
    """Return the cases to predict from: the published or else the largest batch, most threads."""
    all_measured = measured(run)
    sizes = {each.case.batch_size for each in all_measured}
    size = pr11301.BATCH_SIZE if pr11301.BATCH_SIZE in sizes else max(sizes, default=0)
    of_size = [each for each in all_measured if each.case.batch_size == size]
    most = max((each.step.cores for each in of_size), default=0)
    return [each for each in of_size if each.step.cores == most]


def comparable(each: Measured, known: Mapping[str, BeforeAfter]) -> Optional[BeforeAfter]:
    """Return the published numbers for the same work, None without any."""
    same = (each.host, each.variant) == pr11301.RUN
    right_size = each.case.batch_size == pr11301.BATCH_SIZE
    return known.get(each.case.model) if same and right_size else None


def fitted(all_measured: Sequence[Measured], known: Mapping[str, BeforeAfter]) -> Optional[float]:
    """Return the efficiency that fits all published ratios best; None without any."""
    pairs = [(each.step, comparable(each, known)) for each in all_measured]
    found = [(step, what.ratio) for step, what in pairs if what is not None]
    if not found:
        return None
    steps, ratios = zip(*found)
    return step_model.fitted_efficiency(steps, ratios, pr11301.CORES)


class Check(NamedTuple):
    """A ratio predicted for two or more threads from a step on one, and the measured one."""

    one: Measured
    more: Measured
    efficiency: float
    predicted: float


def checks(run: BenchRecord) -> List[Check]:
    """Return every prediction that this machine can test.

    ``efficiency`` is the case's own; ``predicted`` is made with the median of all.
    """
    all_measured = measured(run)
    pairs = [
        (one, more)
        for one in all_measured
        for more in all_measured
        if one.step.cores == 1 < more.step.cores
        and (one.case, one.host, one.variant) == (more.case, more.host, more.variant)
    ]
    own = [step_model.measured_efficiency(one.step, more.step) for one, more in pairs]
    if not own:
        return []
    common = statistics.median(own)
    return [
        Check(one, more, efficiency, step_model.ratio(one.step, more.step.cores, common))
        for (one, more), efficiency in zip(pairs, own)
    ]


def render(run: BenchRecord, known: Mapping[str, BeforeAfter], efficiency: float) -> str:
    """Return the tables as Markdown: the predictions, the published numbers, the check."""
    all_measured = chosen(run)
    best = fitted(all_measured, known)
    lines = ["# Extrapolation to more cores", ""]
    if not all_measured:
        lines += ["No case has been measured with stock, the variant off and a cached variant.", ""]
        return "\n".join(lines)
    lines += _predictions(all_measured, efficiency)
    if best is not None:
        lines += _against_published(all_measured, known, efficiency, best)
    lines += _check(checks(run))
    return "\n".join(lines)


def _predictions(all_measured: Sequence[Measured], efficiency: float) -> List[str]:
    first = all_measured[0]
    titles = ["model", "MXNet", "variant", "step ms", "serial ms", "left ms", "measured"]
    titles += [f"{cores} cores" for cores in CORES]
    cells = [
        [
            each.case.model,
            each.host,
            each.variant,
            f"{each.step.stock_s * 1e3:.0f}",
            f"{each.step.serial_s * 1e3:.1f}",
            f"{each.step.serial_left_s * 1e3:.1f}",
            number(each.ratio),
            *(f"{step_model.ratio(each.step, cores, efficiency):.3f}x" for cores in CORES),
        ]
        for each in all_measured
    ]
    return [
        f"**Predicted ratio to stock, batch size {first.case.batch_size}, efficiency "
        f"{efficiency:g}**",
        "",
        *markdown(titles, titles[:3], cells),
        "",
        f"step, serial, left: stock's step on {first.step.cores} threads here, what of it is "
        "creation and destruction, and what the variant leaves of that, the cache itself included",
        "",
    ]


def _against_published(
    all_measured: Sequence[Measured],
    known: Mapping[str, BeforeAfter],
    efficiency: float,
    best: float,
) -> List[str]:
    titles = ["model", "published", f"efficiency {efficiency:g}", "error", f"fitted {best:.2f}"]
    titles += ["error", "saved ms", "published saved ms", "published step", "error"]
    cells, errors = [], []
    for each in all_measured:
        reported = comparable(each, known)
        if reported is None:
            continue
        batch = each.case.batch_size
        stock_s = batch / reported.before
        saved_s = stock_s - batch / reported.after
        predicted = [
            step_model.ratio(each.step, pr11301.CORES, efficiency),
            step_model.ratio(each.step, pr11301.CORES, best),
            step_model.ratio_at(stock_s, each.step.saved_s),
        ]
        errors.append([value / reported.ratio - 1 for value in predicted])
        row = [each.case.model, f"{reported.ratio:.3f}x"]
        for value, error in zip(predicted, errors[-1]):
            row += [f"{value:.3f}x", f"{error:+.1%}"]
        row[6:6] = [f"{each.step.saved_s * 1e3:.1f}", f"{saved_s * 1e3:.1f}"]
        cells.append(row)
    means = [sum(abs(error) for error in column) / len(column) for column in zip(*errors)]
    cells.append(["mean error", "", "", f"{means[0]:.1%}", "", f"{means[1]:.1%}", "", "", ""])
    cells[-1].append(f"{means[2]:.1%}")
    return [
        f"**Compared with {pr11301.TITLE} on {pr11301.CORES} cores: "
        f"{' '.join(pr11301.RUN)}, batch size {pr11301.BATCH_SIZE}**",
        "",
        *markdown(titles, titles[:1], cells),
        "",
        "fitted: the one efficiency that comes nearest to all ratios; saved: creation and "
        "destruction avoided per step, here and as published; published step: the ratio "
        "if our saving is subtracted from the published step, which needs no efficiency",
        "",
    ]


_CHECKED: Tuple[Column[Check], ...] = (
    ("model", lambda check: check.one.case.model),
    ("batch", lambda check: str(check.one.case.batch_size)),
    ("MXNet", lambda check: check.one.host),
    ("variant", lambda check: check.one.variant),
    ("1 thread", lambda check: number(check.one.ratio)),
    ("threads", lambda check: str(check.more.step.cores)),
    ("predicted", lambda check: f"{check.predicted:.3f}x"),
    ("measured", lambda check: number(check.more.ratio)),
    ("95 % interval", lambda check: interval_text(check.more.interval)),
    ("error", lambda c: number(c.more.ratio and c.predicted / c.more.ratio - 1, "+.1%", "")),
    ("own efficiency", lambda check: f"{check.efficiency:.2f}"),
)


def _check(found: Sequence[Check]) -> List[str]:
    if not found:
        return []
    common = statistics.median([check.efficiency for check in found])
    return [
        "**The check that this machine allows: from one thread to more**",
        "",
        *columns(_CHECKED, ["model", "MXNet", "variant"], found),
        "",
        f"predicted: from the step on one thread, with the median efficiency {common:.2f}; own "
        "efficiency: with which the case's execution really became faster",
        "",
    ]


class Elsewhere(NamedTuple):
    """A scope measured on another machine, and the ratio predicted for it; None without a step."""

    row: AlternateRow
    predicted: Optional[float]
    published: Optional[float]


def elsewhere(
    here: BenchRecord, there: Sequence[BenchRecord], known: Mapping[str, BeforeAfter]
) -> List[Elsewhere]:
    """Return every ratio of alternating scopes ``there``, predicted from the steps measured here.

    The predictions have the default efficiency. Published are the numbers of the same work.
    """
    steps = {(each.case, each.host, each.variant): each for each in chosen(here)}
    found = []
    for row in (row for run in there for row in alternation.rows(run) if row.ratio is not None):
        own = steps.get((row.case, row.host, row.variant))
        cores = row.series.threads.omp_num_threads
        predicted = None if own is None else step_model.ratio(own.step, cores, EFFICIENCY)
        reported = None if own is None else comparable(own, known)
        found.append(Elsewhere(row, predicted, reported and reported.ratio))
    return found


_ELSEWHERE: Tuple[Column[Elsewhere], ...] = (
    ("model", lambda each: each.row.case.model),
    ("threads", lambda each: str(each.row.series.threads.omp_num_threads)),
    ("scope", lambda each: each.row.variant),
    ("processes", lambda each: str(each.row.samples)),
    ("measured", lambda each: number(each.row.ratio)),
    ("95 % interval", lambda each: interval_text(each.row.interval)),
    ("limit", lambda each: number(each.row.limit)),
    (f"predicted, efficiency {EFFICIENCY:g}", lambda each: number(each.predicted)),
    (f"{pr11301.TITLE}, {pr11301.CORES} cores", lambda each: number(each.published)),
)


def elsewhere_table(here: BenchRecord, *there: BenchRecord) -> List[str]:
    """Return the machine's name and its ratios beside the predicted and the published ones."""
    found = elsewhere(here, there, pr11301.throughput())
    machines = dict.fromkeys(
        f"{run.machine.cpu_model}, {run.machine.physical_cores} cores, {run.machine.memory_gib} GiB"
        for run in there
    )
    return [f"{'; '.join(machines)}:", "", *columns(_ELSEWHERE, ["model", "scope"], found)]
