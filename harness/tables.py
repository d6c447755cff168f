"""The tables command: writes what people read, as Markdown and CSV, from the records.

Nothing is measured or typed here. A table in a document stands between markers that name the
record and the kind of table; the command writes it there anew.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from harness import (
    atomic,
    bench_summary,
    bigger_machines,
    memory_table,
    operator_table,
    published,
    reading,
    table,
)
from harness.bench_record import BenchRecord, Failure, load
from harness.console import shown
from harness.converge import record as converge_record
from harness.converge import table as converge_table
from harness.errors import HarnessError
from harness.layout import Layout, here
from harness.measured_options import add_efficiency, add_record, record_path
from harness.reliability import table as reliability_table
from harness.table import Row

_EXAMPLES = """examples:
  python -m harness tables
  python -m harness tables results/raw/bench-quick.jsonl --to /tmp/tables
"""
# The documents that have tables between markers.
DOCUMENTS = ("README.md", "docs/performance.md", "docs/convergence.md", "docs/reliability.md")
_BLOCK = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tables``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    add_record(parser, "; then the tables in the documents are written anew too")
    parser.add_argument(
        "--to", type=Path, help="folder for the tables (default: beside a named record, or results)"
    )
    add_efficiency(parser)


def main(args: argparse.Namespace) -> int:
    """Write the tables, say where, and return 0."""
    layout = here()
    results = layout.root / "results"
    record = record_path(args.record, results)
    if record is None:
        raise HarnessError(f"{shown(results / 'raw', layout.root)}: no record: make bench")
    folder = args.to or (results if args.record is None else beside(args.record))
    run = load(record)
    names = write(run, folder, bigger_machines.checked(args.efficiency))
    if args.record is None:
        names += write_converge(layout, folder) + write_reliability(layout, folder)
        write_documents(layout)
    print(f"{shown(folder, layout.root)}: {', '.join(names)}")
    return 0


def beside(record: Path) -> Path:
    """Return the folder for a record's tables: its name without the ending."""
    return record.with_suffix("") if record.suffix else record.with_name(f"{record.name}-tables")


def write(
    run: BenchRecord, folder: Path, efficiency: float = bigger_machines.EFFICIENCY
) -> List[str]:
    """Write all tables of a record into a folder; return the files' names."""
    files = {
        "bench.md": bench_markdown(run),
        "bench.csv": _csv(bench_rows(run)),
        "memory.csv": _csv(memory_rows(run)),
        "bigger-machines.md": bigger_machines.render(run, published.throughput(), efficiency),
    }
    if run.profiles:
        files["operators.md"] = (
            f"{_heading(run, 'Time per operator')}\n{operator_table.render(run)}"
        )
        files["operators.csv"] = _csv(operator_rows(run))
    for name, text in files.items():
        atomic.write_text(folder / name, text)
    return list(files)


def write_converge(layout: Layout, folder: Path) -> List[str]:
    """Write the tables of the published convergence run, where there is one."""
    path = layout.root / "results" / "raw" / "converge.json"
    if not path.is_file():
        return []
    atomic.write_text(folder / "converge.md", converge_table.render(converge_record.load(path)))
    return ["converge.md"]


def reliability_record(layout: Layout) -> Path:
    """Return the path of the published reliability record, which need not be there."""
    return layout.root / "results" / "raw" / "reliability.json"


def write_reliability(layout: Layout, folder: Path) -> List[str]:
    """Write the tables of the published reliability record, where there is one."""
    path = reliability_record(layout)
    if not path.is_file():
        return []
    text = f"# Reliability\n\n{reliability_table.published(path)}"
    atomic.write_text(folder / "reliability.md", text)
    return ["reliability.md"]


def write_documents(layout: Layout) -> None:
    """Write the tables between markers anew in every document."""
    for name in DOCUMENTS:
        path = layout.root / name
        old = reading.text(path)
        new = fill(old, layout.root)
        if new != old:
            atomic.write_text(path, new)


def fill(document: str, root: Path) -> str:
    """Return a document with every table between markers written anew from its record.

    A marker is ``<!-- table: KIND RECORD -->``, with ``<!-- end of table -->`` after the table.
    """

    def block(found: re.Match) -> str:
        begin, kind, name, end = found.groups()
        if kind not in _KINDS:
            raise HarnessError(f"table: expected a kind of {', '.join(_KINDS)}, found '{kind}'")
        return f"{begin}{_KINDS[kind](root / name)}{end}"

    return _BLOCK.sub(block, document)


def _of_bench(render: Callable[[BenchRecord], str]) -> Callable[[Path], str]:
    return lambda path: render(load(path))


def _rows_alone(run: BenchRecord) -> str:
    """Return the table without its legend, for documents that explain it once."""
    return table.render(run).split("\n\n")[0] + "\n"


def _curves(path: Path) -> str:
    record = converge_record.load(path)
    return "\n".join([*converge_table.summary(record), "", converge_table.verdict(record), ""])


_KINDS: Dict[str, Callable[[Path], str]] = {
    "ratios": _of_bench(bench_summary.render),
    "rows": _of_bench(_rows_alone),
    "operators": _of_bench(operator_table.render),
    "memory": _of_bench(memory_table.render),
    "convergence": _curves,
    "reliability": reliability_table.published,
}


def bench_markdown(run: BenchRecord) -> str:
    """Return the page of throughput and memory."""
    warnings = [f"- {line}" for line in table.warnings(run)]
    timed = ["## Ratios", bench_summary.render(run), "## Everything measured", table.render(run)]
    parts = [
        _heading(run, "Training throughput"),
        *(timed if table.cells(run) else []),
        "## Memory",
        memory_table.render(run),
        *(["## Warnings", "\n".join(warnings) + "\n"] if warnings else []),
    ]
    return "\n".join(parts)


def _heading(run: BenchRecord, title: str) -> str:
    machine = run.machine
    threads = sorted({series.threads.omp_num_threads for series in run.settings.series})
    on_heap = [each.name for each in run.settings.series if each.allocator == "heap"]
    allocator = f"; large blocks on the heap: {', '.join(on_heap)}" if on_heap else ""
    return (
        f"# {title}\n\nRun {run.run_id} on {machine.cpu_model}, {machine.physical_cores} cores, "
        f"{machine.memory_gib} GiB, {machine.kernel}; OpenMP threads: "
        f"{', '.join(map(str, threads))}; CPUs of every process: "
        f"{', '.join(map(str, run.settings.cpus))}{allocator}.\n"
    )


def bench_rows(run: BenchRecord) -> List[Dict[str, Any]]:
    """Return everything that was tried, and the geometric means, as one flat table."""
    known = published.throughput()
    found = []
    for cell in table.cells(run):
        series = cell.series if isinstance(cell, Row) else run.settings.find(cell.series)
        reference = known.get(cell.case.model)
        compared = cell.case.batch_size == published.BATCH_SIZE and cell.variant == "backward"
        found.append(
            {
                "series": series.name,
                "model": cell.case.model,
                "batch_size": cell.case.batch_size,
                "image_size": cell.case.image_size,
                "threads": series.threads.omp_num_threads,
                "host": cell.host,
                "variant": cell.variant,
                "result": cell.reason if isinstance(cell, Failure) else "measured",
                **(_measured(cell) if isinstance(cell, Row) else {}),
                "ratio_of_2018": reference.ratio if reference and compared else None,
            }
        )
    for group in bench_summary.groups(run):
        for mean in group.means():
            low, high = mean.interval or (None, None)
            found.append(
                {
                    "model": "geometric mean",
                    "batch_size": group.batch_size,
                    "threads": group.omp_num_threads,
                    "host": mean.host,
                    "variant": mean.variant,
                    "result": f"mean of {mean.networks}",
                    "ratio": mean.ratio,
                    "ratio_low": low,
                    "ratio_high": high,
                }
            )
    return found


def _measured(row: Row) -> Dict[str, Any]:
    low, high = row.interval or (None, None)
    times = {"step": row.step_ns, "create": row.create_ns, "destroy": row.destroy_ns}
    times["cache"] = row.cache_ns
    return {
        "samples": row.samples,
        "images_per_second": row.images_per_second,
        "relative_iqr": row.relative_iqr,
        "ratio": row.ratio,
        "ratio_low": low,
        "ratio_high": high,
        "pairs": row.pairs,
        **{f"{name}_ms": None if ns is None else ns / 1e6 for name, ns in times.items()},
        "peak_resident_bytes": int(row.peak_resident_bytes),
    }


def operator_rows(run: BenchRecord) -> List[Dict[str, Any]]:
    """Return the operators of all tables as one flat table, a line per variant."""
    found = []
    for each in operator_table.tables(run):
        for row in [*each.rows, each.total]:
            for variant in each.variants:
                counted = row.counted.get(variant)
                found.append(
                    {
                        "model": each.model,
                        "batch_size": each.batch_size,
                        "host": each.host,
                        "operator": row.operator,
                        "variant": variant,
                        "ms_per_step": row.ms.get(variant),
                        "calls_per_step": row.calls.get(variant),
                        "ratio": row.ratio(variant),
                        "ratio_of_2018": row.reference if variant == "backward" else None,
                        "avoided_per_step": counted and counted.avoided,
                        "created_per_step": counted and counted.created,
                        "avoided_ms_per_step": counted and counted.avoided_ms,
                        "create_ms_per_step": counted and counted.create_ms,
                    }
                )
    return found


def memory_rows(run: BenchRecord) -> List[Dict[str, Any]]:
    """Return the memory of every variant as a flat table, in bytes."""
    return [
        {**row.case.model_dump(), **{k: v for k, v in row._asdict().items() if k != "case"}}
        for row in memory_table.memory(run)
    ]


def _csv(rows: Sequence[Dict[str, Any]]) -> str:
    """Return rows as CSV; the columns are those of the fullest rows, numbers have 6 digits."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _shown(value) for name, value in row.items()})
    return text.getvalue()


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
