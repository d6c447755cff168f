"""The report's words on a benchmark's record: headlines, slowdowns, machine, limits.

Pure: a record in, text out; every number comes from the record or from the tables' modules.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from harness.base.markdown import interval_text
from harness.bench import alternation
from harness.bench.record import BenchRecord, Series
from harness.bench.rows import Row, rows, warnings
from harness.bench.views.ratios import Group, groups
from harness.publish.report.page import Card, Fact, Section
from harness.trials.record import Threads
from harness.trials.variants import STOCK_AGAIN

_NOISE = (STOCK_AGAIN, "off-again")
# The first numbers of the page, where they have been measured.
_HEADLINES = (("1.4.1", "all"), ("1.3.1", "all"), ("1.3.1", "backward"))


def cards(run: BenchRecord) -> List[Card]:
    """Return the geometric means of the smallest batch size, and of the largest for 1.4.1."""
    of_size = _on_most_threads(run)
    found = []
    for host, variant in _HEADLINES:
        for group in (
            of_size[:1] if (host, variant) != _HEADLINES[0] else of_size[:1] + of_size[1:][-1:]
        ):
            for mean in group.means():
                if (mean.host, mean.variant) == (host, variant):
                    networks = f"{mean.networks} network{'s' * (mean.networks != 1)}"
                    detail = f"geometric mean of {networks}"
                    if mean.interval is not None:
                        detail += f", 95 % interval {interval_text(mean.interval, 2)}"
                    whose = f"{group.baseline}'s img/s"
                    what = f"{whose}: {host}, scope {variant}, {group.subject}"
                    found.append(Card(f"{mean.ratio:.2f}x", what, detail))
    return found


def _on_most_threads(run: BenchRecord) -> List[Group]:
    found = [group for group in groups(run) if group.means()]
    most = max((group.omp_num_threads for group in found), default=0)
    same = [group for group in found if group.omp_num_threads == most]
    return sorted(same, key=lambda group: group.batch_size or 0)


def slower(*records: BenchRecord) -> Section:
    """Return every ratio below 1 of a cached variant, those beyond noise first."""
    both = [row for run in records for row in [*alternation.rows(run), *rows(run)]]
    tried = [(r, r.ratio) for r in both if r.ratio is not None and r.variant not in _NOISE]
    below = [row for row, ratio in tried if ratio < 1]
    beyond = [row for row in below if row.interval is not None and row.interval[1] < 1]
    others = [row for row in below if row not in beyond]
    paragraph = (
        f"Of {len(tried)} ratios, {len(beyond)} lie below 1 with their whole interval. "
        f"{len(others)} more lie below 1 with an interval that includes 1 or is not known."
    )
    items = [*map(_line, beyond), *map(_line, others)]
    return Section("slower", "Where it is slower", paragraphs=[paragraph], items=items)


def _line(row: Row) -> str:
    threads = row.series.threads.omp_num_threads
    interval = "" if row.interval is None else f" ({interval_text(row.interval)})"
    return (
        f"{row.case.model}, batch size {row.case.batch_size}, {threads} "
        f"thread{'s' * (threads != 1)}, {row.host} {row.variant}: {row.ratio:.3f}x{interval}"
    )


def limits(run: BenchRecord) -> Section:
    """Return the caveats of the numbers."""
    paragraphs = [
        "Ratios are of this machine: on more cores creation weighs more, on fewer less. Dummy "
        "data: reading and decoding images is not part of a step. With few pairs a bootstrap "
        "interval is narrower than it should be; the warnings below say where.",
    ]
    failures = [
        f"no result: {each.case.model}, batch size {each.case.batch_size}, {each.host} "
        f"{each.variant}: {each.detail}"
        for each in run.failures
    ]
    items = [*failures, *warnings(run)]
    return Section("limits", "Limits and warnings", paragraphs=paragraphs, items=items)


def machine(run: BenchRecord) -> Section:
    """Return the machine and the settings of the record."""
    described = run.machine
    facts = [
        Fact("Run", f"{run.run_id}, started {run.started_utc}"),
        Fact("Processor", described.cpu_model),
        Fact("Cores", f"{described.physical_cores} ({described.logical_cpus} logical CPUs)"),
        Fact("CPUs of every process", ", ".join(map(str, run.settings.cpus))),
        Fact("Memory", f"{described.memory_gib} GiB"),
        Fact("Kernel", described.kernel),
        Fact("C library", described.glibc),
        Fact("Compiler", described.compiler),
        *(Fact(_version_name(name), value) for name, value in run.versions.items()),
        Fact(
            "Optimizer", f"SGD, {run.settings.learning_rate:g}, momentum {run.settings.momentum:g}"
        ),
        *(Fact(title, text) for title, text in _series(run.settings.series)),
    ]
    return Section("machine", "Machine and settings", facts=facts)


def _version_name(name: str) -> str:
    return f"{name}, SHA-256" if name.endswith(".so") else f"Version of {name}"


def _series(all_series: Sequence[Series]) -> List[Tuple[str, str]]:
    found = []
    for series in all_series:
        sizes = ", ".join(str(s) for s in dict.fromkeys(case.batch_size for case in series.cases))
        variants = "; ".join(f"{host} {', '.join(each)}" for host, each in series.variants.items())
        networks = len({case.model for case in series.cases})
        rounds = str(series.rounds_min)
        if series.rounds_max != series.rounds_min:
            rounds += f" to {series.rounds_max}"
        text = (
            f"{networks} network{'s' * (networks != 1)}, batch size {sizes}; {variants}; "
            f"{rounds} round{'s' * (rounds != '1')}; {_threads(series.threads)}; "
            f"allocator {series.allocator}"
        )
        found.append((f"Series {series.name}", text))
    return found


def _threads(threads: Threads) -> str:
    names: Dict[str, object] = {
        "OMP_NUM_THREADS": threads.omp_num_threads,
        "KMP_AFFINITY": threads.kmp_affinity,
        "KMP_BLOCKTIME": threads.kmp_blocktime,
    }
    return ", ".join(f"{name} {'default' if v is None else v}" for name, v in names.items())
