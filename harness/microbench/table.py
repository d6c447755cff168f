"""A micro-benchmark's record as tables.

Pure: a record in, text out. Ratios and differences are those of the medians of a round's processes;
the tables show their medians over rounds, of ratios with an interval.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.microbench.record import MicrobenchRecord, Sample, Throughput

# The real library, the same under a cache that is off, and the cache.
STOCK, OFF, ALL = VARIANTS = ("stock", "preload:off", "preload:all")
REAL_TO_HIT_AT_LEAST = 100.0
HIT_NS_BELOW = 1000.0
FEW_THREADS, MANY_THREADS = 2, 8
MANY_TO_FEW_AT_LEAST = 1.0

_Rounds = Dict[int, Sample]

LEGEND = (
    "cycle: one primitive descriptor and one primitive created and destroyed; hints and memory",
    "objects exist already; ns: median over processes; off: through the library, scope off",
    "submit: one stream created, submitted to, waited for and destroyed; rebinding: the caller's",
    "two memory objects are pointed at other buffers each time, which is part of the time",
    "95 % interval: of the median over rounds; ~: includes 1; n: rounds",
    "median over primitive kinds: of each kind the median of its directions",
)


def render(record: MicrobenchRecord) -> str:
    """Return the tables as Markdown, the legend and the targets below."""
    lines: List[str] = []
    for part in (_cycles, _submits, _threads):
        lines += [*part(record), ""]
    return "\n".join([*lines, *LEGEND, "", *targets(record)]) + "\n"


def cycle_ns(record: MicrobenchRecord, host: str, variant: str, operation: str) -> List[float]:
    """Return the medians of one operation's cycle by round."""
    return [s.cycles[operation].ns.median for s in _rounds(record, host, variant).values()]


def real_to_hit(record: MicrobenchRecord, host: str, operation: str) -> List[float]:
    """Return the time of a real creation and destruction over that of a hit, by round."""
    real, hit = (cycle_ns(record, host, variant, operation) for variant in (STOCK, ALL))
    return statistics.ratios(hit, real)


def many_to_few(record: MicrobenchRecord, host: str, keys: str) -> List[float]:
    """Return the hits per second of many threads as a multiple of those of few, by round."""
    by_round = _throughputs(record, host, keys)
    return statistics.ratios(by_round[FEW_THREADS], by_round[MANY_THREADS])


def operations(record: MicrobenchRecord) -> List[str]:
    """Return the measured operations."""
    return list(record.samples[0].cycles)


def kind_of(operation: str) -> str:
    """Return the primitive kind of an operation: its name without the direction."""
    return operation.partition("_forward")[0].partition("_backward")[0]


def targets(record: MicrobenchRecord) -> List[str]:
    """Return one line per target: the goal, the measured values, and whether they meet it."""

    def over_kinds(host: str, of: Callable[[str, str], float]) -> float:
        by_kind: Dict[str, List[float]] = {}
        for operation in operations(record):
            by_kind.setdefault(kind_of(operation), []).append(of(host, operation))
        return statistics.median([statistics.median(values) for values in by_kind.values()])

    def ratio(host: str, operation: str) -> float:
        return statistics.median(real_to_hit(record, host, operation))

    def hit(host: str, operation: str) -> float:
        return statistics.median(cycle_ns(record, host, ALL, operation))

    hosts = record.settings.hosts
    ratios = {host: over_kinds(host, ratio) for host in hosts}
    hits = {host: over_kinds(host, hit) for host in hosts}
    threads = {
        f"{host} {keys}": many_to_few(record, host, keys)
        for host in hosts
        for keys in _keys(record)
    }
    return [
        _target(
            f"real / hit, median over primitive kinds, at least {REAL_TO_HIT_AT_LEAST:.0f}x",
            {name: f"{value:.0f}x" for name, value in ratios.items()},
            all(value >= REAL_TO_HIT_AT_LEAST for value in ratios.values()),
        ),
        _target(
            f"hit, median over primitive kinds, under {HIT_NS_BELOW:.0f} ns",
            {name: f"{value:.0f} ns" for name, value in hits.items()},
            all(value < HIT_NS_BELOW for value in hits.values()),
        ),
        _target(
            f"hits per second, {MANY_THREADS} threads / {FEW_THREADS} threads, not shown to be "
            f"under {MANY_TO_FEW_AT_LEAST:.2f}x",
            {name: f"{statistics.median(ratios):.3f}x" for name, ratios in threads.items()},
            all(_highest(ratios) >= MANY_TO_FEW_AT_LEAST for ratios in threads.values()),
        ),
    ]


def _highest(ratios: Sequence[float]) -> float:
    """Return the upper end of the median's interval, or the median where there is none."""
    interval = statistics.median_interval(ratios)
    return statistics.median(ratios) if interval is None else interval[1]


def _target(wanted: str, found: Dict[str, str], met: bool) -> str:
    values = ", ".join(f"{name}: {value}" for name, value in found.items())
    return f"target {'met' if met else 'missed'}: {wanted}; {values}"


def _rounds(record: MicrobenchRecord, host: str, variant: str) -> _Rounds:
    found = {s.round: s for s in record.samples if (s.host, s.variant) == (host, variant)}
    return dict(sorted(found.items()))


def _cycles(record: MicrobenchRecord) -> List[str]:
    cells = []
    for host in record.settings.hosts:
        for operation in operations(record):
            ns = [statistics.median(cycle_ns(record, host, v, operation)) for v in VARIANTS]
            ratios = real_to_hit(record, host, operation)
            shown = [f"{value:.0f}" for value in ns]
            cells.append([operation, host, *shown, *_ratio_cells(ratios, 1)])
    titles = ("cycle", "MXNet", "real ns", "off ns", "hit ns", "real / hit", "95 % interval", "n")
    return markdown(titles, titles[:2], cells)


def _submits(record: MicrobenchRecord) -> List[str]:
    cells = []
    for host in record.settings.hosts:
        stock = _submit_ns(_rounds(record, host, STOCK))
        for variant in VARIANTS:
            plain, rebinding = _submit_ns(_rounds(record, host, variant))
            columns = [f"{statistics.median(plain):.0f}", f"{statistics.median(rebinding):.0f}"]
            columns.append(_difference(plain, rebinding))
            for ours, theirs in ((plain, stock[0]), (rebinding, stock[1])):
                columns.append("-" if variant == STOCK else _difference(theirs, ours))
            cells.append([host, variant.split(":")[-1], *columns, str(len(plain))])
    titles = ["submit", "scope", "plain ns", "rebinding ns", "rebinding - plain"]
    titles += ["plain - stock's", "rebinding - stock's", "n"]
    return markdown(titles, titles[:2], cells)


def _submit_ns(rounds: _Rounds) -> Tuple[List[float], List[float]]:
    submits = [sample.submit for sample in rounds.values()]
    return [s.plain.ns.median for s in submits], [s.rebinding.ns.median for s in submits]


def _difference(baseline: Sequence[float], candidate: Sequence[float]) -> str:
    return f"{statistics.median([new - old for old, new in zip(baseline, candidate)]):+.0f}"


def _threads(record: MicrobenchRecord) -> List[str]:
    cells = []
    for host in record.settings.hosts:
        for keys in _keys(record):
            by_threads = _throughputs(record, host, keys)
            for threads, values in by_threads.items():
                ratios = statistics.ratios(by_threads[FEW_THREADS], values)
                ratio_cells = _ratio_cells(ratios if threads != FEW_THREADS else None, 3)
                million = statistics.median(values) / 1e6
                cells.append([keys, host, str(threads), f"{million:.2f}", *ratio_cells[:2]])
                cells[-1].append(str(len(values)))
    few = f"/ {FEW_THREADS} threads"
    titles = ("keys", "MXNet", "threads", "million hits/s", few, "95 % interval", "n")
    return markdown(titles, titles[:2], cells)


def _keys(record: MicrobenchRecord) -> List[str]:
    found = (t.keys for sample in record.samples for t in sample.threads)
    return list(dict.fromkeys(found))


def _throughputs(record: MicrobenchRecord, host: str, keys: str) -> Dict[int, List[float]]:
    """Return the hits per second by number of threads, and then by round."""
    found: Dict[int, List[float]] = {}
    for sample in _rounds(record, host, ALL).values():
        measured: List[Throughput] = [t for t in sample.threads if t.keys == keys]
        for throughput in measured:
            found.setdefault(throughput.threads, []).append(throughput.hits_per_second.median)
    return found


def _ratio_cells(ratios: Optional[Sequence[float]], digits: int) -> List[str]:
    if ratios is None:
        return ["-", "-", "-"]
    interval = interval_text(statistics.median_interval(ratios), digits)
    return [f"{statistics.median(ratios):.{digits}f}x", interval, str(len(ratios))]
