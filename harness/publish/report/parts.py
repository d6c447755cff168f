"""The report's sections of tables and figures, in their order, with the commands that make them.

A section without any of its files is left out. Tables and figures of no section stand at the end:
the report hides nothing of results/.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from harness.base import reading
from harness.publish.options import GLUONCV_COMMAND
from harness.publish.report import markdown, page

_NOT_TABLES = ("README.md",)
FURTHER = "further"
RELEASES = "make bench-releases ARGS='--pytorch --out results/raw/bench-releases.jsonl'"
# Stands for the command that made the benchmark's record.
BENCH = "make bench"


@dataclass(frozen=True)
class Part:
    """A section: Markdown files in results/, and the first words of its figures' names."""

    name: str
    title: str
    paragraph: str
    tables: Tuple[str, ...]
    figures: Tuple[str, ...]
    commands: Tuple[str, ...]


PARTS = (
    Part(
        "throughput",
        "Throughput and memory",
        "Images trained per second, each variant against stock MXNet of the same release. A "
        "sample is a fresh process; a round takes every variant one after the other, so that "
        "each is compared with a stock sample close in time. An interval that includes 1 "
        "shows no difference and is marked with ~.",
        (
            "bench.md",
            "bench-batch-1.md",
            "bench-batch-32.md",
            "bench-memory.md",
            "bench-memory-threads.md",
        ),
        ("ratios", "latency"),
        (BENCH, "make tables", "make plot"),
    ),
    Part(
        "releases",
        "MXNet releases",
        "One step of each network on every MXNet release, with opcache where it serves the "
        "release, and in PyTorch. Samples and rounds are as above.",
        ("bench-releases.md",),
        ("releases",),
        (RELEASES, "make tables", "make plot"),
    ),
    Part(
        "gluoncv",
        "GluonCV's networks",
        "Images trained per second through Gluon, with the losses of GluonCV's training scripts, "
        "relative to the same process with the cache off.",
        ("bench-gluoncv.md",),
        ("bench-gluoncv",),
        (GLUONCV_COMMAND, "make tables", "make plot"),
    ),
    Part(
        "operators",
        "Time per operator",
        "The time of each operator by MXNet's profiler, with stock and with the cache, and "
        "the avoided creations by the cache's own counters.",
        ("operators.md",),
        ("operators", "shares"),
        (BENCH, "make tables", "make plot"),
    ),
    Part(
        "microbench",
        "Cost of a hit",
        "Single calls to MKL-DNN: a real creation against a cache hit.",
        ("microbench.md",),
        ("microbench",),
        ("make microbench", "make tables"),
    ),
    Part(
        "bigger-machines",
        "Extrapolation to more cores",
        "Creating and destroying primitives is serial and takes the same time on any number of "
        "cores; execution is divided over them, so the ratio grows with the cores. This is a "
        "model, not a measurement: docs/extrapolation.md states its assumptions.",
        ("bigger-machines.md",),
        ("cores",),
        (BENCH, "make tables", "make plot"),
    ),
    Part(
        "convergence",
        "Convergence",
        "Real training with and without the cache: the curves must be the same ones.",
        ("converge.md",),
        ("curves", "converge"),
        ("make converge",),
    ),
    Part(
        "same-bits",
        "The same bits",
        "Operators against an independent NumPy reference and against stock bit for bit, "
        "training bit for bit, MXNet's own checker, and every cache hit against a new "
        "primitive. Injected bugs show that each check can fail.",
        ("verify.md", "verify-1.6.0.md"),
        ("verify",),
        ("make verify",),
    ),
    Part(
        "reliability",
        "Reliability",
        "Long runs, threads, forks, faults and hostile input.",
        ("reliability.md", "reliability-training.md"),
        ("soak", "reliability"),
        ("make reliability",),
    ),
)


def sections(
    results: Path, bench_command: str = BENCH, parts: Sequence[Part] = PARTS
) -> Tuple[List[page.Section], List[str]]:
    """Return the sections with content, and a line for each without."""
    found, missing = [], []
    for part in parts:
        commands = tuple(bench_command if c == BENCH else c for c in part.commands)
        section = _section(results, dataclasses.replace(part, commands=commands))
        if section is None:
            command = " and ".join(f"`{command}`" for command in part.commands)
            missing.append(
                f"no section '{part.title}': results/ has no {' or '.join(part.tables)} and no "
                f"figures/{part.figures[0]}*.svg: {command}"
            )
        else:
            found.append(section)
    rest = _section(results, _rest(results, parts))
    return [*found, *([] if rest is None else [rest])], missing


def _section(results: Path, part: Part) -> Optional[page.Section]:
    tables = [path for name in part.tables for path in (results / name,) if path.is_file()]
    pictures = page.found(results / "figures", part.figures)
    if not tables and not pictures:
        return None
    return page.Section(
        name=part.name,
        title=part.title,
        paragraphs=[part.paragraph] if part.paragraph else [],
        commands=part.commands,
        pictures=[page.picture(path) for path in pictures],
        blocks=[
            markdown.to_html(reading.text(path), titled=part.name != FURTHER) for path in tables
        ],
    )


def _rest(results: Path, parts: Sequence[Part]) -> Part:
    """Return the tables and figures of no section, as a part."""
    tables = {path.name for path in results.glob("*.md")}.difference(_NOT_TABLES)
    tables -= {name for part in parts for name in part.tables}
    prefixes = tuple(prefix for part in parts for prefix in part.figures)
    figures = [p.stem for p in page.found(results / "figures", [""])]
    others = tuple(stem for stem in figures if not stem.startswith(prefixes))
    return Part(FURTHER, "Further results", "", tuple(sorted(tables)), others, ())
