"""Judges the doctor's facts: each finding is ok, a warning or a problem.

Pure: facts in, findings out. Facts about MXNet come from harness/user/scripts/probe_inspect.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from typing_extensions import Literal

from harness.base.layout import CACHE_LIBRARY
from harness.build.toolchain import Host
from harness.trials import variables
from harness.trials.record import RecordModel

Facts = Mapping[str, Any]

MKLDNN = "libmkldnn.so.0"
RUN = "python -m harness run -- COMMAND"
# MXNet 1.6 and later use the interface of MKL-DNN 1.0, which binds memory at execution.
_FIRST_WITHOUT_NEED = (1, 6)
_ENGINES = ("ThreadedEnginePerDevice", "ThreadedEngine", "NaiveEngine")
_DEBUGGING = {
    "MKLDNN_VERBOSE": "MKL-DNN prints a line for each primitive",
    "MKLDNN_JIT_DUMP": "MKL-DNN writes a file for each primitive that it creates",
    "MXNET_MKLDNN_DEBUG": "MXNet computes every result a second time to compare them",
    "MKLDNN_OPCACHE_TRACE": "the cache prints a line for each creation",
    "MKLDNN_OPCACHE_SHADOW": "each hit is created again, and both results are compared",
}
_REMEDIES = (
    ("module 'numpy' has no attribute", "this MXNet needs NumPy before 1.24"),
    ("No module named", "install it into this interpreter's environment"),
    ("cannot open shared object file", "install the package that has this library"),
    ("not found (required by", "this system's C or C++ runtime is too old for it"),
)


class Finding(RecordModel):
    """One line of the doctor's output."""

    status: Literal["ok", "warning", "problem"]
    subject: str
    text: str


def ok(subject: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(status="ok", subject=subject, text=text)


def warning(subject: str, text: str) -> Finding:
    """Return a finding that costs, or may cost, speed or safety."""
    return Finding(status="warning", subject=subject, text=text)


def problem(subject: str, text: str) -> Finding:
    """Return a finding with which the cache, or MXNet, does not work."""
    return Finding(status="problem", subject=subject, text=text)


def interpreter(look: Facts) -> Finding:
    """Judge the interpreter itself."""
    text = f"Python {look['python']}, {look['executable']}"
    if look["bits"] != 64:
        return problem("python", f"{text}: {look['bits']} bits, MXNet and the cache need 64")
    if (3, 0) <= _numbers(look["python"]) < (3, 5) or _numbers(look["python"]) < (2, 7):
        return problem("python", f"{text}: too old, MXNet needs 2.7 or 3.5 and later")
    return ok("python", text)


def mxnet(look: Facts, loaded: Facts, hosts: Sequence[Host]) -> List[Finding]:
    """Judge whether MXNet is there and can be imported, and name its version."""
    found = look["mxnet"]
    if found is None:
        packages = " or ".join(f"{host.package}=={host.version}" for host in hosts)
        text = f"none in this interpreter: pip install a wheel of dist/, or {packages}"
        return [problem("mxnet", f"{text} (Python before 3.8)")]
    name = f"MXNet {version_of(look, loaded) or 'of an unknown version'}, {found['folder']}"
    if "error" not in loaded:
        return [ok("mxnet", f"{name}, NumPy {loaded['numpy']}")]
    error = loaded["error"]
    remedies = [remedy for part, remedy in _REMEDIES if part in error][:1]
    return [problem("mxnet", f"{name}, cannot be imported: {'; '.join([error, *remedies])}")]


def version_of(look: Facts, loaded: Facts) -> str:
    """Return MXNet's version from the module or else its folder; empty if neither has it."""
    return str(loaded.get("version") or look["mxnet"]["version"])


def is_needed(look: Facts, loaded: Facts) -> bool:
    """Tell whether this MXNet is of the releases that create primitives in every step."""
    version = version_of(look, loaded)
    return not version or _numbers(version) < _FIRST_WITHOUT_NEED


def mkldnn_library(look: Facts, loaded: Facts) -> Optional[Path]:
    """Return the mapped libmkldnn.so.0, or the one in an MXNet that cannot be imported."""
    libraries = loaded.get("libraries", look["mxnet"]["libraries"])
    paths = [Path(name) for name in libraries]
    return next((path for path in paths if path.name == MKLDNN), None)


def mkldnn(
    look: Facts,
    loaded: Facts,
    build_id: Optional[str],
    environment: Mapping[str, str],
    hosts: Sequence[Host],
) -> Finding:
    """Judge the MKL-DNN release; ``build_id`` is that of ``mkldnn_library``."""
    if not is_needed(look, loaded):
        return ok(
            "mkl-dnn",
            "the cache is not needed: from 1.6 on MXNet's MKL-DNN is 1.0 or later, which binds "
            "memory when a primitive is executed, and MXNet keeps its primitives itself",
        )
    if mkldnn_library(look, loaded) is None:
        packages = ", ".join(look["mxnet"]["packages"]) or "from source"
        return problem(
            "mkl-dnn",
            f"this MXNet has no {MKLDNN} ({packages}): the package with MKL-DNN is mxnet-mkl, and "
            "there is nothing to cache without",
        )
    host = host_of(build_id, hosts)
    if host is not None:
        return ok("mkl-dnn", f"{host.mkldnn}, as released with MXNet {host.version} ({build_id})")
    assumed = environment.get(variables.ASSUME)
    if assumed in [host.mkldnn for host in hosts]:
        return ok("mkl-dnn", f"taken for {assumed}, as {variables.ASSUME} says ({build_id})")
    known = ", ".join(f"{host.mkldnn} of MXNet {host.version}" for host in hosts)
    return problem(
        "mkl-dnn",
        f"build-id {build_id} is not one that the cache knows ({known}), so it caches nothing; if "
        f"it was built from one of these sources, set {variables.ASSUME} to its release",
    )


def host_of(build_id: Optional[str], hosts: Sequence[Host]) -> Optional[Host]:
    """Return the MXNet release with that libmkldnn.so.0."""
    return next((host for host in hosts if host.mkldnn_build_id == build_id), None)


def cache(look: Facts, loaded: Facts, built: bool) -> Finding:
    """Judge whether the cache is in the process; ``built``: the library to preload exists."""
    mapped = [Path(name) for name in loaded.get("libraries", look["mxnet"]["libraries"])]
    ours = next((path for path in mapped if path.name == CACHE_LIBRARY), None)
    if ours is not None:
        inside = str(ours).startswith(str(Path(look["mxnet"]["folder"]).resolve()))
        return ok("cache", "in this MXNet (patched)" if inside else f"preloaded: {ours}")
    if not built:
        return problem("cache", "the library is not built: run make build")
    return warning("cache", f"not in this MXNet; {RUN} runs a command with it")


def cpu(flags: Collection[str]) -> Finding:
    """Judge the instructions that MKL-DNN can generate code for; flags as in /proc/cpuinfo."""
    avx512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags)
    best = next((name for name in ("avx2", "avx", "sse4_1") if name in flags), "none of its kinds")
    if avx512 or best == "avx2":
        return ok("cpu", "AVX-512 and AVX2" if avx512 else "AVX2, no AVX-512")
    return warning("cpu", f"MKL-DNN 0.x is fast from AVX2 on, this processor has {best}")


def threads(loaded: Facts, environment: Mapping[str, str], cores: int) -> List[Finding]:
    """Judge OpenMP's settings; ``cores`` counts the physical cores that a process may use."""
    findings = []
    asked, found = environment.get("OMP_NUM_THREADS"), loaded.get("omp_max_threads")
    setting = f"OMP_NUM_THREADS={asked}" if asked else "OMP_NUM_THREADS is not set"
    text = f"{setting}; OpenMP threads: {found}, physical cores: {cores}"
    if asked and not all(word.strip().isdigit() for word in asked.split(",")):
        findings.append(problem("threads", f"{setting}: expected a number"))
    elif not found:
        findings.append(ok("threads", f"{setting}; physical cores: {cores}"))
    elif found != cores:
        cause = "" if asked or found > cores else " (unset, MXNet takes half of the logical CPUs)"
        findings.append(warning("threads", f"{text}{cause}; try OMP_NUM_THREADS={cores}"))
    else:
        findings.append(ok("threads", text))
    for name in ("KMP_AFFINITY", "KMP_BLOCKTIME"):
        value = environment.get(name)
        findings.append(ok("threads", f"{name}={value}" if value else f"{name} is not set"))
    return findings


def engine(environment: Mapping[str, str], omp_threads: Optional[int], cores: int) -> List[Finding]:
    """Judge the settings of MXNet's engine."""
    findings = []
    kind = environment.get("MXNET_ENGINE_TYPE")
    if kind and kind not in _ENGINES:
        findings.append(
            problem("engine", f"MXNET_ENGINE_TYPE: expected {', '.join(_ENGINES)}, found '{kind}'")
        )
    elif kind == "NaiveEngine":
        text = "MXNET_ENGINE_TYPE=NaiveEngine runs one operator after the other, for debugging"
        findings.append(warning("engine", text))
    else:
        text = f"MXNET_ENGINE_TYPE={kind}" if kind else "MXNET_ENGINE_TYPE is not set"
        findings.append(ok("engine", text))
    workers = environment.get("MXNET_CPU_WORKER_NTHREADS") or "1"
    if not workers.isdigit() or int(workers) == 0:
        text = f"MXNET_CPU_WORKER_NTHREADS: expected a number from 1 on, found '{workers}'"
        findings.append(problem("engine", text))
    elif int(workers) > 1 and int(workers) * (omp_threads or 1) > cores:
        findings.append(
            warning(
                "engine",
                f"MXNET_CPU_WORKER_NTHREADS={workers}: each of these has its own OpenMP threads "
                f"and its own part of the cache, more than the {cores} physical cores carry",
            )
        )
    if environment.get("MXNET_MKLDNN_ENABLED") in ("0", "false", "False"):
        findings.append(problem("engine", "MXNET_MKLDNN_ENABLED=0 keeps MXNet from using MKL-DNN"))
    return findings


def debugging(environment: Mapping[str, str]) -> List[Finding]:
    """Warn of debugging variables that are on."""
    left_on = [(name, environment.get(name, "0")) for name in _DEBUGGING]
    return [
        warning("debugging", f"{name}={value}: {_DEBUGGING[name]}")
        for name, value in left_on
        if value not in ("", "0", "false", "False")
    ]


def options(environment: Mapping[str, str], hosts: Sequence[Host]) -> List[Finding]:
    """Judge the library's own variables."""
    faults = variables.faults(environment, [host.mkldnn for host in hosts])
    findings = [problem("options", f"{name}: {fault}") for name, fault in faults]
    wrong = {name for name, _ in faults}
    for name, value in sorted(environment.items()):
        if not name.startswith(variables.SCOPE) or name in wrong or not value:
            continue
        if name not in variables.ALL:
            known = ", ".join(variables.ALL)
            findings.append(warning("options", f"{name} is not one of the cache's ({known})"))
        elif (name, value) in (
            (variables.SCOPE, "off"),
            (variables.CAPACITY, "0"),
            (variables.MEMORY, "0"),
        ):
            findings.append(warning("options", f"{name}={value} turns the cache off"))
        else:
            findings.append(ok("options", f"{name}={value}"))
    return findings or [ok("options", "none set: scope all, capacity 4096, memory not bounded")]


def _numbers(version: str) -> Tuple[int, ...]:
    parts: List[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)


def worst(findings: Sequence[Finding]) -> str:
    """Return the worst status among them."""
    ranks: Dict[str, int] = {"ok": 0, "warning": 1, "problem": 2}
    return max((finding.status for finding in findings), key=lambda status: ranks[status])
