"""The next process of a kit's run, so that all end in time. Pure; standard library only."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

# A process takes longer than expected by less than this.
_MARGIN = 1.15
_MARGIN_S = 1.0


class Cell(NamedTuple):
    """A case on a number of threads; ``work`` is proportional to the time of its step."""

    model: str
    batch_size: int
    threads: int
    work: float


class Done(NamedTuple):
    """A process that ended: its cell, its time, and whether it has a result."""

    cell: Cell
    elapsed_s: float
    succeeded: bool


def next_cell(
    cells: Sequence[Cell], done: Sequence[Done], left_s: float, least: int, most: int
) -> Optional[Cell]:
    """Return the cell of the next process, None when nothing more fits into ``left_s``.

    Every cell in turn gets its ``least`` processes, then every cell one more, up to ``most``. A
    cell whose next process does not fit is passed over. A cell with a failure is given up.
    """
    lost = {each.cell for each in done if not each.succeeded}
    count: Dict[Cell, int] = {}
    for each in done:
        count[each.cell] = count.get(each.cell, 0) + 1
    for target in range(least, most + 1):
        for cell in cells:
            if cell in lost or count.get(cell, 0) >= target:
                continue
            if (expected_s(cell, done) or 0.0) * _MARGIN + _MARGIN_S < left_s:
                return cell
    return None


def expected_s(cell: Cell, done: Sequence[Done]) -> Optional[float]:
    """Return the seconds of the cell's next process; None before any process has succeeded.

    Its slowest earlier process, or else the one with the most similar work; the same network's
    where there is one. The time to start a process does not grow with its work, so less time is
    expected of no cell.
    """
    known = [each for each in done if each.succeeded]
    own = [each.elapsed_s for each in known if each.cell == cell]
    if own:
        return max(own)
    known = [each for each in known if each.cell.model == cell.model] or known
    found: List[Tuple[float, float]] = []
    for each in known:
        more = cell.work / each.cell.work
        found.append((max(more, 1 / more), each.elapsed_s * max(more, 1.0)))
    return min(found)[1] if found else None
