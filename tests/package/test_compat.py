"""compat.py: adds what is missing, replaces nothing, and edits only what NumPy 2 broke."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from mkldnn_opcache import compat

from harness.base.layout import Layout
from tests.support.commands import python, replace, run

# A NumPy 2 in miniature: `bool` stayed, the other aliases and `tostring` went.
NUMPY_2 = """
__version__ = "2.4.0"
bool = "NumPy's own"
prod, inf = max, 1e999
class ndarray: pass
class generic: pass
class str_(str, generic): pass
bytes_ = str_
class float32(float, generic):
    __str__ = float.__repr__
    def __repr__(self): return "np.float32(%s)" % self
"""

MXNET = {
    "mxnet/__init__.py": "from . import metric, recordio, gluon, symbol",
    "mxnet/metric.py": "import numpy\nnumpy.float64 = str\nsum_metric = 0.0\n",
    "mxnet/recordio.py": "def pack(a):\n    return a.tostring()\n",
    "mxnet/gluon/__init__.py": "from . import utils",
    "mxnet/gluon/utils.py": "import requests\n",
    "mxnet/symbol/__init__.py": "from . import symbol",
    "mxnet/symbol/symbol.py": "def attr(value):\n    return str(value)\n",
}

SESSION = """
import collections, inspect, json, sys, time
import numpy
collections.Sized = "the program's own"
modules = numpy, collections, inspect, time
before = [dict(vars(module)) for module in modules]
import compat
seen = {"added": compat.install(), "again": compat.install(), "replaced": []}
for module, old in zip(modules, before):
    seen["replaced"] += [name for name in old if vars(module)[name] is not old[name]]
class Array:
    def tobytes(self): return "bytes"
import mxnet
value = numpy.float32(0.5)
seen["sum"] = mxnet.metric.sum_metric
seen["packed"] = mxnet.recordio.pack(Array())
seen["text"] = mxnet.symbol.symbol.attr(((1, value), [value, "a"], "b"))
try:
    mxnet.gluon.utils.requests.get("url")
except ImportError as error:
    seen["absent"] = str(error)
from imp import load_source
from distutils.version import LooseVersion
seen["versions"] = LooseVersion("1.9") < "1.16.0rc1" and not LooseVersion("2.1") < "2.0"
seen["loaded"] = load_source("other", sys.argv[1]).__name__
seen["spec"] = inspect.getargspec(lambda a, *b, c=1: 0).args
print(json.dumps(seen))
"""


@pytest.fixture
def folder(layout: Layout, tmp_path: Path) -> Path:
    """A folder with a small NumPy and MXNet, and compat.py as a single copied file."""
    copy = (layout.package / "compat.py").read_text()
    for name, text in {**MXNET, "numpy.py": NUMPY_2, "compat.py": copy}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def session(folder: Path) -> Dict[str, Any]:
    # Without site-packages: a Python whose requests and setuptools are not installed.
    (folder / "other.py").write_text("")
    result = run([sys.executable, "-S", "-E", *python(SESSION, "other.py")[1:]], cwd=folder)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_what_is_missing_is_added_and_nothing_is_replaced(folder: Path) -> None:
    seen = session(folder)
    assert seen["added"] == seen["again"] and not seen["replaced"]
    assert "numpy.int" in seen["added"] and "numpy.product" in seen["added"]
    assert "numpy.bool" not in seen["added"] and "numpy.trapz" not in seen["added"]
    assert (
        seen["packed"] == "bytes"
        and seen["sum"] == "0.0"
        and seen["versions"]
        and seen["loaded"] == "other"
    )
    assert seen["text"] == "((1, 0.5), [0.5, 'a'], 'b')" and seen["spec"] == ["a"]
    assert seen["absent"] == "MXNet needs a package for this: pip install requests"
    assert not list(folder.glob("mxnet/**/recordio*.pyc")), "an edited module was cached"


@pytest.mark.parametrize(
    ("check", "replaced"),
    [("not hasattr(numpy, each[0])", "bool"), ("not hasattr(*each[:2])", "Sized")],
)
def test_a_replaced_name_is_noticed(folder: Path, check: str, replaced: str) -> None:
    replace(folder / "compat.py", check, "True")
    assert replaced in session(folder)["replaced"]


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        ("AttributeError: module 'numpy' has no attribute 'bool'.", True),
        ("AttributeError: `np.PZERO` was removed in the NumPy 2.0 release.", True),
        ("ImportError: cannot import name 'Mapping' from 'collections' (/usr/x.py)", True),
        ("AttributeError: module 'collections' has no attribute 'Iterable'", True),
        ("AttributeError: module 'inspect' has no attribute 'getargspec'", True),
        ("AttributeError: module 'time' has no attribute 'clock'", True),
        ("ModuleNotFoundError: No module named 'distutils'", True),
        ("ModuleNotFoundError: No module named 'requests'", True),
        ("ModuleNotFoundError: No module named 'mxnet'", False),
        ("AttributeError: module 'numpy' has no attribute 'qux'", False),
        ("OSError: libgomp.so.1: cannot open shared object file", False),
    ],
)
def test_errors_that_compat_prevents(error: str, explained: bool) -> None:
    assert compat.explains("Traceback\n" + error) == explained
