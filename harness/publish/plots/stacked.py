"""Stacked bars that share one axis: a bar per variant, in groups, each made of the same parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.publish.plots import style

_BAR_INCHES = 0.2
# Above each group, where its name stands.
_GAP_BARS = 1.3


@dataclass(frozen=True)
class Stack:
    """One bar: ``parts`` by name, in the unit of the axis; ``note`` is written at its end."""

    group: str
    name: str
    parts: Dict[str, float]
    note: str = ""


@dataclass(frozen=True)
class Step:
    """The training step of a network in one variant: the milliseconds of each of its parts."""

    network: str
    variant: str
    parts_ms: Dict[str, float]

    @property
    def total_ms(self) -> float:
        """All parts together."""
        return sum(self.parts_ms.values())


@style.styled
def figure(
    stacks: Sequence[Stack],
    colours: Dict[str, str],
    title: str,
    subtitle: str,
    axis: str,
) -> Figure:
    """Draw at least one stack; ``colours`` names the parts in their order from the left."""
    places = _places(stacks)
    inches = (places[-1] + 1.2) * _BAR_INCHES
    columns = 2 if max(map(len, colours)) > 16 else 3
    legend_rows = -(-len(colours) // columns)
    drawn, (axes,) = style.new_figure(inches + 1.35 + 0.2 * legend_rows, title, subtitle)
    handles = []
    left = [0.0] * len(stacks)
    for part, colour in colours.items():
        lengths = [stack.parts.get(part, 0.0) for stack in stacks]
        container = axes.barh(
            places,
            lengths,
            left=left,
            height=0.9,
            color=colour,
            edgecolor="white",
            linewidth=0.4,
        )
        handles.append(Patch(color=colour))
        for stack, patch in zip(stacks, container.patches):
            patch.set_gid(f"{stack.group} {stack.name} {part}")
        left = [start + length for start, length in zip(left, lengths)]
    for stack, place, end in zip(stacks, places, left):
        style.note(axes, stack.note, (end, place))
    axes.set_yticks(places, [stack.name for stack in stacks], fontsize=8)
    axes.set_ylim(places[-1] + 0.7, places[0] - _GAP_BARS - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(left) * 1.15)
    axes.grid(axis="x")
    axes.set_xlabel(axis)
    for group in dict.fromkeys(stack.group for stack in stacks):
        first = next(place for stack, place in zip(stacks, places) if stack.group == group)
        style.note(axes, group, (0, first - 1), fontweight="bold", fontsize=9)
    blank = [" "] * len(handles)
    legend = drawn.legend(handles, blank, loc="outside lower center", ncols=columns)
    # Named afterwards: matplotlib leaves out every label that begins with an underscore.
    for text, part in zip(legend.get_texts(), colours):
        text.set_text(part)
    return drawn


def _places(stacks: Sequence[Stack]) -> List[float]:
    places = [_GAP_BARS]
    for above, stack in zip(stacks, stacks[1:]):
        new_group = stack.group != above.group
        places.append(places[-1] + 1 + (_GAP_BARS if new_group else 0.0))
    return places
