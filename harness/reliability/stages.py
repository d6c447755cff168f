"""The stages of a reliability run, in the order of work."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Stage(NamedTuple):
    """One kind of evidence: ``module`` has ``run(context) -> List[Finding]``.

    A failed check is a finding with the outcome ``fail``, never an exception. A full run leaves out
    a stage that takes ``hours``, unless ``--stages`` names it.
    """

    name: str
    module: str
    title: str
    hours: bool = False


STAGES: Tuple[Stage, ...] = (
    Stage("threads", "harness.reliability.threads", "Threads: bits against stock"),
    Stage("fork", "harness.reliability.fork", "Forks: parent and child go on, bits against stock"),
    Stage("hostile", "harness.reliability.hostile", "Hostile surroundings"),
    Stage("kill", "harness.reliability.kill", "SIGKILL at every step of writing files"),
    Stage("faults", "harness.reliability.faults", "Every call and every allocation fails"),
    Stage("soak", "harness.reliability.soak", "Ten thousand shapes: memory and bits"),
    Stage("serve", "harness.reliability.serve", "Predictions on short-lived threads"),
    Stage("training", "harness.reliability.training", "Hours of training: growth and bits", True),
    Stage("fuzz", "harness.reliability.fuzz", "Random calls and primitives"),
    Stage("unload", "harness.reliability.unload", "Libraries closed in every order"),
    Stage("exit", "harness.reliability.exits", "Processes that end while threads work"),
    Stage("sanitizers", "harness.reliability.sanitizers", "The C++ tests under sanitizers"),
)
