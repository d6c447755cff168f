"""Lets MXNet 1.3 to 1.6 import and train on newer Pythons and NumPys than it was released for.

``install()`` adds the names that Python and NumPy removed. It replaces nothing that exists.

NumPy 2 also changed the meaning of names that it kept. There ``_EDITS`` changes single expressions
of MXNet's own source while Python loads it, in memory and only where it is needed:

- A scalar in a tuple prints as ``np.float32(0.5)``, which MXNet's operators do not parse.
- A Python float plus a float32 is a float32, so that sums of metrics and norms of
  gradients lose half of their bits.
- ``ndarray.tostring`` is gone.
- MXNet 1.6 imports the package requests, which only downloads need.

A script's own arithmetic stays NumPy's: ``asscalar() * 0.1`` is a float32 under NumPy 2. So do the
bits of NumPy's LAPACK, which the initializer Orthogonal uses.

The file needs the standard library alone, and works as a copy elsewhere. It parses under Python
2.7, imports NumPy only inside ``install``, and has to run before MXNet is imported.
"""

import importlib
import re
import sys
import types
import warnings

try:
    from importlib import machinery, util
except ImportError:  # Python 2.7: its NumPy and MXNet need no help.
    machinery = util = None

# Names of NumPy that stood for something else: a value, or another name of NumPy.
_NUMPY_VALUES = {
    "bool": bool,
    "complex": complex,
    "float": float,
    "int": int,
    "long": int,
    "object": object,
    "str": str,
    "unicode": str,
    "Inf": float("inf"),
    "Infinity": float("inf"),
    "NAN": float("nan"),
    "NINF": -float("inf"),
    "NZERO": -0.0,
    "NaN": float("nan"),
    "PINF": float("inf"),
    "PZERO": 0.0,
    "asscalar": lambda array: array.item(),
    "in1d": lambda a, b, **options: _numpy().isin(_numpy().ravel(a), b, **options),
    "infty": float("inf"),
}
_NUMPY_NAMES = {
    "alltrue": "all",
    "complex_": "complex128",
    "cumproduct": "cumprod",
    "float_": "float64",
    "product": "prod",
    "round_": "round",
    "row_stack": "vstack",
    "sometrue": "any",
    "string_": "bytes_",
    "trapz": "trapezoid",
    "unicode_": "str_",
}
_COLLECTIONS = (
    "Awaitable AsyncIterable AsyncIterator Callable Collection Container Coroutine "
    "Generator Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping "
    "MutableSequence MutableSet Reversible Sequence Set Sized ValuesView"
).split()

_added = []


def install():
    """Add what is missing, and return the names of all that was added in this process, sorted."""
    if machinery is None or _added:
        return sorted(_added)
    import numpy

    _added.extend(_add_python_names())
    _added.extend(_add_numpy_names(numpy))
    modules = [name for name in _MODULES if _absent(name)]
    _added.extend(modules)
    edits = {}
    for name, needed, pattern, replacement in _EDITS:
        if needed():
            edits.setdefault(name, []).append((pattern, replacement))
    _added.extend(name + " (edited)" for name in edits)
    if edits:
        sys.meta_path.insert(0, _Editor(edits))
    if modules:
        sys.meta_path.append(_Modules(modules))
    return sorted(_added)


def explains(error):
    """Tell whether ``install`` would have prevented ``error``, the last lines of a traceback."""
    return any(
        set(match.groups()) & set(names)
        for pattern, names in _ERRORS
        for match in re.finditer(pattern, error)
    )


def _add_python_names():
    import collections
    import inspect
    import time
    from collections import abc

    wanted = [(collections, name, getattr(abc, name, None)) for name in _COLLECTIONS]
    wanted += [(inspect, "getargspec", _getargspec), (time, "clock", time.process_time)]
    return [_add(*each) for each in wanted if each[2] is not None and not hasattr(*each[:2])]


def _add_numpy_names(numpy):
    wanted = list(_NUMPY_VALUES.items())
    wanted += [(name, getattr(numpy, now, None)) for name, now in _NUMPY_NAMES.items()]
    with warnings.catch_warnings():
        # NumPy 1.20 to 1.26 warn about names that they still have, or have no more.
        warnings.simplefilter("ignore")
        missing = [each for each in wanted if each[1] is not None and not hasattr(numpy, each[0])]
    return [_add(numpy, *each) for each in missing]


def _add(module, name, value):
    setattr(module, name, value)
    return module.__name__ + "." + name


def _getargspec(function):
    """Return args, varargs, keywords and defaults of ``function``, as Python 2 did."""
    import inspect
    from collections import namedtuple

    return namedtuple("ArgSpec", "args varargs keywords defaults")(
        *inspect.getfullargspec(function)[:4]
    )


def _absent(name):
    return name not in sys.modules and util.find_spec(name.partition(".")[0]) is None


def _numpy():
    return sys.modules["numpy"]


# Modules that Python removed, as far as MXNet 1.3 to 1.6 and scripts of its time use them.


def _fill_imp(module):
    def load_source(name, path):
        loader = machinery.SourceFileLoader(name, path)
        loaded = util.module_from_spec(util.spec_from_loader(name, loader))
        sys.modules[name] = loaded
        loader.exec_module(loaded)
        return loaded

    module.load_source = load_source
    module.new_module = types.ModuleType
    module.reload = importlib.reload


def _fill_distutils(module):
    module.__path__ = []


def _fill_version(module):
    module.LooseVersion = module.StrictVersion = _LooseVersion


class _LooseVersion:
    """Compare versions such as "1.16.0rc1" part by part, numbers as numbers."""

    def __init__(self, vstring):
        self.vstring = vstring
        parts = re.findall(r"\d+|[a-z]+", vstring)
        self.version = [int(part) if part.isdigit() else part for part in parts]

    def __str__(self):
        return self.vstring

    def _order(self, other):
        if isinstance(other, str):
            other = _LooseVersion(other)
        return (self.version > other.version) - (self.version < other.version)

    def __eq__(self, other):
        return self._order(other) == 0

    def __lt__(self, other):
        return self._order(other) < 0

    def __le__(self, other):
        return self._order(other) <= 0

    def __gt__(self, other):
        return self._order(other) > 0

    def __ge__(self, other):
        return self._order(other) >= 0


_MODULES = {
    "imp": _fill_imp,
    "distutils": _fill_distutils,
    "distutils.version": _fill_version,
}


class _Modules:
    """The last finder: it supplies removed modules that nothing else supplies."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        return machinery.ModuleSpec(name, self) if name in self.names else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        _MODULES[module.__name__](module)


# What the edits of MXNet's source call.


def text(value):
    """Return ``str(value)`` as NumPy 1 does: the scalars in a tuple or list without their type."""
    return str(_plain(value))


def _plain(value):
    numpy = _numpy()
    if type(value) in (tuple, list):
        return type(value)(map(_plain, value))
    if isinstance(value, (numpy.str_, numpy.bytes_)):
        return value.item()
    return _Text(str(value)) if isinstance(value, numpy.generic) else value


class _Text(str):
    def __repr__(self):
        return str(self)


class Absent:
    """Stands for a package that is not installed; each use raises ImportError."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        raise ImportError("MXNet needs a package for this: pip install " + self._name)


def imported(name):
    """Import the package ``name``, or return an ``Absent``."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return Absent(name)


def _numpy_2():
    return int(_numpy().__version__.split(".")[0]) >= 2


def _no_tostring():
    return not hasattr(_numpy().ndarray, "tostring")


_TEXT = (_numpy_2, r"\bstr\((s|v|val|value|shape)\)", r"opcache_compat.text(\1)")
_NORM = (_numpy_2, r"(norm = )(multiply\(v, v\)\.asnumpy\(\)\.sum\(\))", r"\1numpy.float64(\2)")
_REQUESTS = (r"^import requests$", "requests = opcache_compat.imported('requests')")
# Module, whether it needs the edit here, pattern and replacement. `opcache_compat` is this module.
_EDITS = (
    ("mxnet._ctypes.ndarray",) + _TEXT,
    ("mxnet._ctypes.symbol",) + _TEXT,
    ("mxnet.symbol.symbol",) + _TEXT,
    ("mxnet.io",) + _TEXT,
    ("mxnet.io.io",) + _TEXT,
    ("mxnet.metric", _numpy_2, r"\b(sum_metric|loss)( = )0\.0?$", r"\1\2numpy.float64(0.0)"),
    ("mxnet.metric", _numpy_2, r"\bnum -= (?=ndarray\.)", "num = numpy.int64(num) - "),
    ("mxnet.optimizer",) + _NORM,
    ("mxnet.optimizer.optimizer",) + _NORM,
    (
        "mxnet.gluon.utils",
        _numpy_2,
        r"\(total_norm \+ 1e-8\)(?=\n    if scale < 1)",
        "(np.float64(total_norm) + 1e-8)",
    ),
    ("mxnet.gluon.utils", lambda: _absent("requests")) + _REQUESTS,
    ("mxnet.recordio", _no_tostring, r"\.tostring\(\)", ".tobytes()"),
)


class _Editor:
    """The first finder: it gives the modules of ``edits`` a loader that edits their source."""

    def __init__(self, edits):
        self.edits = edits

    def find_spec(self, name, path=None, target=None):
        if name not in self.edits:
            return None
        spec = machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is machinery.SourceFileLoader:
            spec.loader = _edited_loader(spec.loader, self.edits[name])
        return spec


def _edited_loader(loader, edits):
    class EditedLoader(machinery.SourceFileLoader):
        def get_code(self, fullname):
            # Not through a .pyc, which other programs without this file would load.
            source = self.get_source(fullname)
            for pattern, replacement in edits:
                source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
            return self.source_to_code(source.encode("utf-8"), self.get_filename(fullname))

        def exec_module(self, module):
            module.opcache_compat = sys.modules[__name__]
            machinery.SourceFileLoader.exec_module(self, module)

    return EditedLoader(loader.name, loader.path)


_ERRORS = (
    (
        r"module 'numpy' has no attribute '(\w+)'|`np\.(\w+)` was removed",
        set(_NUMPY_VALUES) | set(_NUMPY_NAMES),
    ),
    (r"module 'collections' has no attribute '(\w+)'", _COLLECTIONS),
    (r"cannot import name '(\w+)' from 'collections'", _COLLECTIONS),
    (r"module '(?:inspect|time)' has no attribute '(\w+)'", ("getargspec", "clock")),
    (r"cannot import name '(\w+)' from '(?:inspect|time)'", ("getargspec", "clock")),
    (r"No module named '([\w.]+)'", tuple(_MODULES) + ("requests",)),
)
