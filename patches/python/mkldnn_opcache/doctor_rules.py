"""Judges the doctor's facts: each finding is ok, a warning or a problem.

Pure: facts in, findings out. Facts about MXNet come from probe_inspect.py.
"""

import collections
import os

from . import compat, variables
from .library import LIBRARY
from .releases import LIBRARIES, MKLDNNS, RELEASES, release_of

MYPY = False
if MYPY:
    from typing import Any, Collection, List, Mapping, Optional, Sequence, Tuple  # noqa: F401

    Facts = Mapping[str, Any]

RUN = "opcache run -- COMMAND"
_FIRST_WITH_MAPS, _FIRST_UNSERVED = (1, 4), (1, 7)
_ENGINES = ("ThreadedEnginePerDevice", "ThreadedEngine", "NaiveEngine")
_DEBUGGING = (
    ("MKLDNN_VERBOSE", "MKL-DNN prints a line for each primitive"),
    ("MKLDNN_JIT_DUMP", "MKL-DNN writes a file for each primitive that it creates"),
    ("MXNET_MKLDNN_DEBUG", "MXNet computes every result a second time to compare them"),
    ("MKLDNN_OPCACHE_TRACE", "the cache prints a line for each creation"),
    ("MKLDNN_OPCACHE_SHADOW", "each hit is created again, and both results are compared"),
)
_COMPAT = "opcache run --compat and opcache enable --compat add what newer Pythons and NumPys lack"
_REMEDIES = (
    ("No module named", "install it into this interpreter's environment"),
    ("cannot open shared object file", "install the package that has this library"),
    ("not found (required by", "this system's C or C++ runtime is too old for it"),
)

# One line of the doctor's output; the status is ok, warning or problem.
Finding = collections.namedtuple("Finding", "status subject text")


def ok(subject, text):
    # type: (str, str) -> Finding
    """Return a finding that needs no action."""
    return Finding("ok", subject, text)


def warning(subject, text):
    # type: (str, str) -> Finding
    """Return a finding that costs, or may cost, speed or safety."""
    return Finding("warning", subject, text)


def problem(subject, text):
    # type: (str, str) -> Finding
    """Return a finding with which the cache, or MXNet, does not work."""
    return Finding("problem", subject, text)


def interpreter(look):
    # type: (Facts) -> Finding
    """Judge the interpreter itself."""
    text = "Python %s, %s" % (look["python"], look["executable"])
    if look["bits"] != 64:
        return problem("python", "%s: %d bits, MXNet and the cache need 64" % (text, look["bits"]))
    if (3, 0) <= _numbers(look["python"]) < (3, 5) or _numbers(look["python"]) < (2, 7):
        return problem("python", "%s: too old, MXNet needs 2.7 or 3.5 and later" % text)
    return ok("python", text)


def mxnet(look, loaded):
    # type: (Facts, Facts) -> List[Finding]
    """Judge whether MXNet is there and can be imported, and name its version."""
    found = look["mxnet"]
    if found is None:
        packages = " or ".join("%s==%s" % (each.package, each.version) for each in RELEASES)
        return [problem("mxnet", "none in this interpreter: pip install %s" % packages)]
    name = "MXNet %s, %s" % (version_of(look, loaded) or "of an unknown version", found["folder"])
    if "error" not in loaded:
        return [ok("mxnet", "%s, NumPy %s" % (name, loaded["numpy"]))]
    error = loaded["error"]
    remedies = [_COMPAT] if compat.explains(error) else []
    remedies += [remedy for part, remedy in _REMEDIES if part in error]
    reason = "; ".join([error] + remedies[:1])
    return [problem("mxnet", "%s, cannot be imported: %s" % (name, reason))]


def version_of(look, loaded):
    # type: (Facts, Facts) -> str
    """Return MXNet's version from the module or else its folder; empty if neither has it."""
    return str(loaded.get("version") or look["mxnet"]["version"])


def is_served(look, loaded):
    # type: (Facts, Facts) -> bool
    """Tell whether the cache can get between this MXNet, by its version, and its MKL-DNN."""
    version = version_of(look, loaded)
    return not version or _numbers(version) < _FIRST_UNSERVED


def mkldnn_library(look, loaded):
    # type: (Facts, Facts) -> Optional[str]
    """Return the mapped MKL-DNN, or the one in an MXNet that cannot be imported."""
    found = [_library(name, look, loaded) for name in LIBRARIES]
    return next((path for path in found if path is not None), None)


def _library(name, look, loaded):
    # type: (str, Facts, Facts) -> Optional[str]
    libraries = loaded.get("libraries", look["mxnet"]["libraries"])
    # The loader may name the file that libmkldnn.so.0 is a link to: libmkldnn.so.0.17.4.0.
    return next((p for p in libraries if (os.path.basename(p) + ".").startswith(name + ".")), None)


def mkldnn(look, loaded, build_id, environment):
    # type: (Facts, Facts, Optional[str], Mapping[str, str]) -> Finding
    """Judge the MKL-DNN release; ``build_id`` is that of ``mkldnn_library``."""
    if not is_served(look, loaded):
        return problem(
            "mkl-dnn",
            "not served: from 1.7 on MXNet has MKL-DNN inside libmxnet.so, where no library can "
            "get between, and from 1.8 on this MKL-DNN caches its primitives itself",
        )
    if mkldnn_library(look, loaded) is None:
        packages = ", ".join(look["mxnet"]["packages"]) or "from source"
        return problem(
            "mkl-dnn",
            "this MXNet has no %s (%s): the package with MKL-DNN is mxnet-mkl, and there is "
            "nothing to cache without" % (" or ".join(sorted(LIBRARIES)), packages),
        )
    release = release_of(build_id)
    if release is not None:
        text = "%s, as released with MXNet %s (%s)" % (release.mkldnn, release.version, build_id)
        return ok("mkl-dnn", text)
    assumed = environment.get(variables.ASSUME)
    if assumed in MKLDNNS:
        text = "taken for %s, as %s says (%s)" % (assumed, variables.ASSUME, build_id)
        return ok("mkl-dnn", text)
    inside = loaded.get("inside")
    if inside and inside["recognised"]:
        text = "%s, as the headers say that libmxnet.so was built with (%s)"
        return ok("mkl-dnn", text % (inside["mkldnn"], build_id))
    known = ", ".join("%s of MXNet %s" % (each.mkldnn, each.version) for each in RELEASES)
    return problem(
        "mkl-dnn",
        "build-id %s is not one that the cache knows (%s), so it caches nothing; if it was built "
        "from one of these sources, set %s to its release" % (build_id, known, variables.ASSUME),
    )


def cache(look, loaded, library):
    # type: (Facts, Facts, str) -> Finding
    """Judge whether the cache is in the process; ``library`` is the file to preload."""
    ours = _library(LIBRARY, look, loaded)
    if ours is not None:
        inside = ours.startswith(os.path.realpath(look["mxnet"]["folder"]) + os.sep)
        return ok("cache", "in this MXNet (patched)" if inside else "preloaded: %s" % ours)
    if loaded.get("inside"):
        return ok("cache", "inside libmxnet.so (source patch)")
    if not os.path.isfile(library):
        return problem("cache", "no library at %s: install the wheel mkldnn_opcache" % library)
    return warning(
        "cache", "not in this MXNet; %s runs a command with it, opcache enable adds it" % RUN
    )


def cpu(flags):
    # type: (Collection[str]) -> Finding
    """Judge the instructions that MKL-DNN can generate code for; flags as in /proc/cpuinfo."""
    avx512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags)
    best = next((name for name in ("avx2", "avx", "sse4_1") if name in flags), "none of its kinds")
    if avx512 or best == "avx2":
        return ok("cpu", "AVX-512 and AVX2" if avx512 else "AVX2, no AVX-512")
    return warning("cpu", "MKL-DNN is fast from AVX2 on, this processor has %s" % best)


def threads(loaded, environment, cores):
    # type: (Facts, Mapping[str, str], int) -> List[Finding]
    """Judge OpenMP's settings; ``cores`` counts the physical cores that a process may use."""
    findings = []
    asked, found = environment.get("OMP_NUM_THREADS"), loaded.get("omp_max_threads")
    setting = "OMP_NUM_THREADS=%s" % asked if asked else "OMP_NUM_THREADS is not set"
    text = "%s; OpenMP threads: %s, physical cores: %d" % (setting, found, cores)
    if asked and not all(word.strip().isdigit() for word in asked.split(",")):
        findings.append(problem("threads", "%s: expected a number" % setting))
    elif not found:
        findings.append(ok("threads", "%s; physical cores: %d" % (setting, cores)))
    elif found != cores:
        cause = "" if asked or found > cores else " (unset, MXNet takes half of the logical CPUs)"
        advice = "%s%s; try OMP_NUM_THREADS=%d" % (text, cause, cores)
        findings.append(warning("threads", advice))
    else:
        findings.append(ok("threads", text))
    for name in ("KMP_AFFINITY", "KMP_BLOCKTIME"):
        value = environment.get(name)
        text = "%s=%s" % (name, value) if value else "%s is not set" % name
        if name == "KMP_BLOCKTIME" and value == "0" and found != 1:
            text += ": OpenMP's threads are woken in every operator, costly for small networks: "
            findings.append(warning("threads", text + "unset it"))
        else:
            findings.append(ok("threads", text))
    return findings


def allocator(vendor, environment):
    # type: (str, Mapping[str, str]) -> List[Finding]
    """Tell what makes SGD slow in some processes on AMD (docs/performance.md, two speeds)."""
    if vendor != "AuthenticAMD":
        return []
    if environment.get("MALLOC_MMAP_MAX_") == "0":
        return [ok("malloc", "MALLOC_MMAP_MAX_=0")]
    setting = " ".join("%s=%s" % each for each in variables.HEAP)
    text = "on this AMD processor SGD may be slow in some processes; %s prevents it" % setting
    return [ok("malloc", text)]


def engine(environment, omp_threads, cores):
    # type: (Mapping[str, str], Optional[int], int) -> List[Finding]
    """Judge the settings of MXNet's engine."""
    findings = []
    kind = environment.get("MXNET_ENGINE_TYPE")
    if kind and kind not in _ENGINES:
        text = "MXNET_ENGINE_TYPE: expected %s, found '%s'" % (", ".join(_ENGINES), kind)
        findings.append(problem("engine", text))
    elif kind == "NaiveEngine":
        text = "MXNET_ENGINE_TYPE=NaiveEngine runs one operator after the other, for debugging"
        findings.append(warning("engine", text))
    else:
        text = "MXNET_ENGINE_TYPE=%s" % kind if kind else "MXNET_ENGINE_TYPE is not set"
        findings.append(ok("engine", text))
    workers = environment.get("MXNET_CPU_WORKER_NTHREADS") or "1"
    if not workers.isdigit() or int(workers) == 0:
        text = "MXNET_CPU_WORKER_NTHREADS: expected a number from 1 on, found '%s'" % workers
        findings.append(problem("engine", text))
    elif int(workers) > 1 and int(workers) * (omp_threads or 1) > cores:
        text = (
            "MXNET_CPU_WORKER_NTHREADS=%s: each of these has its own OpenMP threads and its own "
            "part of the cache, more than the %d physical cores carry" % (workers, cores)
        )
        findings.append(warning("engine", text))
    if environment.get("MXNET_MKLDNN_ENABLED") in ("0", "false", "False"):
        findings.append(problem("engine", "MXNET_MKLDNN_ENABLED=0 keeps MXNet from using MKL-DNN"))
    return findings


def maps(look, loaded, environment):
    # type: (Facts, Facts, Mapping[str, str]) -> Finding
    """Tell what MXNet's own maps keep, which no limit of the cache applies to."""
    value = environment.get(variables.MAPS)
    text = "%s=%s" % (variables.MAPS, value) if value else "%s is not set" % variables.MAPS
    if _numbers(version_of(look, loaded)) < _FIRST_WITH_MAPS:
        keeps = "MXNet keeps some primitives of every shape and reads no %s" % variables.MAPS
        return ok("maps", "%s; where shapes vary, memory grows" % keeps)
    if not value or value == "-1":
        return ok(
            "maps",
            "%s: MXNet keeps the primitives of every shape; where shapes vary, %s keeps memory "
            "bounded" % (text, RUN.replace("run", "run --bounded")),
        )
    if not value.isdigit():
        return problem("maps", "%s: expected -1 or a number from 0 on" % text)
    return ok("maps", "%s limits each of MXNet's maps" % text)


def debugging(environment):
    # type: (Mapping[str, str]) -> List[Finding]
    """Warn of debugging variables that are on."""
    return [
        warning("debugging", "%s=%s: %s" % (name, environment[name], effect))
        for name, effect in _DEBUGGING
        if environment.get(name, "0") not in ("", "0", "false", "False")
    ]


def options(environment):
    # type: (Mapping[str, str]) -> List[Finding]
    """Judge the cache's own variables."""
    faults = variables.faults(environment)
    findings = [problem("options", "%s: %s" % each) for each in faults]
    wrong = {name for name, _ in faults}
    known = variables.ALL + (variables.COMPAT,)
    for name, value in sorted(environment.items()):
        if not name.startswith(variables.SCOPE) or name in wrong or not value:
            continue
        if name not in known:
            text = "%s is not one of the cache's (%s)" % (name, ", ".join(known))
            findings.append(warning("options", text))
        elif (name, value) in (
            (variables.SCOPE, "off"),
            (variables.CAPACITY, "0"),
            (variables.MEMORY, "0"),
        ):
            findings.append(warning("options", "%s=%s turns the cache off" % (name, value)))
        else:
            findings.append(ok("options", "%s=%s" % (name, value)))
    bounds = "capacity 4096, memory %s as estimated" % variables.ESTIMATE_DEFAULT
    return findings or [ok("options", "none set: scope all, %s" % bounds)]


def _numbers(version):
    # type: (str) -> Tuple[int, ...]
    parts = []  # type: List[int]
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)


def worst(findings):
    # type: (Sequence[Finding]) -> str
    """Return the worst status among them."""
    ranks = {"ok": 0, "warning": 1, "problem": 2}
    return max((str(finding.status) for finding in findings), key=lambda status: ranks[status])
