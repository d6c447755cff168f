"""Reports the MXNet of the interpreter that runs this file, which has no module of this project.

`PYTHON -c THIS look OUT` finds MXNet without importing it, `... import OUT` imports it and lists
its libraries. Both write JSON to OUT, and print nothing. Every Python from 2.7 on can parse this
file. Standard library only.
"""

import ctypes
import glob
import json
import os
import platform
import re
import struct
import sys

_OPENMP = ("libiomp5", "libgomp", "libomp")
_name = getattr(os, "fsdecode", str)  # Python 2.7 has names of files as bytes
_TOLD = ("libmkldnn", "libdnnl", "libmxnet") + _OPENMP
_MOST_BYTES = 1 << 16  # of the cache's report


def look():
    # type: () -> dict
    """Return the interpreter, and MXNet's folder, version and libraries; None without MXNet."""
    folder = _folder_of("mxnet")
    return {
        "executable": sys.executable,
        "python": platform.python_version(),
        "bits": 8 * struct.calcsize("P"),
        "mxnet": _mxnet(folder) if os.path.isfile(os.path.join(folder, "__init__.py")) else None,
    }


def _folder_of(package):
    # type: (str) -> str
    if sys.version_info < (3, 4):
        import imp

        try:
            return imp.find_module(package)[1]
        except ImportError:
            return ""
    import importlib.util

    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return places[0] if places else ""


def _mxnet(folder):
    # type: (str) -> dict
    libraries = glob.glob(os.path.join(folder, "*.so*"))
    infos = glob.glob(os.path.join(os.path.dirname(folder), "mxnet*-info"))
    return {
        "folder": folder,
        "version": _version(os.path.join(folder, "libinfo.py")),
        "packages": sorted(os.path.basename(info).rsplit(".", 1)[0] for info in infos),
        "libraries": sorted(os.path.realpath(library) for library in libraries),
    }


def _version(libinfo):
    # type: (str) -> str
    try:
        with open(libinfo) as file:
            found = re.search(r"__version__ *= *[\"']([^\"']+)", file.read())
    except (IOError, OSError):
        return ""
    return found.group(1) if found else ""


def imported():
    # type: () -> dict
    """Import MXNet; return its version and libraries, or the error in a line."""
    try:
        import mxnet
        import numpy
    except BaseException as error:  # the doctor reports every one
        lines = str(error).splitlines() or [""]
        return {"error": "%s: %s" % (type(error).__name__, lines[0])}
    libraries = _mapped()
    return {
        "version": getattr(mxnet, "__version__", ""),
        "numpy": numpy.__version__,
        "libraries": libraries,
        "inside": _cache_inside(libraries),
        "omp_max_threads": _omp_max_threads(libraries),
    }


def _mapped():
    # type: () -> list
    with open("/proc/self/maps", "rb") as file:  # the locale may be unable to decode a name
        paths = set(_name(line).split(None, 5)[-1].strip() for line in file)
    return sorted(path for path in paths if os.path.basename(path).startswith(_TOLD))


def _cache_inside(libraries):
    # type: (list) -> object
    """Return the report of the cache that libmxnet.so has inside; None when it has none."""
    names = [os.path.basename(path) for path in libraries]
    if "libmkldnn_opcache.so" in names or "libmxnet.so" not in names:
        return None
    library = ctypes.CDLL(libraries[names.index("libmxnet.so")])
    if not hasattr(library, "mkldnn_opcache_stats_json"):
        return None
    text = ctypes.create_string_buffer(_MOST_BYTES)
    library.mkldnn_opcache_stats_json(text, ctypes.c_size_t(len(text)))
    return json.loads(text.value.decode())


def _omp_max_threads(libraries):
    # type: (list) -> int
    # Of several runtimes, the one that MKL-DNN is linked to.
    for names in (("libmkldnn.so",), _OPENMP):
        for path in libraries:
            if os.path.basename(path).startswith(names):
                function = getattr(ctypes.CDLL(path), "omp_get_max_threads", None)
                if function is not None:
                    return int(function())
    return 0


def _decoded(value):
    # type: (object) -> object
    """Return a value for JSON: Python 2 has names of files as bytes, which may be no text."""
    if isinstance(value, dict):
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    found = look() if sys.argv[1] == "look" else imported()
    with open(sys.argv[2], "w") as out:
        json.dump(_decoded(found), out)
