"""Prepares MXNet's import: loads the library, and adds the compatibility names when asked.

A few lines run when the interpreter starts, from the .pth file of ``enable`` or the sitecustomize
of ``run --compat``. They import this module when somebody looks for mxnet, never before. A failure
is a line on stderr, and MXNet is imported without the cache.
"""

import os
import shutil
import sys

from . import variables
from .common import literal, one_line, say, write_text
from .library import LIBRARY

MYPY = False
if MYPY:
    from typing import Any, Dict, List, MutableMapping, Optional  # noqa: F401

# Runs in every interpreter: no other import, and one comparison for each module that is looked for.
_START = """\
import sys
class Opcache(object):
    opcache, finder = %(origin)s, None
    def find_spec(self, name, path=None, target=None):
        if name == "mxnet" and self.found():
            return self.finder.find_spec(name, path, target)
    def find_module(self, name, path=None):
        if name == "mxnet" and sys.version_info[0] == 2 and self.found():
            return self.finder.find_module(name, path)
    def found(self):
        if self.finder is None:
            self.finder = False
            try:
                from mkldnn_opcache import hook
                self.finder = hook.Finder(%(settings)s, self)
            except Exception as error:
                line = "opcache: %%s: MXNet is not cached (%%s)\\n" %% (error, self.opcache)
                try:
                    sys.stderr.write(line)
                except Exception:  # no stderr, or no room
                    pass
        return self.finder
# Virtual environments run a .pth file twice.
if Opcache.opcache not in [getattr(each, "opcache", None) for each in sys.meta_path]:
    sys.meta_path.insert(0, Opcache())
"""
# The folder hides another sitecustomize, which runs then.
_CUSTOMIZE = """\
import os, sys
folder = os.path.dirname(os.path.abspath(__file__))
path, sys.path[:] = sys.path[:], [p for p in sys.path if os.path.abspath(p) != folder]
hidden = sys.modules.pop("sitecustomize", None)  # Python 2 clears a module without references
try:
    import sitecustomize
except ImportError as error:
    if "sitecustomize" not in str(error):
        raise
finally:
    sys.path[:0] = [p for p in path if os.path.abspath(p) == folder]
    sys.modules.setdefault("sitecustomize", hidden)  # Python looks for it when this file ends
"""


def start(settings, origin):
    # type: (Dict[str, Any], str) -> str
    """Return the program that prepares MXNet's import in the interpreter that runs it.

    Settings are ``library``, its path or None to load none; ``variables`` of the cache, which the
    environment overrides; and ``compat``. ``origin`` names the file in messages.
    """
    return _START % {"settings": literal(settings), "origin": literal(origin)}


def add_to_path(folder, environment):
    # type: (str, MutableMapping[str, str]) -> None
    """Make Pythons of ``environment`` add the compatibility names; ``folder`` is for them alone."""
    settings = {"library": None, "variables": {}, "compat": True}  # type: Dict[str, Any]
    program = start(settings, "opcache run --compat")
    text = "exec(%s, {})\n%s" % (literal(program), _CUSTOMIZE)
    write_text(os.path.join(folder, "sitecustomize.py"), text)
    package = os.path.dirname(os.path.abspath(__file__))
    # A copy, beside which those Pythons may write their bytecode.
    ignored = shutil.ignore_patterns("*.so", "*.pyc", "__pycache__")
    copy = os.path.join(folder, "mkldnn_opcache")
    shutil.copytree(package, copy, ignore=ignored)
    os.chmod(copy, 0o700)  # the mode is the package's, which may be read-only
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([folder] + ([others] if others else []))


class Finder(object):
    """Finds mxnet by the finders behind it, and prepares the process before mxnet's own code."""

    def __init__(self, settings, place):
        # type: (Dict[str, Any], Any) -> None
        """``place`` stands in sys.meta_path for this finder; Python 2 must not find it changed."""
        self._settings = settings
        self._place = place
        self._prepared = False

    def find_spec(self, name, path=None, target=None):
        # type: (str, Any, Any) -> Any
        """Return the others' spec, whose loader prepares first. Python 3."""
        if name != "mxnet":
            return None
        for finder in sys.meta_path[sys.meta_path.index(self._place) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                self._run_first(spec)
                return spec
        return None

    def _run_first(self, spec):
        # type: (Any) -> None
        folder = (list(spec.submodule_search_locations or []) or [""])[0]
        execute = getattr(spec.loader, "exec_module", None)

        def prepared(module):
            # type: (Any) -> None
            self._prepare(folder)
            execute(module)  # type: ignore[misc]

        # On this loader alone, which otherwise stays what it is.
        if execute is not None:
            spec.loader.exec_module = prepared

    def find_module(self, name, path=None):
        # type: (str, Any) -> None
        """Prepare when there is an mxnet, and leave the import to others. Python 2."""
        if name == "mxnet":
            import imp

            try:
                found = imp.find_module(name, path)
            except ImportError:
                return
            self._prepare(found[1])

    def _prepare(self, folder):
        # type: (str) -> None
        if self._prepared:
            return
        self._prepared = True
        for step in (lambda: self._load(folder), self._add_names):
            try:
                step()
            except Exception as error:
                say("%s: MXNet is imported without" % one_line(str(error)))

    def _load(self, folder):
        # type: (str) -> None
        for name, value in self._settings["variables"].items():
            if not os.environ.get(name):
                os.environ[name] = value
        # A patched MXNet loads its own library.
        if self._settings["library"] and not os.path.exists(os.path.join(folder, LIBRARY)):
            from . import library, load

            if not library.mapped(LIBRARY):  # preloaded
                load(self._settings["library"])

    def _add_names(self):
        # type: () -> None
        if self._settings["compat"] or os.environ.get(variables.COMPAT) == "1":
            from . import compat  # slow on some Pythons, and rarely asked for

            compat.install()
