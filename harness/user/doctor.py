"""The doctor command: diagnoses an interpreter's MXNet, and measures its gain from the cache.

Gathers facts by running the interpreter, and prints the findings of doctor_rules.py and probe.py.
Changes nothing on the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import rich.console
import rich.table
import rich.text

from harness.base import hardware, process, reading
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.process import exit_reason
from harness.build import elf
from harness.build.toolchain import Toolchain, load_toolchain
from harness.trials import record, variables
from harness.user import doctor_rules, probe, run
from harness.user.doctor_rules import Finding, warning
from harness.user.probe import ProbeSample

EXAMPLES = """\
examples:
  python -m harness doctor
  python -m harness doctor --python ~/venv/bin/python --json doctor.json
  PYTHONPATH=build/1.3.1-stock python -m harness doctor --no-probe

Exit code: 1 when a line says problem, 2 when doctor itself was misused, else 0.
"""
_TIMEOUT_S = 60
_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


class DoctorRecord(record.RunRecord):
    """The file of --json: the findings, and the facts and samples behind them."""

    KIND = "opcache-doctor"

    findings: List[Finding]
    interpreter: Dict[str, Any]
    imported: Dict[str, Any]
    probe: List[ProbeSample]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``doctor``."""
    parser.add_argument(
        "--python", default="python3", metavar="PATH", help="interpreter (default: %(default)s)"
    )
    parser.add_argument("--no-probe", action="store_true", help="skip the training; takes seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write findings and facts")


def main(args: argparse.Namespace) -> int:
    """Print the findings; return 1 when one of them is a problem, else 0."""
    layout = here()
    started = record.now()
    toolchain = load_toolchain(layout.toolchain)
    python = shutil.which(args.python)
    if python is None:
        raise HarnessError(f"--python {args.python}: no such program")
    look, loaded = gather(python, os.environ)
    found = judge(look, loaded, layout, toolchain, os.environ)
    samples: List[ProbeSample] = []
    if may_probe(look, loaded, found) and not args.no_probe:
        say(f"training a small network for about {probe.BUDGET_S:.0f} seconds")
        try:
            samples = probe.run(python, _probe_environment(layout, toolchain))
            found += probe.findings(samples)
        except HarnessError as error:
            found.append(warning("probe", str(error)))
    show(found)
    if args.json is not None:
        kept = DoctorRecord(
            **DoctorRecord.opening("doctor", layout, {}, started),
            findings=found,
            interpreter=look,
            imported=loaded,
            probe=samples,
        )
        try:
            record.save(kept, args.json)
        except OSError as error:
            raise HarnessError(f"--json {args.json}: {error.strerror}") from error
        print(f"record: {shown(args.json, layout.root)}")
    return 1 if doctor_rules.worst(found) == "problem" else 0


def gather(python: str, environment: Mapping[str, str]) -> List[Dict[str, Any]]:
    """Return the facts of probe_inspect.py before MXNet is imported, and after."""
    look = _ask(python, "look", environment)
    if "error" in look:
        raise HarnessError(f"{python}: expected a Python, found a program that {look['error']}")
    return [look, _ask(python, "import", environment) if look["mxnet"] is not None else {}]


def _ask(python: str, what: str, environment: Mapping[str, str]) -> Dict[str, Any]:
    script = (Path(__file__).parent / "scripts" / "probe_inspect.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        out = Path(name, "out.json")
        try:
            command = [python, "-c", script, what, str(out)]
            done = process.run(command, environment, _TIMEOUT_S, stderr=subprocess.DEVNULL)
        except OSError as error:
            return {"error": f"cannot be started: {error.strerror}"}
        if done.code != 0 or not out.is_file():
            return {"error": done.reason or exit_reason(0)}
        told: Dict[str, Any] = reading.json_file(out)
        return told


def judge(
    look: Dict[str, Any],
    loaded: Dict[str, Any],
    layout: Layout,
    toolchain: Toolchain,
    environment: Mapping[str, str],
) -> List[Finding]:
    """Return all findings except the probe's."""
    hosts, cores = toolchain.hosts, hardware.physical_cores()
    found = [doctor_rules.interpreter(look), *doctor_rules.mxnet(look, loaded, hosts)]
    if look["mxnet"] is not None:
        path = doctor_rules.mkldnn_library(look, loaded)
        build_id = _build_id(path) if path is not None else None
        found.append(doctor_rules.mkldnn(look, loaded, build_id, environment, hosts))
        if doctor_rules.is_needed(look, loaded) and found[-1].status == "ok":
            found.append(doctor_rules.cache(look, loaded, layout.library.is_file()))
    found.append(doctor_rules.cpu(hardware.cpu_flags()))
    found += doctor_rules.threads(loaded, environment, cores)
    found += doctor_rules.engine(environment, loaded.get("omp_max_threads"), cores)
    found += doctor_rules.debugging(environment)
    return found + doctor_rules.options(environment, hosts)


def _build_id(path: Path) -> Optional[str]:
    try:
        return elf.build_id(path)
    except OSError:
        return None


def may_probe(look: Dict[str, Any], loaded: Dict[str, Any], found: Sequence[Finding]) -> bool:
    """Tell whether the cache could be active in that interpreter's MXNet."""
    if look["mxnet"] is None or not doctor_rules.is_needed(look, loaded):
        return False
    broken = {finding.subject for finding in found if finding.status == "problem"}
    return not broken & {"python", "mxnet", "mkl-dnn", "cache"}


def _probe_environment(layout: Layout, toolchain: Toolchain) -> Dict[str, str]:
    # The user's variables, without those of the cache that would change the measurement.
    outer = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(variables.SCOPE) or name == variables.ASSUME
    }
    return run.preloaded(layout, toolchain, outer, {})


def show(found: Sequence[Finding], console: Optional[rich.console.Console] = None) -> None:
    """Print a line for each finding, in colours and columns on a terminal."""
    console = console or rich.console.Console()
    if not console.is_terminal:
        width = max(len(finding.subject) for finding in found)
        for finding in found:
            print(f"{finding.status:7}  {finding.subject:{width}}  {finding.text}")
        return
    table = rich.table.Table.grid(padding=(0, 2))
    for finding in found:
        status = rich.text.Text(finding.status, style=_STYLES[finding.status])
        table.add_row(status, finding.subject, rich.text.Text(finding.text))
    console.print(table)
