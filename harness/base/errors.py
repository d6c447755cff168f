"""The one exception that the command line turns into a message instead of a traceback.

Raise it for anything a user can cause or repair: bad options, wrong files, failed downloads.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return ``text`` with all that a terminal would not show as it is in Python's notation.

    Names of files and values may hold anything: line ends, control sequences, lone surrogates.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class HarnessError(Exception):
    """One line that names what was expected, what was found and, if known, what to do."""

    several_lines = False  # of a subclass whose message shows what another process said

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.several_lines else one_line(text)
