"""Messages, errors of one line, files that are complete or absent, and processes with a time limit.

Stands for what the oldest supported Python, 2.7, lacks. There, all text is bytes as the system
gives them, so nothing has to be decoded to be printed.
"""

import errno
import fcntl
import glob
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unicodedata

from .library import Error

MYPY = False
if MYPY:
    from typing import Any, List, Mapping, Optional, Sequence, Tuple  # noqa: F401

IS_PYTHON_2 = sys.version_info[0] == 2
NO_FILE = "expected a file, found a folder, a pipe or a device"
_MOST_BYTES = 64 << 20  # a statistics file has some kilobytes for each process
_WAITING_S = 0.02  # between two looks at a running process


def say(message):
    # type: (str) -> None
    """Print one line to stderr at once; do nothing when stderr is absent or closed."""
    try:
        _print(sys.stderr, "opcache: %s\n" % message)
    except (EnvironmentError, ValueError):
        pass


def show(text):
    # type: (str) -> None
    """Print text and a line end to stdout; characters outside its encoding are escaped."""
    _print(sys.stdout, text + "\n")


def _print(stream, text):
    # type: (Any, str) -> None
    if stream is None:
        return
    if not IS_PYTHON_2:
        encoding = stream.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
    stream.flush()


def one_line(text):
    # type: (Any) -> str
    """Return ``text`` with control characters and the like in Python's notation."""
    if isinstance(text, bytes):  # Python 2
        text = text.decode("utf-8", "replace")
    shown = []
    for c in text:
        printable = c == " " or unicodedata.category(c)[0] not in "CZ"
        shown.append(c if printable else repr(c).lstrip("u")[1:-1])
    return str(native("".join(shown)))


def native(value):
    # type: (Any) -> Any
    """Return a JSON value with the native strings of this Python: bytes in UTF-8 under 2.7."""
    if not IS_PYTHON_2:
        return value
    if isinstance(value, dict):
        return {native(key): native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    is_unicode = hasattr(value, "encode") and not isinstance(value, str)
    return value.encode("utf-8", "replace") if is_unicode else value


def literal(value):
    # type: (Any) -> str
    """Return the value in Python's notation, in ASCII."""
    return repr(value) if IS_PYTHON_2 else ascii(value)


def portable(path):
    # type: (str) -> str
    """Return a path that names the same file in a process of any locale; Python 2 has bytes."""
    return path if IS_PYTHON_2 else os.fsencode(path).decode("ascii", "surrogateescape")


def json_line(value):
    # type: (Any) -> str
    """Return a value as a line of JSON in ASCII; bytes that are not UTF-8 are replaced."""
    return json.dumps(_decoded(value))


def json_text(value):
    # type: (Any) -> str
    """Return a value as indented JSON, like ``json_line``."""
    return json.dumps(_decoded(value), indent=1) + "\n"


def _decoded(value):
    # type: (Any) -> Any
    if isinstance(value, dict):
        return {_decoded(key): _decoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decoded(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def read_json(path):
    # type: (str) -> Any
    """Return the value of a JSON file; Error names the file and the reason of a refusal."""
    try:
        # Flags: never wait for the other end of a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Error("%s: %s" % (path, NO_FILE))
            if status.st_size > _MOST_BYTES:
                raise Error(
                    "%s: expected at most %d bytes, found %d" % (path, _MOST_BYTES, status.st_size)
                )
            data = file.read(_MOST_BYTES)
    except EnvironmentError as error:
        raise Error("%s: %s" % (path, error.strerror))
    try:
        return native(json.loads(data.decode("utf-8")))
    except (ValueError, RuntimeError) as error:  # RuntimeError: nested too deep
        raise Error("%s: truncated or not JSON: %s" % (path, error))


def write_text(path, text):
    # type: (str, str) -> None
    """Write ASCII text to ``path``: readers, and a kill, see the old file or the new one.

    Removes what a killed writer left beside it. Writes to the target of a symbolic link. OSError
    leaves the old file untouched, and anything that is not a file, such as /dev/null.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, NO_FILE, path)
    path = os.path.realpath(path)
    folder, name = os.path.split(os.path.abspath(path))
    locked = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(locked, fcntl.LOCK_EX)  # another writer's file is no leftover
        except EnvironmentError:  # a file system without locks
            pass
        for left in leftovers(path):
            os.unlink(left)
        descriptor, temporary = tempfile.mkstemp(prefix=".%s." % name, suffix=".tmp", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("ascii"))
                file.flush()
                os.fsync(descriptor)
                os.fchmod(descriptor, 0o644)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        os.fsync(locked)
    finally:
        os.close(locked)


def leftovers(path):
    # type: (str) -> List[str]
    """Return the unfinished files that killed writers of ``path`` left beside it."""
    folder, name = os.path.split(os.path.abspath(path))
    # Python 2.7 has no glob.escape.
    pattern = re.sub(r"([*?[])", r"[\1]", os.path.join(folder, ".%s." % name)) + "*.tmp"
    return glob.glob(pattern)


def which(program):
    # type: (str) -> Optional[str]
    """Return the path of a program as a shell finds it, None if there is none."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    candidates = [program] if "/" in program else [os.path.join(f, program) for f in folders]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def run_limited(command, environment, timeout_s):
    # type: (Sequence[str], Mapping[str, str], float) -> Tuple[str, str]
    """Run a command without input and output; return why it failed, and its last line of stderr.

    The reason is "" after exit code 0. The command is killed after ``timeout_s`` seconds. OSError
    when it cannot be started.
    """
    end = _clock() + timeout_s
    with tempfile.TemporaryFile() as errors, open(os.devnull, "r+b") as null:
        child = subprocess.Popen(
            command, env=dict(environment), stdin=null, stdout=null, stderr=errors
        )
        try:
            while child.poll() is None and _clock() < end:
                time.sleep(_WAITING_S)
        finally:
            late = child.poll() is None
            if late:
                child.kill()
            code = child.wait()
        errors.seek(0)
        text = errors.read().decode("utf-8", "replace").strip()
    last = native(text.splitlines()[-1]) if text else ""
    if late:
        return "took longer than %g s" % timeout_s, last
    return (exit_reason(code) if code != 0 else ""), last


_clock = getattr(time, "monotonic", time.time)


def exit_reason(code):
    # type: (int) -> str
    """Say how a process ended; ``code`` is as subprocess returns it."""
    if code < 0:
        return "ended with signal %d (%s)" % (-code, signal_name(-code))
    return "ended with exit code %d" % code


def signal_name(number):
    # type: (int) -> str
    """Return a name such as SIGTERM; real-time signals have none."""
    names = sorted(name for name in dir(signal) if re.match("SIG[A-Z0-9]+$", name))
    found = [name for name in names if getattr(signal, name) == number]
    return found[0] if found else "signal %d" % number
