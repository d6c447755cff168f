"""What the cache references and evicts where the images of a network change their size.

Pure: a record in, text out. Counters are those of the last scope, which the first process of each
case reported after its last block; bytes are from processes of the job ``memory``.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from harness.base import statistics
from harness.base.markdown import Column, columns, number
from harness.bench import alternation
from harness.bench.record import AlternateSample, BenchRecord

LEGEND = (
    "sizes: different sizes of images, on each of which a step trains; primitives, descriptors: in",
    "the cache after the last block; capacity: the most of each; evicted: objects per step;",
    "cached: idle objects, as the library counts them in a process of its own",
)


class Cached(NamedTuple):
    """The cache of one network on one release; ``evicted`` per step, None in older records."""

    network: str
    batch_size: int
    host: str
    scope: str
    sizes: int
    primitives: int
    descriptors: int
    capacity: int
    evicted: Optional[float]
    kept_bytes: Optional[float]


def cached(record: BenchRecord) -> List[Cached]:
    """Return a row for each release of a network whose images change their size, or that evicts."""
    names = alternation.network_names(record)
    found, seen = [], set()
    for sample in record.alternates:
        evicted = _evicted(sample)
        if sample.key[:4] in seen or not (sample.changes_size or evicted):
            continue
        seen.add(sample.key[:4])
        assert sample.stats is not None  # a process without them is not proven
        totals, scope = sample.stats["totals"], sample.scopes[-1]
        kept = [
            float(each.kept_bytes)
            for each in record.memories
            if (each.case, each.host, each.variant) == (sample.case, sample.host, scope)
            and each.kept_bytes is not None
        ]
        found.append(
            Cached(
                names[sample.case],
                sample.case.batch_size,
                sample.host,
                scope,
                len(set(sample.sides)) or 1,
                totals["live_primitives"] + totals["idle_primitives"],
                totals["descriptors"],
                sample.stats["capacity"],
                evicted,
                statistics.median(kept) if kept else None,
            )
        )
    return found


def _evicted(sample: AlternateSample) -> Optional[float]:
    """Return the evictions per step of the last scope."""
    blocks = [block for block in sample.blocks if block.scope == sample.scopes[-1]]
    counts = [block.evictions for block in blocks if block.evictions is not None]
    if len(counts) < len(blocks):
        return None
    return sum(counts) / sum(len(block.step_ns) for block in blocks)


_COLUMNS: Tuple[Column[Cached], ...] = (
    ("network", lambda row: row.network),
    ("batch", lambda row: str(row.batch_size)),
    ("MXNet", lambda row: row.host),
    ("scope", lambda row: row.scope),
    ("sizes", lambda row: str(row.sizes)),
    ("primitives", lambda row: str(row.primitives)),
    ("descriptors", lambda row: str(row.descriptors)),
    ("capacity", lambda row: str(row.capacity)),
    ("evicted", lambda row: number(row.evicted, ".1f", "")),
    ("cached MiB", lambda row: number(row.kept_bytes and row.kept_bytes / 2**20, ".1f", "")),
)


def render(record: BenchRecord) -> str:
    """Return the table as Markdown, with its legend below."""
    lines = columns(_COLUMNS, ("network", "MXNet", "scope"), cached(record))
    return "\n".join([*lines, "", *LEGEND]) + "\n"
