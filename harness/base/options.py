"""Parses the values of command-line options: comma-separated words, positive integers."""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from harness.base.errors import HarnessError


def words(option: str, text: str) -> Tuple[str, ...]:
    """Return the different words of a comma-separated option; HarnessError for a repeated one."""
    found = tuple(word.strip() for word in text.split(","))
    if "" in found or len(set(found)) != len(found):
        raise HarnessError(f"{option}: expected different words separated by commas: '{text}'")
    return found


def known_words(
    option: str, text: Optional[str], default: Iterable[str], known: Iterable[str]
) -> List[str]:
    """Return an option's words, or ``default`` for None; HarnessError for one not ``known``."""
    chosen = list(default) if text is None else list(words(option, text))
    for word in chosen:
        if word not in known:
            raise HarnessError(f"{option}: expected some of {', '.join(known)}, found '{word}'")
    return chosen


def numbers(option: str, text: str) -> Tuple[int, ...]:
    """Return the positive integers of a comma-separated option."""
    return tuple(number(option, word) for word in words(option, text))


def number(option: str, text: str) -> int:
    """Return a positive integer option's value."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise HarnessError(f"{option}: expected a positive integer, found '{text}'")
    return int(text)
