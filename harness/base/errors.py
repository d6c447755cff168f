"""Defines the exception that the command line reports as a message instead of a traceback.

Raise it for errors that a user can cause or repair: bad options, wrong files, failed downloads.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return ``text`` with unprintable characters in Python's notation.

    Names of files and values may contain line ends, control sequences and lone surrogates.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class HarnessError(Exception):
    """An error of one line: expected value, found value and, if known, the remedy."""

    several_lines = False  # True in a subclass whose message quotes another process's output

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.several_lines else one_line(text)
