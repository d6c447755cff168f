"""The next process of a benchmark, and the time that the rest takes: pure functions of the record.

The plan depends on nothing else, so a killed run continues exactly where it ended.
"""

from __future__ import annotations

import random
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from harness.base import statistics
from harness.bench.record import BenchSettings, Cell, Failure, Finished, SampleKey, Series
from harness.trials.record import Case

# A process that died once is tried again; after a second death its cell is given up.
_DEATHS_MOST = 2


def plan(settings: BenchSettings, finished: Sequence[Finished]) -> List[SampleKey]:
    """Return the processes of a run, finished ones included, in the order of work.

    Series and, within them, batch sizes follow each other as configured. All variants of a case
    follow each other, so that each is close in time to the stock it is compared with. Each round
    shuffles them, seeded by its name, so that none always comes first or after the same one.
    A case whose first round is not complete yet has the fewest rounds.
    """
    return [key for series in settings.series for key in _series(series, finished)]


def todo(settings: BenchSettings, finished: Sequence[Finished]) -> List[SampleKey]:
    """Return the rest of the plan, without the cells that were given up.

    A variant of a case that did not fit into memory, or died twice, is not tried again.
    """
    done = {each.key for each in finished if not isinstance(each, Failure)}
    deaths: Dict[Cell, int] = {}
    for each in finished:
        if isinstance(each, Failure):
            weight = _DEATHS_MOST if each.reason == "memory" else 1
            deaths[each.key[:4]] = deaths.get(each.key[:4], 0) + weight
    return [
        key
        for key in plan(settings, finished)
        if key not in done and deaths.get(key[:4], 0) < _DEATHS_MOST
    ]


def _series(series: Series, finished: Sequence[Finished]) -> Iterator[SampleKey]:
    own = [each for each in finished if each.series == series.name]
    rounds = {case: case_rounds(series, case, own) for case in series.cases}
    for batch_size in dict.fromkeys(case.batch_size for case in series.cases):
        cases = [case for case in series.cases if case.batch_size == batch_size]
        for round_ in range(max(rounds[case] for case in cases)):
            for case in (case for case in cases if round_ < rounds[case]):
                for host, variant in _drawn(series, case, round_):
                    yield SampleKey(series.name, case, host, variant, round_)


def _drawn(series: Series, case: Case, round_: int) -> List[Tuple[str, str]]:
    runs = series.runs
    random.Random(f"{series.name} {case.model} {case.batch_size} {round_}").shuffle(runs)
    return runs


def case_rounds(series: Series, case: Case, finished: Sequence[Finished]) -> int:
    """Return the number of rounds of a case: as many as fit into the series' budget.

    ``finished`` are the series' own processes; the time of the first round is taken for all.
    """
    first = [each for each in finished if each.case == case and each.round == 0]
    if len({each.key for each in first}) < len(series.runs):
        return series.rounds_min
    round_s = sum(each.elapsed_s for each in first)
    fitting = int(series.case_budget_s / round_s) if round_s > 0 else series.rounds_max
    return min(max(fitting, series.rounds_min), series.rounds_max)


def remaining_s(settings: BenchSettings, finished: Sequence[Finished]) -> Optional[float]:
    """Return the estimated seconds of the rest; None before the first process has ended."""
    left = todo(settings, finished)
    by_case = {(key.series, key.case): key for key in left}
    expected = {pair: _expected_s(key, finished) for pair, key in by_case.items()}
    seconds = [expected[key.series, key.case] for key in left]
    known = [value for value in seconds if value is not None]
    if left and not known:
        return None
    # Rounds that a budget will add later are not counted.
    return sum(known) + (len(left) - len(known)) * (statistics.median(known) if known else 0.0)


def _expected_s(key: SampleKey, finished: Sequence[Finished]) -> Optional[float]:
    """Return the median time of the same case, or else of its network at other batch sizes."""
    same = [each for each in finished if each.case == key.case]
    own = [each.elapsed_s for each in same if each.series == key.series]
    if same:
        return statistics.median(own or [each.elapsed_s for each in same])
    # The time of a step grows with the batch; starting the process does not.
    relatives = [
        each.elapsed_s * max(1.0, key.case.batch_size / each.case.batch_size) ** 0.5
        for each in finished
        if each.case.model == key.case.model
    ]
    return statistics.median(relatives) if relatives else None
