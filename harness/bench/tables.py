"""Writes the tables of one benchmark record, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from harness.base import files
from harness.bench import alternation, extrapolation, pr11301, rows
from harness.bench.record import BenchRecord, Failure
from harness.bench.rows import Row
from harness.bench.views import cached, memory, operators, ratios
from harness.trials.variants import is_own


def beside(record: Path) -> Path:
    """Return the folder for a record's tables: its name without the ending."""
    return record.with_suffix("") if record.suffix else record.with_name(f"{record.name}-tables")


def write(
    run: BenchRecord,
    folder: Path,
    efficiency: float = extrapolation.EFFICIENCY,
    predicting: Optional[BenchRecord] = None,
) -> List[str]:
    """Write all tables of a record into a folder; return the files' names.

    ``predicting`` is the record of which more cores are predicted, if it is not ``run``.
    """
    texts = {
        "bench.md": bench_markdown(run),
        "bench.csv": _csv(bench_rows(run)),
        "memory.csv": _csv(memory_rows(run)),
        "bigger-machines.md": bigger_machines(predicting or run, efficiency),
    }
    if run.profiles:
        texts["operators.md"] = f"{_heading(run, 'Time per operator')}\n{operators.render(run)}"
        texts["operators.csv"] = _csv(operator_rows(run))
    for name, text in texts.items():
        files.write_text(folder / name, text)
    return list(texts)


def bigger_machines(run: BenchRecord, efficiency: float) -> str:
    """Return the page of ratios predicted for more cores."""
    return extrapolation.render(run, pr11301.throughput(), efficiency)


def bench_markdown(run: BenchRecord, first: Sequence[str] = ()) -> str:
    """Return the page of throughput and memory; ``first`` are sections that it begins with."""
    warnings = [f"- {line}" for line in rows.warnings(run)]
    timed = []
    if run.alternates:
        timed += ["## Alternating scopes", alternation.render(run)]
    if cached.cached(run):
        timed += ["## Cached objects", cached.render(run)]
    if rows.cells(run):
        title = "## Fresh processes" if run.alternates else "## Everything measured"
        timed += [title, rows.render(run)]
    if timed:
        timed = ["## Ratios", ratios.render(run), *timed]
    parts = [
        _heading(run, "Training throughput" if timed else "Memory use"),
        *first,
        *timed,
        *(["## Memory", memory.render(run)] if memory.memory(run) else []),
        *(["## Warnings", "\n".join(warnings) + "\n"] if warnings else []),
    ]
    return "\n".join(parts)


def _heading(run: BenchRecord, title: str) -> str:
    machine = run.machine
    threads = sorted({series.threads.omp_num_threads for series in run.settings.series})
    builds = [f"\n- {name}: {what}" for name, what in run.versions.items() if is_own(name)]
    on_heap = [each.name for each in run.settings.series if each.allocator == "heap"]
    allocator = f"; large blocks on the heap: {', '.join(on_heap)}" if on_heap else ""
    return (
        f"# {title}\n\nRun {run.run_id} on {machine.cpu_model}, {machine.physical_cores} cores, "
        f"{machine.memory_gib} GiB, {machine.kernel}; OpenMP threads: "
        f"{', '.join(map(str, threads))}; CPUs of every process: "
        f"{', '.join(map(str, run.settings.cpus))}{allocator}."
        + "".join(["\n", *builds] if builds else [])
        + "\n"
    )


def bench_rows(run: BenchRecord) -> List[Dict[str, Any]]:
    """Return every variant that was tried, and the geometric means, as one flat table."""
    known = pr11301.throughput()
    found = []
    for cell in [*alternation.rows(run), *rows.cells(run)]:
        series = cell.series if isinstance(cell, Row) else run.settings.find(cell.series)
        reference = known.get(cell.case.model)
        compared = cell.case.batch_size == pr11301.BATCH_SIZE and cell.variant == "backward"
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
    for group in ratios.groups(run):
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
        **(
            {"limit": row.limit, "removed": row.removed}
            if isinstance(row, alternation.AlternateRow)
            else {}
        ),
        **{f"{name}_ms": None if ns is None else ns / 1e6 for name, ns in times.items()},
        "peak_resident_bytes": int(row.peak_resident_bytes),
    }


def operator_rows(run: BenchRecord) -> List[Dict[str, Any]]:
    """Return the operators of all tables as one flat table, a line per variant."""
    found = []
    for each in operators.tables(run):
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
        for row in memory.memory(run)
    ]


def _csv(lines: Sequence[Dict[str, Any]]) -> str:
    """Return lines as CSV with the columns of all of them; numbers have 6 digits."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _shown(value) for name, value in line.items()})
    return text.getvalue()


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
