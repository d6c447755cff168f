"""Measures the share of creation in a training step, and the gain from the cache, for the doctor.

Runs a small network on the user's MXNet for up to a minute. Each sample is a fresh process;
scope off and scope all alternate, and are compared in pairs.
"""

import collections
import os
import shutil
import tempfile
import time

from .common import read_json, run_limited
from .doctor_rules import ok, warning
from .library import Error
from .variables import SCOPE

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple  # noqa: F401

    from .doctor_rules import Finding  # noqa: F401

BUDGET_S = 60.0
SCOPES = ("off", "all")
CONFIDENCE = 0.95
_ROUNDS_MOST = 6  # fewer pairs give no 95 % interval of a median
_clock = getattr(time, "monotonic", time.time)

# One process: the wall time of each timed step, and the counters over all of them.
ProbeSample = collections.namedtuple("ProbeSample", "scope round step_ns counters")


def creating(sample):
    # type: (ProbeSample) -> float
    """Return the share of creating and destroying in the time of the steps."""
    totals = sample.counters["totals"]
    return (totals["create_ns"] + totals["destroy_ns"]) / float(sum(sample.step_ns))


def run(python, environment, budget_s=BUDGET_S, timeout_s=BUDGET_S, clock=_clock):
    # type: (str, Mapping[str, str], float, float, Callable[[], float]) -> List[ProbeSample]
    """Return samples, the same number of each scope; ``environment`` preloads the library.

    No round after the first begins if it would end after ``budget_s``. Raises Error when a process
    fails or takes longer than ``timeout_s``.
    """
    start, slowest_s = clock(), 0.0
    samples = []
    for round_ in range(_ROUNDS_MOST):
        begin = clock()
        if round_ > 0 and begin - start + slowest_s > budget_s:
            break
        # The first of a round alternates as well.
        for scope in SCOPES if round_ % 2 == 0 else SCOPES[::-1]:
            result = _sample(python, dict(environment, **{SCOPE: scope}), timeout_s)
            samples.append(ProbeSample(scope, round_, result["step_ns"], result["counters"]))
        slowest_s = max(slowest_s, clock() - begin)
    return samples


def _sample(python, environment, timeout_s):
    # type: (str, Mapping[str, str], float) -> Dict[str, Any]
    try:
        return ask([python, "-W", "ignore"], "probe_train.py", [], environment, timeout_s)
    except Error as error:
        raise Error("a process %s" % error)


def ask(python, script, words, environment, timeout_s):
    # type: (Sequence[str], str, Sequence[str], Mapping[str, str], float) -> Dict[str, Any]
    """Run a script of this package in another interpreter, which gets its text alone.

    ``python`` is a command. Returns the JSON that the script writes; Error says how it ended.
    """
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), script)) as file:
        text = file.read()
    folder = tempfile.mkdtemp(prefix="opcache-")
    try:
        out = os.path.join(folder, "out.json")
        command = list(python) + ["-c", text] + list(words) + [out]
        reason, last = run_limited(command, environment, timeout_s)
        if reason:
            raise Error(": ".join([reason] + ([last] if last else [])))
        if not os.path.isfile(out):
            raise Error("ended with exit code 0 and told nothing")
        found = read_json(out)  # type: Dict[str, Any]
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def findings(samples):
    # type: (Sequence[ProbeSample]) -> List[Finding]
    """Return findings on the share of creation and on the ratio of the scopes."""
    off = {sample.round: sample for sample in samples if sample.scope == "off"}
    on = {sample.round: sample for sample in samples if sample.scope == "all"}
    if not all(sample.counters["active"] for sample in on.values()):
        return [warning("probe", "the cache was not active in the probe's processes")]
    share = [100 * creating(sample) for sample in off.values()]
    steps = {r: (median(off[r].step_ns), median(on[r].step_ns)) for r in on}
    ratios = [without / cached for without, cached in steps.values()]
    creation = ok(
        "probe",
        "without the cache creation takes %.0f%% of a step (%s); mobilenet-1.0, batch 1, 64x64, "
        "%.0f ms"
        % (
            median(share),
            _spread(share, "%.0f%%", "processes"),
            median([without for without, _ in steps.values()]) / 1e6,
        ),
    )
    measured = "with scope all a step is %.2f times as fast (%s)" % (
        median(ratios),
        _spread(ratios, "%.2f", "pairs"),
    )
    interval = median_interval(ratios)
    if interval is None:
        return [creation, warning("probe", "%s: too few to tell, this machine is busy" % measured)]
    if interval[0] <= 1.0:
        return [creation, warning("probe", "%s: no gain was shown" % measured)]
    return [creation, ok("probe", "%s; larger images and batches gain less" % measured)]


def _spread(values, form, what):
    # type: (Sequence[float], str, str) -> str
    if len(values) == 1:
        return "spread unknown, %s: 1" % what
    low, high = median_interval(values) or (min(values), max(values))
    return "%s to %s, %s: %d" % (form % low, form % high, what, len(values))


def median(values):
    # type: (Sequence[float]) -> float
    """Return the median of at least one value."""
    ordered, middle = sorted(values), len(values) // 2
    return (ordered[middle] + ordered[-1 - middle]) / 2.0


def median_interval(values):
    # type: (Sequence[float]) -> Optional[Tuple[float, float]]
    """Return the 95 % interval of the median, by order statistics; None with fewer than 6 values.

    The median lies below the k-th smallest of n independent values with the probability that fewer
    than k of n tosses are heads, and above the k-th largest with the same.
    """
    ordered, number = sorted(values), len(values)
    outside, ways, cut = 0.0, 1.0, 0  # ways: number choose cut
    while 2 * (outside + ways / 2.0**number) <= 1 - CONFIDENCE:
        outside += ways / 2.0**number
        ways = ways * (number - cut) / (cut + 1)
        cut += 1
    return (ordered[cut - 1], ordered[-cut]) if cut > 0 else None
