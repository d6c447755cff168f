"""The ratios of all networks side by side, with their geometric mean.

Pure: a record in, rows and text out. Every number is from rows.py, alternation.py or a geometric
mean of these; the published ratios of PR #11301 stand beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.bench import alternation, pr11301
from harness.bench.alternation import AlternateRow
from harness.bench.record import ALTERNATE, BenchRecord, Failure
from harness.bench.rows import NO_RESULT, Row, cells
from harness.trials.variants import STOCK_AGAIN, baseline_of, is_own

Cell = Union[Row, Failure]


class Mean(NamedTuple):
    """A geometric mean of ratios over networks; ``interval`` is None with too few samples."""

    host: str
    variant: str
    ratio: float
    interval: Optional[statistics.Interval]
    networks: int


@dataclass(frozen=True)
class Group:
    """The content of one table: one batch size and number of threads, with a baseline.

    ``cells`` are by network and by (host, variant), in the order of the settings. The ``baseline``
    is stock, or another build, in another process; or a scope in the same one. Networks that have a
    name ``together`` have batch sizes of their own, which stand beside their names: ``batch_size``
    is None.
    """

    batch_size: Optional[int]
    omp_num_threads: int
    baseline: str
    cells: Dict[str, Dict[Tuple[str, str], Cell]]
    together: Optional[str] = None

    @property
    def alternates(self) -> bool:
        """Tell whether the ratios are of scopes in the same process."""
        return baseline_of([self.baseline]) is None

    @property
    def subject(self) -> str:
        """The networks, or the batch size."""
        return f"{self.together} networks" if self.together else f"batch size {self.batch_size}"

    @property
    def title(self) -> str:
        """The subject and the number of threads."""
        threads = f"{self.omp_num_threads} thread{'s' if self.omp_num_threads > 1 else ''}"
        how = "; scopes alternate in each process" if self.alternates else ""
        return f"{self.subject[0].upper()}{self.subject[1:]}, {threads}{how}"

    @property
    def digits(self) -> int:
        """The digits that the intervals are narrow enough for."""
        return 3 if self.alternates else 2

    @property
    def runs(self) -> List[Tuple[str, str]]:
        """Every (host, variant) that was tried on a network."""
        return list(dict.fromkeys(run for by_run in self.cells.values() for run in by_run))

    def rows(self, run: Tuple[str, str]) -> List[Row]:
        """Return the networks' rows of a run that have a ratio to stock."""
        found = [by_run.get(run) for by_run in self.cells.values()]
        return [row for row in found if isinstance(row, Row) and row.ratio is not None]

    def means(self) -> List[Mean]:
        """Return the geometric mean of each variant's ratios, over the networks that have one."""
        means = []
        for run in self.runs:
            rows = self.rows(run)
            if rows and self.alternates:
                networks = [row for row in rows if isinstance(row, AlternateRow)]
                means.append(Mean(*run, *alternation.mean(networks), len(rows)))
            elif rows:
                ratio = statistics.geometric_mean([statistics.median(row.ratios) for row in rows])
                interval = statistics.geometric_mean_interval([row.ratios for row in rows])
                means.append(Mean(*run, ratio, interval, len(rows)))
        return means


def groups(record: BenchRecord) -> List[Group]:
    """Return the tables of a record, by threads, most first, and batch size; none without baseline.

    Networks of several series stand in the order of the series that has most of them.
    """
    found: Dict[Tuple[Optional[int], int, str], Dict[str, Dict[Tuple[str, str], Cell]]] = {}
    together = record.settings.together
    names = alternation.network_names(record)
    for cell in [*alternation.cells(record), *cells(record)]:
        series = cell.series if isinstance(cell, Row) else record.settings.find(cell.series)
        baseline = baseline_of(series.variants[cell.host])
        if series.job == ALTERNATE:
            baseline = series.variants[cell.host][0]
        if baseline is None:
            continue
        size = None if together else cell.case.batch_size
        key = (size, series.threads.omp_num_threads, baseline)
        name = cell.case.model
        if together:
            name = f"{names[cell.case]}, batch {cell.case.batch_size}"
        by_run = found.setdefault(key, {}).setdefault(name, {})
        by_run.setdefault((cell.host, cell.variant), cell)
    widest = max(record.settings.series, key=lambda each: len(each.cases))
    models = [case.model for case in widest.cases]

    def rank(name: str) -> int:
        return models.index(name) if name in models else -1

    return [
        Group(*key, {name: by_name[name] for name in sorted(by_name, key=rank)}, together)
        for key, by_name in sorted(found.items(), key=lambda item: (-item[0][1], item[0][0] or 0))
    ]


def render(record: BenchRecord) -> str:
    """Return a table of ratios for each batch size as Markdown, with the legend below."""
    return text(groups(record))


def text(shown: Sequence[Group]) -> str:
    """Return the tables of some groups, with the legend below."""
    lines: List[str] = []
    for group in shown:
        lines += [f"**{group.title}**", "", *table(group), ""]
    return "\n".join([*lines, *_legend(shown)]) + "\n"


def table(group: Group) -> List[str]:
    """Return the lines of a group's Markdown table: a line per network, the mean last."""
    with_reference = _with_reference(group)
    titles = ["model"]
    for host, variant in _shown(group):
        if variant == group.baseline:
            titles.append(f"{variant if is_own(variant) else f'{host} {variant}'} img/s")
        else:
            titles.append(f"{host} {variant} / {group.baseline}")
        if with_reference and (host, variant) == pr11301.RUN:
            titles.append(pr11301.TITLE)
    lines = [_network(group, model, with_reference) for model in group.cells]
    means = {(mean.host, mean.variant): mean for mean in group.means()}
    last = ["geometric mean"]
    for run in _shown(group):
        mean = means.get(run)
        last.append("-" if mean is None else ratio_text(mean.ratio, mean.interval, group.digits))
        if with_reference and run == pr11301.RUN:
            last.append(_reference_mean(group.rows(run)))
    return markdown(titles, ("model",), [*lines, last])


def _shown(group: Group) -> List[Tuple[str, str]]:
    """Return the (host, variant) of the columns.

    Those of alternating scopes are ratios only, so that four releases fit: the baseline's img/s is
    in their long table.
    """
    return [run for run in group.runs if not (group.alternates and run[1] == group.baseline)]


def _network(group: Group, model: str, with_reference: bool) -> List[str]:
    line = [model]
    for run in _shown(group):
        cell = group.cells[model].get(run)
        if cell is None:
            line.append("-")
        elif isinstance(cell, Failure):
            line.append(NO_RESULT[cell.reason])
        elif cell.variant == group.baseline:
            line.append(f"{cell.images_per_second:.2f}")
        else:
            line.append(_ratio(group, cell))
        if with_reference and run == pr11301.RUN:
            reported = pr11301.throughput().get(model)
            line.append("-" if reported is None else f"{reported.ratio:.2f}x")
    return line


def _ratio(group: Group, row: Row) -> str:
    return "-" if row.ratio is None else ratio_text(row.ratio, row.interval, group.digits)


def ratio_text(ratio: float, interval: Optional[statistics.Interval], digits: int = 2) -> str:
    """Return a ratio, with its interval where there is one."""
    shown = f"{ratio:.{digits}f}x"
    return shown if interval is None else f"{shown} ({interval_text(interval, digits)})"


def _with_reference(group: Group) -> bool:
    known = pr11301.throughput()
    same_batch = group.batch_size == pr11301.BATCH_SIZE
    return same_batch and pr11301.RUN in group.runs and any(m in known for m in group.cells)


def _reference_mean(rows: Sequence[Row]) -> str:
    """Return the mean of the reported ratios over the networks that have been measured."""
    known = pr11301.throughput()
    ratios = [known[row.case.model].ratio for row in rows if row.case.model in known]
    return f"{statistics.geometric_mean(ratios):.2f}x" if ratios else "-"


def _legend(shown: Sequence[Group]) -> List[str]:
    lines = []
    if any(group.alternates for group in shown):
        lines.append(
            "alternating scopes: geometric mean over processes, with its 95 % t interval over them;"
        )
    if any(not group.alternates for group in shown) or not shown:
        lines.append(
            "ratio: median over pairs of processes of one round, with its 95 % bootstrap interval;"
        )
    lines.append("~: the interval includes 1, no difference is shown")
    if any(run[1] == STOCK_AGAIN for group in shown for run in group.runs):
        lines.append(
            f"{STOCK_AGAIN} / stock: stock measured twice; its distance from 1 is measurement noise"
        )
    if any(_with_reference(group) for group in shown):
        lines.append(f"{pr11301.TITLE}: its published ratio, on {pr11301.CORES} cores")
    return lines
