"""The commands enable, disable and status: the cache in every process of one environment.

The whole effect is one .pth file in the site-packages folder that holds this package: it is there
or it is not. Nobody's file is edited.
"""

import json
import os
import site
import sys
import sysconfig

from . import compat, doctor_rules, elf, hook, library, options, probe_inspect, variables
from .common import (
    IS_PYTHON_2,
    json_line,
    leftovers,
    literal,
    native,
    portable,
    say,
    show,
    write_text,
)
from .library import Error
from .options import Command

MYPY = False
if MYPY:
    import argparse  # noqa: F401
    from typing import Any, Dict, List, Optional  # noqa: F401

_ENABLE = """\
examples:
  {program} enable
  {program} enable --scope backward --memory 512M
  ~/venv/bin/python -m mkldnn_opcache enable --compat

One file in site-packages makes each process of this environment load the library when it imports
mxnet. Variables in the environment override the options; MKLDNN_OPCACHE=off turns the cache off.
"""
_DISABLE = """\
examples:
  {program} disable
"""
_STATUS = """\
examples:
  {program} status

Exit code: 0 when the cache is enabled, else 1.
"""
PTH = "mkldnn_opcache_enabled.pth"
_MARK = "# Written by opcache enable; opcache disable removes it: "


def _add_arguments(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add the options of ``enable``."""
    options.add_library(parser)
    options.add_cache(parser)


def _add_none(parser):
    # type: (argparse.ArgumentParser) -> None
    """``disable`` and ``status`` have no options."""


def enable(args):
    # type: (argparse.Namespace) -> int
    """Write the file; Error, and no file, when this MXNet has no use for the cache."""
    folder = _own_folder()
    settings = options.cache(args, {})
    compat = settings.pop(variables.COMPAT, None) is not None
    unserved = _why_unserved()
    if unserved is not None:
        if not compat:
            raise Error("%s; nothing was enabled" % unserved)
        settings.pop(variables.MAPS, None)  # without the cache MXNet needs them
    path = os.path.join(folder, PTH)
    if os.path.lexists(path):
        _settings_of(path)  # a foreign file stays
    chosen = {
        "library": portable(options.library(args)) if unserved is None else None,
        "variables": settings,
        "compat": compat,
    }
    program = hook.start(chosen, path)
    text = "%s%s\nimport sys; exec(%s, {})\n" % (_MARK, json_line(chosen), literal(program))
    write_text(path, text)
    if unserved is not None:
        say("only --compat is enabled: %s" % unserved)
    return status(args)


def disable(args):
    # type: (argparse.Namespace) -> int
    """Remove the file, and what a killed ``enable`` left."""
    del args
    found = _enabled()
    for folder in _site_folders():
        for path in leftovers(os.path.join(folder, PTH)):
            os.unlink(path)
    if found is None:
        show("not enabled")
        return 0
    _settings_of(found)
    os.unlink(found)
    show("disabled: removed %s" % found)
    return 0


def status(args):
    # type: (argparse.Namespace) -> int
    """Print what is enabled, and what else is active; return 1 when nothing is enabled."""
    del args
    path = _enabled()
    settings = _settings_of(path) if path is not None else None  # type: Optional[Dict[str, Any]]
    lines = [("enabled", path or "no")]
    if settings is not None:
        file = settings["library"]
        absent = "" if file is None or os.path.isfile(file) else ", which is absent: enable again"
        if file is not None and not IS_PYTHON_2:
            file = os.fsdecode(os.fsencode(file))  # for the reader, in this process's locale
        lines.append(("library", "%s%s" % (file or "none", absent)))
        for name, variable in options.SETTINGS + (("maps", variables.MAPS),):
            if variable in settings["variables"]:
                lines.append((name, settings["variables"][variable]))
        lines.append(("compat", _names() if settings["compat"] else "off"))
    lines.append(("mxnet", _mxnet()))
    if library.LIBRARY in os.environ.get("LD_PRELOAD", ""):
        lines.append(("preload", "LD_PRELOAD=%s is used first" % os.environ["LD_PRELOAD"]))
    for name in variables.ALL + (variables.COMPAT,):
        if os.environ.get(name):
            lines.append(("variable", "%s=%s" % (name, os.environ[name])))
    for name, text in lines:
        show("%-8s  %s" % (name, text))
    return 0 if settings is not None else 1


def _site_folders():
    # type: () -> List[str]
    """Return the folders of this interpreter whose .pth files run when it starts."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    # The site module of old virtualenvs lacks these.
    found += getattr(site, "getsitepackages", list)()
    if getattr(site, "ENABLE_USER_SITE", False):
        found.append(site.getusersitepackages())
    return sorted({os.path.realpath(folder) for folder in found if os.path.isdir(folder)})


def _own_folder():
    # type: () -> str
    """Return the site-packages folder with this package; Error for another environment's."""
    folder = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    ours = _site_folders()
    if folder not in ours:
        raise Error(
            "mkldnn_opcache is in %s, which is not a site-packages folder of %s (%s): install it "
            "there first" % (folder, sys.executable, ", ".join(ours))
        )
    return folder


def _enabled():
    # type: () -> Optional[str]
    paths = [os.path.join(folder, PTH) for folder in _site_folders()]
    return next((path for path in paths if os.path.lexists(path)), None)


def _settings_of(path):
    # type: (str) -> Dict[str, Any]
    """Return the settings in a file of ``enable``; Error for any other file."""
    try:
        with open(path) as file:
            first = file.readline()
        if not first.startswith(_MARK):
            raise ValueError
        found = native(json.loads(first[len(_MARK) :]))  # type: Dict[str, Any]
        _ = found["library"], found["variables"], found["compat"]
        return found
    except (ValueError, KeyError, TypeError):
        raise Error("%s: expected a file of opcache enable, found another" % path)


def _names():
    # type: () -> str
    # In this process, which ends soon and runs nothing else.
    try:
        return "adds %s" % (", ".join(compat.install()) or "nothing here")
    except ImportError as error:
        return "on, but cannot add anything: %s" % error


def _mxnet():
    # type: () -> str
    unserved = _why_unserved()
    found = probe_inspect.look()["mxnet"]
    if found is None or unserved is not None:
        return str(unserved)
    return "MXNet %s, %s" % (found["version"] or "of an unknown version", found["folder"])


def _why_unserved():
    # type: () -> Optional[str]
    """Say why this interpreter's MXNet, which is not imported, has no use for the library."""
    look = probe_inspect.look()
    if look["mxnet"] is None:
        return "no MXNet in %s" % sys.executable
    libraries = [os.path.basename(name) for name in look["mxnet"]["libraries"]]
    if library.LIBRARY in libraries:
        return "this MXNet is patched: %s has the cache already" % look["mxnet"]["folder"]
    path = doctor_rules.mkldnn_library(look, {})
    build_id = elf.build_id(path) if path is not None else None
    found = doctor_rules.mkldnn(look, {}, build_id, os.environ)
    if not doctor_rules.is_served(look, {}):
        return "MXNet %s: %s" % (look["mxnet"]["version"], found.text)
    return found.text if found.status == "problem" else None


COMMANDS = (
    Command(
        "enable",
        "load the cache under every MXNet of this environment",
        _ENABLE,
        _add_arguments,
        enable,
    ),
    Command("disable", "undo enable, without a trace", _DISABLE, _add_none, disable),
    Command("status", "tell what is enabled, and what else is active", _STATUS, _add_none, status),
)
