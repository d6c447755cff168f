"""Compares the final bits of distributed trainings.

Pure: a record in, faults out. Compares with stock only where stock itself repeats its bits.
"""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Optional

from harness.distributed.record import DistRecord, DistSettings, Sample

# A server adds the workers' gradients in the order of their arrival. Two can be added in any order
# with equal bits; with three and more the order changes the last bits, on stock too.
MOST_WORKERS_THAT_REPEAT = 2


class Wrong(NamedTuple):
    """A training with a fault in its bits."""

    variant: str
    round: int
    what: str

    def __str__(self) -> str:
        return f"{self.variant} round {self.round}: {self.what}"


def comparable(settings: DistSettings) -> bool:
    """Tell whether two trainings with these settings must end with the same bits."""
    return settings.workers <= MOST_WORKERS_THAT_REPEAT


def wrong(run: DistRecord) -> List[Wrong]:
    """Return the faults of a run.

    The workers of a training must end with equal parameters and finite outputs. Comparable
    trainings must end, rank by rank, with all bits of the first stock training.
    """
    found = []
    baseline = run.settings.baseline
    stock = next((sample for sample in run.samples if sample.variant == baseline), None)
    for sample in run.samples:
        lines = _wrong_by_itself(sample)
        if stock is not None and comparable(run.settings):
            lines += _unlike(stock, sample)
        found += [Wrong(sample.variant, sample.round, line) for line in lines]
    return found


def _wrong_by_itself(sample: Sample) -> List[str]:
    lines = []
    for worker in sample.workers:
        differing = _differing(sample.workers[0].parameters, worker.parameters)
        if differing is not None:
            lines.append(f"rank {worker.rank} has other parameters than rank 0: {differing}")
        if not worker.finite:
            lines.append(f"rank {worker.rank} has an output that is not finite")
    return lines


def _unlike(stock: Sample, other: Sample) -> List[str]:
    lines = []
    for one, two in zip(stock.workers, other.workers):
        differing = _differing({**one.parameters, **one.own}, {**two.parameters, **two.own})
        if differing is not None:
            lines.append(f"rank {one.rank} has other bits than {_name(stock)}: {differing}")
    return lines


def _differing(one: Mapping[str, str], two: Mapping[str, str]) -> Optional[str]:
    names = [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]
    if not names:
        return None
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _name(sample: Sample) -> str:
    return f"{sample.variant} round {sample.round}"
