"""Stacked bars: what a step's time goes into: execution, creation, the cache, the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence

from matplotlib.figure import Figure

from harness.plots import stacked, style

EXECUTION = "execution"
CREATION = "creation and destruction"
CACHE = "the cache itself"
REST = "rest"
COLOURS = {
    EXECUTION: style.SKY,
    CREATION: style.VERMILION,
    CACHE: style.YELLOW,
    REST: style.LIGHT_GREY,
}


@dataclass(frozen=True)
class Shares:
    """One variant of one network: its step in ms and the parts that make it up, in ms.

    ``parts_ms`` has some of the names above as keys.
    """

    network: str
    variant: str
    parts_ms: Dict[str, float]

    @property
    def step_ms(self) -> float:
        """The whole step."""
        return sum(self.parts_ms.values())


@style.styled
def figure(shares: Sequence[Shares], title: str, subtitle: str) -> Figure:
    """Draw each variant's step as parts of 100 %; the step's length stands at its end."""
    stacks = []
    for one in shares:
        parts = {name: 100 * ms / one.step_ms for name, ms in one.parts_ms.items()}
        stacks.append(stacked.Stack(one.network, one.variant, parts, f"{one.step_ms:,.0f} ms"))
    used = {name: c for name, c in COLOURS.items() if any(name in s.parts for s in stacks)}
    axis = "share of a training step, % (numbers: ms a step)"
    return stacked.figure(stacks, used, title, subtitle, axis)


def alt_text(shares: Sequence[Shares]) -> str:
    """Return the figure in words."""
    parts = [
        f"{one.network} {one.variant} {one.parts_ms.get(CREATION, 0.0) / one.step_ms:.0%}"
        for one in shares
    ]
    return f"Stacked bars of a step's time; creation and destruction take: {', '.join(parts)}."
