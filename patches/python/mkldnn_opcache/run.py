"""The run command: runs a user's command with the cache under every MXNet in it.

The command keeps its input, outputs, signals and exit code. Lines about the cache follow on stderr
when it has ended.
"""

import ctypes
import errno
import fcntl
import glob
import os
import resource
import shutil
import signal
import tempfile

from . import hook, options, variables
from .common import NO_FILE, json_text, read_json, say, which, write_text
from .library import Error
from .releases import MKLDNNS
from .run_report import Process, lines

MYPY = False
if MYPY:
    import argparse  # noqa: F401
    from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple  # noqa: F401

_EXAMPLES = """\
examples:
  {program} run -- python train.py --epochs 3
  {program} run --scope backward --stats stats.json -- python train.py
  {program} run --bounded -- python train_detector.py
  {program} run --compat -- mpirun -n 2 python train.py

COMMAND brings its own Python and its own MXNet. Exit code: COMMAND's; 127 when it is not found,
126 when it cannot be started, 2 when run itself was misused.
"""

# Not SIGTSTP and SIGCONT: the terminal sends them to the command too, and this process must stop as
# well for the shell to notice.
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_AWAITED = _FORWARDED + (signal.SIGCHLD,)
_SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, as for Ctrl-C
_COMMAND_ABSENT, _COMMAND_UNUSABLE = 127, 126


def add_arguments(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add the options of ``run``."""
    parser.usage = "%s [options] -- COMMAND ..." % parser.prog
    options.add_library(parser)
    options.add_cache(parser)
    parser.add_argument(
        "--stats", metavar="FILE", help="write the counters of every process as JSON"
    )
    parser.add_argument("--chdir", metavar="FOLDER", help="working directory of COMMAND")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="the command to run")


def main(args):
    # type: (argparse.Namespace) -> int
    """Run the command, print the effect of the cache, and end as the command ended."""
    if not args.command:
        raise Error("expected a command: opcache run -- COMMAND")
    stats = os.path.abspath(args.stats) if args.stats is not None else None
    environment = preloaded(options.library(args), os.environ, options.cache(args, os.environ))
    if stats is not None:
        _check_writable(stats)
    if args.chdir is not None:
        try:
            os.chdir(args.chdir)
        except OSError as error:
            raise Error("--chdir %s: %s" % (args.chdir, error.strerror))
    folder = tempfile.mkdtemp(prefix="opcache-run-")
    try:
        environment[variables.STATS] = os.path.join(folder, "%p.json")
        if args.compat:
            hook.add_to_path(folder, environment)
        try:
            status = _run(args.command, environment)
        except OSError as error:
            say("error: %s: %s" % (args.command[0], error.strerror))
            return _COMMAND_ABSENT if error.errno == errno.ENOENT else _COMMAND_UNUSABLE
        processes = collect(folder)
    finally:
        # A process that the command left behind may be writing there.
        shutil.rmtree(folder, ignore_errors=True)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    for line in lines(processes, ended_by, MKLDNNS):
        say(line)
    if stats is not None:
        _keep(stats, args.command, status, processes)
    return _die_of(ended_by) if ended_by is not None else os.WEXITSTATUS(status)


def preloaded(library, outer, settings):
    # type: (str, Mapping[str, str], Mapping[str, str]) -> Dict[str, str]
    """Return ``outer`` with the library preloaded, and with ``settings``, variables of the cache.

    Raises Error when the library is absent or would reject a value.
    """
    if not os.path.isfile(library):
        raise Error("%s: no such library" % library)
    if any(c in library for c in " \t\n:;$"):
        raise Error(
            "%s: LD_PRELOAD takes no blank, ':', ';' or '$' in a path: "
            "install it, or copy the library, to a path without" % library
        )
    if outer.get(variables.STATS):
        raise Error(
            "%s is set to '%s': run collects the counters itself; unset it and use --stats FILE"
            % (variables.STATS, outer[variables.STATS])
        )
    environment = dict(outer)
    environment.update(settings)
    for name, fault in variables.faults(environment):
        raise Error("%s: %s" % (name, fault))
    # First: the user's LD_PRELOAD may name an MKL-DNN.
    others = environment.get("LD_PRELOAD", "").replace(":", " ").split()
    paths = [library] + [path for path in others if path != library]
    environment["LD_PRELOAD"] = ":".join(paths)
    return environment


def _check_writable(stats):
    # type: (str) -> None
    """Raise Error, before hours of training, for a file that cannot be written."""
    folder = os.path.dirname(stats)
    if not os.path.isdir(folder):
        raise Error("--stats %s: %s is not a folder" % (stats, folder))
    if os.path.exists(stats) and not os.path.isfile(stats):
        raise Error("--stats %s: %s" % (stats, NO_FILE))
    if not os.access(os.path.dirname(os.path.realpath(stats)), os.W_OK):
        raise Error("--stats %s: cannot be written" % stats)


def _run(command, environment):
    # type: (Sequence[str], Mapping[str, str]) -> int
    """Run the command in this process's group and return its wait status.

    Forwards signals of other processes; the terminal's reach the command anyway. OSError when the
    command cannot be started.
    """
    # Import nothing that starts a thread: it could take a signal before this one waits for it.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signals = _Signals()
    before = signals.block(_AWAITED)
    child = _spawn(command, environment, signals, before)
    while True:
        received, code = signals.wait(_AWAITED)
        if received != signal.SIGCHLD:
            if code != _SI_KERNEL:
                os.kill(child, received)
            continue
        # A child that stops or continues sends SIGCHLD too.
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status


class _Signals(object):
    """The C library's functions on sets of signals, which Python has from 3.3 on."""

    _SET_BYTES, _INFO_BYTES = 128, 128  # sizeof(sigset_t), sizeof(siginfo_t)
    _BLOCK, _UNBLOCK, _SETMASK = 0, 1, 2

    def __init__(self):
        # type: () -> None
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _set(self, numbers):
        # type: (Iterable[int]) -> Any
        found = ctypes.create_string_buffer(self._SET_BYTES)
        self._libc.sigemptyset(found)
        for number in numbers:
            self._libc.sigaddset(found, int(number))
        return found

    def block(self, numbers):
        # type: (Iterable[int]) -> Any
        """Block the signals; return the mask before, for ``restore``."""
        before = ctypes.create_string_buffer(self._SET_BYTES)
        self._libc.sigprocmask(self._BLOCK, self._set(numbers), before)
        return before

    def unblock(self, number):
        # type: (int) -> None
        """Unblock one signal."""
        self._libc.sigprocmask(self._UNBLOCK, self._set([number]), None)

    def restore(self, mask):
        # type: (Any) -> None
        """Set the mask that ``block`` returned."""
        self._libc.sigprocmask(self._SETMASK, mask, None)

    def wait(self, numbers):
        # type: (Iterable[int]) -> Tuple[int, int]
        """Wait for one of the blocked signals; return its number and its si_code."""
        expected, info = self._set(numbers), (ctypes.c_int * (self._INFO_BYTES // 4))()
        # A process that was stopped and goes on gets EINTR.
        while self._libc.sigwaitinfo(expected, info) < 0:
            if ctypes.get_errno() != errno.EINTR:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return info[0], info[2]


def _spawn(command, environment, signals, mask):
    # type: (Sequence[str], Mapping[str, str], _Signals, Any) -> int
    # Not subprocess: the command inherits every open file and the signal mask.
    reader, writer = os.pipe()
    for end in (reader, writer):
        fcntl.fcntl(end, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become(command, environment, signals, mask, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        failure = file.read()  # ends when the command runs: the writer is closed then
    if failure:
        os.waitpid(child, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return child


def _become(command, environment, signals, mask, writer):
    # type: (Sequence[str], Mapping[str, str], _Signals, Any, int) -> None
    """Execute the command in this forked process; write errno to ``writer`` if that fails."""
    number = errno.EIO
    try:
        # Signals that Python ignores or handles get their defaults again.
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signals.restore(mask)
        try:
            os.execvpe(command[0], list(command), dict(environment))
        except OSError as error:
            script = which(command[0])
            if error.errno != errno.ENOEXEC or script is None:
                raise
            # A script without #! line: run it by /bin/sh, as a shell does.
            os.execve("/bin/sh", ["/bin/sh", script] + list(command[1:]), dict(environment))
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(writer, str(number).encode("ascii"))
        os._exit(_COMMAND_ABSENT)


def collect(folder):
    # type: (str) -> List[Process]
    """Return the statistics of the processes in ``folder``, in the order of their ids."""
    found = []
    for path in glob.glob(os.path.join(folder, "*.json")):
        pid = os.path.basename(path)[: -len(".json")]
        try:
            found.append(Process(pid=int(pid), counters=read_json(path)))
        except Error as error:
            say("the counters of process %s cannot be read: %s" % (pid, error))
    return sorted(found, key=lambda process: process.pid)


def _keep(stats, command, status, processes):
    # type: (str, Sequence[str], int, List[Process]) -> None
    run = {
        "kind": "opcache-run",
        "schema_version": 1,
        "command": list(command),
        "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "processes": [{"pid": each.pid, "counters": each.counters} for each in processes],
    }
    try:
        write_text(stats, json_text(run))
    except EnvironmentError as error:
        say("error: --stats %s: %s" % (stats, error.strerror))


def _die_of(number):
    # type: (int) -> int
    """End by the command's signal, so that a shell sees the same; write no second core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    _Signals().unblock(number)
    os.kill(os.getpid(), number)
    return 128 + number


COMMAND = options.Command(
    "run", "run any command with the cache under its MXNet", _EXAMPLES, add_arguments, main
)
