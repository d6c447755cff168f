"""``run --compat`` on the newest Pythons gives the results, bit for bit, of 3.11 and NumPy 1.23.5.

tests/support/tour.py uses MXNet all over. ``pytest --all-pythons`` runs every release.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List

from tests.conftest import HOSTS
from tests.support import interpreters

TOUR = Path(interpreters.__file__).with_name("tour.py")
REFERENCE = "3.11"
# Its bits are those of NumPy's LAPACK, which differ between releases of NumPy.
LAPACK = "/initializer orthogonal"
PAIRS = [(version, release) for version in interpreters.NEED_COMPAT for release in HOSTS]
SOME = [("3.12", "1.5.1.post0"), ("3.13", "1.3.1")]


@lru_cache(maxsize=None)
def tour(root: Path, version: str, release: str, compat: bool) -> Dict[str, Any]:
    """Return the results by place, with the cache when ``compat``, else of stock."""
    environment = interpreters.installed(root, version, release)
    words = ["-m", "mkldnn_opcache", "run", "--compat", "--", environment.python] if compat else []
    done = environment.run(*words, "-W", "ignore", TOUR)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(expected: Any, seen: Any, place: str = "") -> List[str]:
    """Return the places whose results differ, with both."""
    if isinstance(expected, dict) and isinstance(seen, dict) and sorted(expected) == sorted(seen):
        pairs = [(f"{place}/{name}", expected[name], seen[name]) for name in expected]
    elif isinstance(expected, list) and isinstance(seen, list) and len(expected) == len(seen):
        pairs = [(f"{place}[{i}]", *pair) for i, pair in enumerate(zip(expected, seen))]
    else:
        return [] if expected == seen else [f"{place}: {expected} became {seen}"]
    return [each for where, a, b in pairs for each in differences(a, b, where)]


def test_results_are_those_of_an_older_python(root: Path, python: str, release: str) -> None:
    expected, seen = tour(root, REFERENCE, release, False), tour(root, python, release, True)
    found = differences(expected, seen)
    assert [each for each in found if not each.startswith(LAPACK)] == []


def test_a_differing_result_is_noticed() -> None:
    expected = {"a": ["x", {"b": "1"}], "c": "2"}
    assert differences(expected, {"a": ["x", {"b": "0"}], "c": "2"}) == ["/a[1]/b: 1 became 0"]
    assert differences(expected, {"a": ["x"], "c": "2"}) != []
