"""Fills the blocks of documents from records: tables, and every measured number in prose.

A block is ``<!-- table: KIND RECORD… -->``, then its text, then ``<!-- end of table -->``. Measures
and types nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from harness.base import files, reading
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bench import rows
from harness.bench.record import load
from harness.bench.views import memory
from harness.converge import record as converge_record
from harness.converge import table as converge_table
from harness.distributed import record as distributed_record
from harness.distributed import table as distributed_table
from harness.microbench import record as microbench_record
from harness.microbench import table as microbench_table
from harness.publish import overview
from harness.reliability import record as reliability_record
from harness.reliability import table as reliability_table
from harness.verify import record as verify_record
from harness.verify import table as verify_table

# The documents that have blocks.
DOCUMENTS = (
    "README.md",
    *(f"docs/{name}.md" for name in ("convergence", "distributed", "performance", "reliability")),
)
_BLOCK = re.compile(r"(<!-- table: (\S+) (\S[^\n]*) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def write_documents(layout: Layout) -> None:
    """Fill the blocks of every document again."""
    for name in DOCUMENTS:
        path = layout.root / name
        old = reading.text(path)
        new = fill(old, layout.root)
        if new != old:
            files.write_text(path, new)


def fill(document: str, root: Path) -> str:
    """Return a document with every block filled from its records; paths are relative to root.

    Raises HarnessError for an unknown kind or a record that cannot be read.
    """

    def block(found: re.Match) -> str:
        begin, kind, names, end = found.groups()
        if kind not in _KINDS:
            raise HarnessError(f"table: expected a kind of {', '.join(_KINDS)}, found '{kind}'")
        lines = _KINDS[kind]([root / name for name in names.split()])
        return "\n".join([begin.rstrip("\n"), *lines, end])

    return _BLOCK.sub(block, document)


def _rows(paths: Sequence[Path]) -> List[str]:
    """Return the table without its legend, for documents that explain it once."""
    return rows.render(load(paths[0])).split("\n\n")[0].splitlines()


def _convergence(paths: Sequence[Path]) -> List[str]:
    record = converge_record.load(paths[0])
    return [*converge_table.summary(record), "", converge_table.verdict(record)]


def _checks(paths: Sequence[Path]) -> List[str]:
    """Return a line each for the records of verify, reliability and converge, in this order."""
    verified, tried, trained = paths
    return [
        f"- [verification](docs/verification.md): "
        f"{verify_table.summary(verify_record.load(verified))}",
        f"- [reliability](docs/reliability.md): "
        f"{reliability_table.summary(reliability_record.load(tried))}",
        f"- [convergence](docs/convergence.md) on CIFAR-10: "
        f"{converge_table.verdict(converge_record.load(trained))}",
    ]


_KINDS: Dict[str, Callable[[Sequence[Path]], List[str]]] = {
    "headline": lambda paths: overview.headline([load(path) for path in paths]),
    "overview": lambda paths: overview.table([load(path) for path in paths]),
    "report": lambda paths: overview.report(load(paths[0])),
    "checks": _checks,
    "rows": _rows,
    "memory": lambda paths: memory.spread(load(paths[0])),
    "targets": lambda paths: [
        f"- {line}" for line in microbench_table.targets(microbench_record.load(paths[0]))
    ],
    "distributed": lambda paths: distributed_table.render(
        distributed_record.load(paths[0])
    ).splitlines(),
    "convergence": _convergence,
    "reliability": lambda paths: [reliability_table.headline(paths[0])],
}
