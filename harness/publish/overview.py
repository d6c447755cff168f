"""The README's own numbers: ratios to stock over several records, and a run's report.

Pure: records in, lines out. A later record takes the place of an earlier one where both measured
the same batch size on the same release, so that the one with more rounds can be named last.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

from harness.base.errors import HarnessError
from harness.base.markdown import markdown
from harness.bench import alternation
from harness.bench.record import BenchRecord
from harness.bench.rows import Row
from harness.bench.views.ratios import Group, Mean, groups, ratio_text
from patches.python.mkldnn_opcache import run_report

_ALL = "all"
# More columns of three digits are wider than a page.
_MOST_OF_3_DIGITS = 3
# By whether scopes alternate.
_BASELINES = {False: "unmodified MXNet", True: "the same process with the cache off"}


class _Column(NamedTuple):
    """One batch size on one release, in the group of the record that measured it."""

    group: Group
    mean: Mean

    def cell(self, model: str, digits: int) -> str:
        """Return a network's ratio to stock with its interval."""
        row = self.group.cells.get(model, {}).get((self.mean.host, _ALL))
        if not isinstance(row, Row) or row.ratio is None:
            return "-"
        return ratio_text(row.ratio, row.interval, digits)

    def mean_text(self, digits: int) -> str:
        """Return the geometric mean with its interval."""
        return ratio_text(self.mean.ratio, self.mean.interval, digits)

    @property
    def networks(self) -> str:
        """Return of how many networks the mean is, where releases may differ in it."""
        return f" ({self.mean.networks} networks)" if self.group.together else ""

    def noise(self, digits: int) -> str:
        """Return the geometric mean of the baseline's ratios to itself, where it was measured."""
        for mean in self.group.means():
            if (mean.host, mean.variant) == (self.mean.host, f"{self.group.baseline}-again"):
                return ratio_text(mean.ratio, mean.interval, digits)
        return "-"

    @property
    def pairs(self) -> str:
        """Return how many pairs of processes, or alternating processes, a network has."""
        return "/".join(
            map(str, sorted({row.pairs for row in self.group.rows((self.mean.host, _ALL))}))
        )


def _columns(records: Sequence[BenchRecord]) -> Dict[Tuple[str, str], _Column]:
    """Return what has an interval, by title and release: several networks, or one alone."""
    found: Dict[Tuple[str, str], _Column] = {}
    for record in records:
        many = max(len(group.cells) for group in groups(record))
        for group in groups(record):
            for mean in group.means():
                if mean.variant == _ALL and mean.interval and (len(group.cells) > 1 or many == 1):
                    found[_title(group, mean), mean.host] = _Column(group, mean)
    return found


def _title(group: Group, mean: Mean) -> str:
    if group.together:
        return f"{group.together}, geometric mean"
    if len(group.cells) > 1:
        return f"batch {group.batch_size}, geometric mean of {mean.networks} networks"
    ((model, by_run),) = group.cells.items()
    size = next(iter(by_run.values())).case.image_size
    return f"{model}, batch {group.batch_size}, {size}x{size}"


def headline(records: Sequence[BenchRecord]) -> List[str]:
    """Return a line per batch size and single network, with the ratio on every release."""
    columns = _columns(records)
    baselines = dict.fromkeys(each.group.alternates for each in columns.values())
    lines = [
        f"Training throughput relative to {' or '.join(_BASELINES[each] for each in baselines)} "
        "(95 % interval; ~: no difference shown):"
    ]
    for title in dict.fromkeys(title for title, _ in columns):
        ratios = [
            f"**{each.mean_text(each.group.digits).replace(' (', '** (')} on {host}{each.networks}"
            for (of, host), each in columns.items()
            if of == title
        ]
        lines.append(f"- {title}: {', '.join(ratios)}")
    return lines


def table(records: Sequence[BenchRecord]) -> List[str]:
    """Return the table of networks by release at the smallest batch size, noise and pairs below."""
    columns = [each for each in _columns(records).values() if each.group.batch_size is not None]
    smallest = min((each.group.batch_size or 0 for each in columns), default=0)
    columns = [each for each in columns if each.group.batch_size == smallest]
    most = 2 if len(columns) > _MOST_OF_3_DIGITS else 3
    digits = [min(each.group.digits, most) for each in columns]
    models = list(dict.fromkeys(model for each in columns for model in each.group.cells))
    titles = [f"batch {each.group.batch_size}, {each.mean.host}" for each in columns]
    shown = list(zip(columns, digits))
    lines = [[model, *(each.cell(model, n) for each, n in shown)] for model in models]
    lines.append(["geometric mean", *(each.mean_text(n) for each, n in shown)])
    alternating = all(each.group.alternates for each in columns)
    noise = [each.noise(n) for each, n in shown]
    if not alternating or set(noise) != {"-"}:
        lines.append([f"noise: {'off / off' if alternating else 'stock / stock'}", *noise])
    processes = "processes" if alternating else "pairs of processes"
    lines.append([processes, *(each.pairs for each in columns)])
    return markdown(["model", *titles], ["model"], lines)


def elsewhere(record: BenchRecord) -> List[str]:
    """Return a line with the first series' ratios of scope all that have an interval."""
    series = record.settings.series[0]
    ratios = [
        f"{row.case.model} {ratio_text(row.ratio, row.interval)}"
        for row in alternation.rows(record)
        if (row.series, row.variant) == (series, _ALL) and row.ratio and row.interval
    ]
    return [
        f"- **Batch {series.cases[0].batch_size} on {series.threads.omp_num_threads} cores** of "
        f"another machine, MXNet {', '.join(series.variants)}, relative to {_BASELINES[True]}: "
        f"{', '.join(ratios)}: [docs/extrapolation.md](docs/extrapolation.md#measured-on-16-cores)"
    ]


def report(record: BenchRecord) -> List[str]:
    """Return the lines that ``run`` prints, in a fence, from the first counters of scope all."""
    for sample in [*record.samples, *record.alternates]:
        if sample.variant.split(",")[-1] == _ALL and sample.stats is not None:
            # The counters of the timed steps stand for those of a process.
            process = run_report.Process(pid=0, counters=sample.stats)
            lines = run_report.lines([process], None, ())
            return ["```", *(f"opcache: {line}" for line in lines), "```"]
    raise HarnessError("report: expected counters of scope all, found none in the record")
