"""The run command: runs a user's command with the cache under every MXNet in it.

The command keeps its input, outputs, signals and exit code. Lines about the cache follow on stderr
when it has ended.
"""

from __future__ import annotations

import argparse
import errno
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from harness.base import reading
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.build.toolchain import Toolchain, load_toolchain
from harness.trials import variables
from harness.trials.record import save
from harness.user.run_report import Process, RunStatistics, lines

EXAMPLES = """\
examples:
  python -m harness run -- python train.py --epochs 3
  python -m harness run --scope backward --stats stats.json -- python train.py
  python -m harness run --chdir ~/project -- mpirun -n 2 python train.py

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
_SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, as for Ctrl-C


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``."""
    parser.usage = (
        "python -m harness run [--scope SCOPE] [--capacity N] [--memory BYTES] [--stats FILE] "
        "[--chdir FOLDER] -- COMMAND ..."
    )
    parser.add_argument(
        "--scope", help="operators to cache: all (default), backward, off, or a comma list"
    )
    parser.add_argument("--capacity", metavar="N", help="most primitives cached (default: 4096)")
    parser.add_argument(
        "--memory", metavar="BYTES", help="most memory of idle objects, such as 512M (default: any)"
    )
    parser.add_argument(
        "--stats", type=Path, metavar="FILE", help="write the counters of every process as JSON"
    )
    parser.add_argument("--chdir", type=Path, metavar="FOLDER", help="working directory of COMMAND")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the command to run")


def main(args: argparse.Namespace) -> int:
    """Run the command, print the effect of the cache, and end as the command ended."""
    layout = here()
    toolchain = load_toolchain(layout.toolchain)
    stats = args.stats.absolute() if args.stats is not None else None
    chosen = (args.scope, args.capacity, args.memory)
    asked = dict(zip((variables.SCOPE, variables.CAPACITY, variables.MEMORY), chosen))
    environment = preloaded(layout, toolchain, os.environ, asked)
    if stats is not None:
        _check_writable(stats)
    if args.chdir is not None:
        try:
            os.chdir(args.chdir)
        except OSError as error:
            raise HarnessError(f"--chdir {args.chdir}: {error.strerror}") from error
    folder = Path(tempfile.mkdtemp(prefix="opcache-run-"))
    try:
        environment[variables.STATS] = str(folder / "%p.json")
        try:
            status = _run(args.command, environment)
        except OSError as error:
            say(f"error: {args.command[0]}: {error.strerror}")
            return 127 if error.errno == errno.ENOENT else 126
        processes = collect(folder)
    finally:
        # A process that the command left behind may be writing there.
        shutil.rmtree(folder, ignore_errors=True)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    for line in lines(processes, ended_by, [h.mkldnn for h in toolchain.hosts]):
        say(line)
    if stats is not None:
        _keep(stats, args.command, status, processes)
    return _die_of(ended_by) if ended_by is not None else os.WEXITSTATUS(status)


def preloaded(
    layout: Layout,
    toolchain: Toolchain,
    outer: Mapping[str, str],
    options: Mapping[str, Optional[str]],
) -> Dict[str, str]:
    """Return ``outer`` with the library preloaded, and those ``options`` that are not None.

    Raises HarnessError when the library is absent or would reject a value.
    """
    library = layout.library
    if not library.is_file():
        raise HarnessError(f"{shown(library, layout.root)} not found: run make build first")
    if any(c in str(library) for c in " \t\n:;$"):
        raise HarnessError(
            f"{library}: LD_PRELOAD takes no blank, ':', ';' or '$' in a path: "
            "build in a folder without"
        )
    if outer.get(variables.STATS):
        raise HarnessError(
            f"{variables.STATS} is set to '{outer[variables.STATS]}': run collects the counters "
            "itself; unset it and use --stats FILE"
        )
    environment = dict(outer)
    for name, value in options.items():
        if value is not None:
            wrong = variables.CHECKS[name](value)
            if wrong is not None:
                raise HarnessError(wrong)
            environment[name] = value
    for name, fault in variables.faults(environment, [h.mkldnn for h in toolchain.hosts]):
        raise HarnessError(f"{name}: {fault}")
    # First: the user's LD_PRELOAD may name an MKL-DNN.
    others = environment.get("LD_PRELOAD", "").replace(":", " ").split()
    paths = [str(library), *(path for path in others if path != str(library))]
    environment["LD_PRELOAD"] = ":".join(paths)
    return environment


def _check_writable(stats: Path) -> None:
    """Raise HarnessError, before hours of training, for a file that cannot be written."""
    if not stats.parent.is_dir():
        raise HarnessError(f"--stats {stats}: {stats.parent} is not a folder")
    if stats.is_dir() or not os.access(stats.parent, os.W_OK):
        raise HarnessError(f"--stats {stats}: cannot be written")


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command in this process's group and return its wait status.

    Forwards signals of other processes; the terminal's reach the command anyway. OSError when the
    command cannot be started.
    """
    # Import nothing that starts a thread: it could take a signal before this one waits for it.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    awaited = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = _spawn(command, environment, before)
    while True:
        received = signal.sigwaitinfo(awaited)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != _SI_KERNEL:
                os.kill(child, received.si_signo)
            continue
        # A child that stops or continues sends SIGCHLD too.
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status


def _spawn(command: Sequence[str], environment: Mapping[str, str], mask: Any) -> int:
    # Not subprocess: the command inherits every open file and the signal mask. Signals that Python
    # ignores get their defaults again.
    options: Dict[str, Any] = {
        "setsigmask": mask,
        "setsigdef": [signal.SIGPIPE, signal.SIGXFSZ],
    }
    try:
        return os.posix_spawnp(command[0], list(command), environment, **options)
    except OSError as error:
        script = shutil.which(command[0])
        if error.errno != errno.ENOEXEC or script is None:
            raise
        # A script without #! line: run it by /bin/sh, as a shell does.
        return os.posix_spawn("/bin/sh", ["/bin/sh", script, *command[1:]], environment, **options)


def collect(folder: Path) -> List[Process]:
    """Return the statistics of the processes in ``folder``, in the order of their ids."""
    found = []
    for path in folder.glob("*.json"):
        try:
            counters = reading.json_file(path)
        except HarnessError as error:
            say(f"the counters of process {path.stem} cannot be read: {error}")
            continue
        found.append(Process(pid=int(path.stem), counters=counters))
    return sorted(found, key=lambda process: process.pid)


def _keep(stats: Path, command: Sequence[str], status: int, processes: List[Process]) -> None:
    run = RunStatistics(
        command=list(command),
        exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        processes=processes,
    )
    try:
        save(run, stats)
    except OSError as error:
        say(f"error: --stats {stats}: {error.strerror}")


def _die_of(number: int) -> int:
    """End by the command's signal, so that a shell sees the same; write no second core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number
