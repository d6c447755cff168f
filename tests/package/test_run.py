"""The run command with real commands: their environment, their end, and the report."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from mkldnn_opcache import Error
from mkldnn_opcache import run as package_run
from mkldnn_opcache.common import write_text
from mkldnn_opcache.run_report import Process, lines
from pytest import CaptureFixture

from harness.base.layout import Layout, here
from harness.build import patching
from harness.build.toolchain import load_toolchain
from tests.conftest import every_host
from tests.support import commands
from tests.support.commands import TRAIN, clean_environment, harness_words, python
from tests.support.interpreters import interpreter
from tests.support.records import bench


def run(*words: object, options: Any = (), **settings: Any) -> subprocess.CompletedProcess:
    """Run a command by `run`, in the clean environment unless ``settings`` have another."""
    settings = {"env": clean_environment(), **settings}
    return commands.harness("run", *options, "--", *words, **settings)


@pytest.fixture(params=["harness", "2.7", "3.6", "3.13"])
def words(request: pytest.FixtureRequest, built: Layout) -> List[str]:
    """The words before a command: of the harness, and of the package on some Pythons."""
    if request.param == "harness":
        return harness_words("run", "--")
    return package_words(built, built.package, interpreter(request.param))


def package_words(built: Layout, package: Path, executable: Path) -> List[str]:
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r}); "
        "from mkldnn_opcache.__main__ import main; sys.exit(main())"
    )
    command = [str(executable), "-B", "-c", program, "run"]
    return [*command, "--library", str(built.library), "--"]


def on(tree: Path, **variables: object) -> Dict[str, Any]:
    """Return the settings of a command that finds its MXNet in ``tree``."""
    return {"env": clean_environment(PYTHONPATH=tree, **variables)}


@lru_cache(maxsize=None)
def trained_alone(tree: Path) -> str:
    """Return what the training prints without `run`."""
    return commands.run(python(TRAIN), **on(tree)).stdout


def said(stderr: str) -> List[str]:
    return [line for line in stderr.splitlines() if line.startswith("opcache: ")]


NO_COUNTERS = "and such a process leaves no counters"


# Environment, input, output and exit code of a command.


@every_host
@pytest.mark.parametrize("patched", [False, True])
def test_training_with_the_cache(built: Layout, tmp_path: Path, host: str, patched: bool) -> None:
    tree = built.patched(host) if patched else built.stock(host)
    file = tmp_path / "stats.json"
    done = run(*python(TRAIN), options=["--stats", file], **on(tree))
    assert (done.returncode, done.stdout) == (0, trained_alone(built.stock(host)))
    kept = json.loads(file.read_text())
    (process,) = kept.pop("processes")
    totals = process["counters"]["totals"]
    assert kept.pop("command") == python(TRAIN)
    assert kept == {"kind": "opcache-run", "schema_version": 1, "exit_code": 0, "signal": None}
    assert process["counters"]["active"] and totals["primitives_avoided"] > 0
    mkldnn = process["counters"]["mkldnn"]
    *_, first, second, third = done.stderr.splitlines()
    assert first == f"opcache: the cache was active: MKL-DNN {mkldnn}, scope all"
    assert second.startswith(
        f"opcache: creations avoided: {totals['primitives_avoided']} primitives and "
        f"{totals['descriptors_avoided']} descriptors "
    )
    assert third.startswith("opcache: time not spent creating: ")


def test_processes_are_summed(built: Layout, tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    # Two that train, at once, and tools around them.
    script = '"$@" & "$@"; wait; true'
    options = ["--stats", file, "--scope", "backward", "--capacity", "9"]
    words = ["sh", "-c", script, "sh", *python(TRAIN)]
    done = run(*words, options=options, **on(built.stock("1.3.1")))
    kept = json.loads(file.read_text())
    counters = [process["counters"] for process in kept["processes"]]
    assert [(c["scope"], c["capacity"], c["active"]) for c in counters] == [
        ("backward", 9, True)
    ] * 2
    avoided = sum(c["totals"]["primitives_avoided"] for c in counters)
    first, second, _ = said(done.stderr)
    assert first.startswith("opcache: the cache was active in 2 of 2 processes: MKL-DNN v0.14, ")
    assert f"avoided: {avoided} primitives" in second


def test_input_output_and_open_files_are_the_commands_own(words: List[str]) -> None:
    data = os.urandom(1 << 16)
    reader, writer = os.pipe()
    script = f"cat; echo to stderr >&2; echo to {writer} >&{writer}"
    command = [*words, "bash", "-c", script]
    done = commands.run(command, cwd=here().root, input=data, text=False, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == f"to {writer}\n"
    assert done.stdout == data
    assert done.stderr.startswith(b"to stderr\nopcache: ")


def test_no_thread_takes_the_signals_that_are_waited_for() -> None:
    """NumPy's threads took SIGCHLD, and a command that ended early was waited for without end."""
    count = "import os, mkldnn_opcache.run; print(len(os.listdir('/proc/self/task')))"
    assert commands.run(python(count), cwd=here().package.parent).stdout == "1\n"


def test_where_the_command_starts(tmp_path: Path) -> None:
    done = run("pwd", options=["--chdir", str(tmp_path)])
    assert done.stdout == f"{tmp_path}\n"


def test_other_preloaded_libraries_stay(built: Layout) -> None:
    code = "import os; print(os.environ['LD_PRELOAD'])"
    done = run(*python(code), env=clean_environment(LD_PRELOAD=f"libm.so.6 {built.library}"))
    assert done.stdout == f"{built.library}:libm.so.6\n"


@pytest.mark.parametrize(
    ("command", "code", "printed"),
    [
        (["sh", "-c", "exit 0"], 0, ""),
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "exit 255"], 255, ""),
        (["echo", "--scope", "x", "--", "-h"], 0, "--scope x -- -h\n"),
        (["{folder}/script", "a b"], 3, "a b\n"),  # without an interpreter: for the shell
        (["{folder}/static"], 5, ""),
    ],
)
def test_commands_end_as_alone(
    words: List[str], tmp_path: Path, command: List[str], code: int, printed: str
) -> None:
    (tmp_path / "script").write_text('echo "$1"; exit 3\n')
    (tmp_path / "script").chmod(0o755)
    commands.compile_program("int main() { return 5; }", tmp_path / "static", "-static")
    command = [word.format(folder=tmp_path) for word in command]
    done = commands.run([*words, *command], cwd=here().root)
    assert (done.returncode, done.stdout) == (code, printed)
    assert len(done.stderr.splitlines()) == 3
    assert "not active: no process that ended by itself had loaded" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("no-such-program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "Permission denied"),
    ],
)
def test_commands_that_cannot_start(
    words: List[str], command: str, code: int, message: str
) -> None:
    done = commands.run([*words, command], cwd=here().root)
    assert done.returncode == code
    assert done.stderr == f"opcache: error: {command}: {message}\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_report_without_a_reader(words: List[str], redirection: str) -> None:
    command = f"{shlex.join([*words, 'sh', '-c', 'echo out; exit 6'])} {redirection}"
    done = commands.run(["bash", "-c", command], cwd=here().root)
    assert (done.returncode, done.stdout) == (6, "out\n")


# Signals.

# Waits for signals instead of handling them: two at once would be handled as one.
WAITS = """
import signal, sys
names = [getattr(signal, name) for name in sys.argv[1:]]
signal.pthread_sigmask(signal.SIG_BLOCK, names)
print("ready", flush=True)
while True:
    received = signal.sigtimedwait(names, 30)
    if received is None:
        break
    print(signal.Signals(received.si_signo).name, flush=True)
"""
NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")


def start(words: List[str], *handled: str, group: bool = False) -> subprocess.Popen:
    process = subprocess.Popen(
        [*words, *python(WAITS), *handled],
        cwd=here().root,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=os.setpgrp if group else None,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_signals_reach_the_command_once(words: List[str]) -> None:
    process = start(words, *NAMES)
    assert process.stdout is not None
    for name in NAMES:
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == f"{name}\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "SIGTERM\n"
    child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    os.kill(child, signal.SIGKILL)
    rest, stderr = process.communicate(timeout=30)
    assert rest == "" and process.returncode == -signal.SIGKILL
    assert said(stderr)[0] == (
        f"opcache: the cache was not seen active: SIGKILL killed the command, {NO_COUNTERS}"
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_dies_of_the_signal_that_killed_the_command(words: List[str], name: str) -> None:
    process = start(words)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == -getattr(signal, name)
    assert len(said(stderr)) == 3


def read_until(terminal: int, text: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 30
    while text not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096)
    assert text in seen, seen
    return seen


# A command in a session of its own is not reached by the terminal: nor through `run`.
@pytest.mark.parametrize(("session", "times"), [([], 1), (["setsid"], 0)])
def test_terminal_reaches_the_command_itself(
    words: List[str], session: List[str], times: int
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(here().root)
        command = [*words, *session, *python(WAITS), "SIGINT", "SIGUSR1"]
        os.execve(command[0], command, clean_environment())
    try:
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        time.sleep(0.5)
        os.kill(pid, signal.SIGUSR1)
        assert read_until(terminal, b"SIGUSR1").count(b"SIGINT") == times
        os.kill(pid, signal.SIGTERM)
        read_until(terminal, b"opcache: time not spent creating: unknown")
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGTERM
    finally:
        os.close(terminal)


def check_death(words: List[str]) -> None:
    command = [*words, "sh", "-c", "kill -TERM $$; exit 3"]
    assert commands.run(command, cwd=here().root).returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (
            "if code != _SI_KERNEL:",
            "if True:",
            lambda words: test_terminal_reaches_the_command_itself(words, ["setsid"], 0),
        ),
        ("        signals.restore(mask)\n", "", check_death),
        ("return _die_of(ended_by)", "return 128 + ended_by", check_death),
    ],
)
def test_faults_of_the_package_are_found(
    built: Layout, tmp_path: Path, old: str, new: str, check: Callable[[List[str]], None]
) -> None:
    package = commands.planted(built.package, tmp_path, "run.py", old, new)
    words = package_words(built, package, Path(sys.executable))
    with pytest.raises(AssertionError):
        check(words)


def test_stops_and_goes_on_with_the_command(words: List[str]) -> None:
    process = start(words, "SIGTERM", group=True)
    os.killpg(process.pid, signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.killpg(process.pid, signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None and process.stdout.readline() == "SIGTERM\n"
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGUSR1


def test_others_report_when_the_command_is_killed(built: Layout) -> None:
    words = ["sh", "-c", '"$@"; kill -9 $$', "sh", *python(TRAIN)]
    done = run(*words, **on(built.stock("1.3.1")))
    assert done.returncode == -signal.SIGKILL
    first = said(done.stderr)[0]
    assert first == (
        "opcache: the cache was active: MKL-DNN v0.14, scope all (without what SIGKILL killed: "
        "such a process leaves no counters)"
    )


# Without the cache.


def test_an_mkldnn_that_is_not_known(built: Layout, tmp_path: Path) -> None:
    stock = built.stock("1.3.1")
    tree = tmp_path / "tree"
    tree.mkdir()
    patching.link_tree(stock, tree)
    build_id = load_toolchain(built.toolchain).host("1.3.1").mkldnn_build_id
    real = tree / "mxnet" / "libmkldnn.so.0"
    changed = real.read_bytes().replace(bytes.fromhex(build_id), bytes(20))
    real.unlink()  # shared with the stock tree
    real.write_bytes(changed)
    done = run(*python(TRAIN), **on(tree))
    assert (done.returncode, done.stdout) == (0, trained_alone(stock))
    assert said(done.stderr)[-3].startswith(
        f"opcache: the cache was not active: MKL-DNN has build-id {'0' * 40}, expected one "
        "of MXNet's releases (v0.14"
    )


def counters(scope: str, avoided: int = 0, **fields: Any) -> Process:
    return Process(pid=1, counters={**bench.cache_stats(scope, avoided), **fields})


EMPTY = counters("all", active=False, capacity=0)


@pytest.mark.parametrize(
    ("processes", "ended_by", "first"),
    [
        ([counters("off")], None, "the cache was not active: scope off, capacity 4096"),
        ([EMPTY], None, "the cache was not active: scope all, capacity 0"),
        (
            *([counters("all", 5), counters("off")], None),
            "the cache was active in 1 of 2 processes: MKL-DNN v0.14, scope all",
        ),
        ([], 40, f"the cache was not seen active: signal 40 killed the command, {NO_COUNTERS}"),
    ],
)
def test_first_line(processes: List[Process], ended_by: Optional[int], first: str) -> None:
    assert lines(processes, ended_by, ["v0.14"])[0] == first


def test_evictions_are_told() -> None:
    process = counters("all", 5)
    process.counters["totals"]["evictions"] = 3
    assert lines([process], None, ["v0.14"])[1] == (
        "creations avoided: 5 primitives and 5 descriptors (created: 4 and 2); "
        "3 were evicted: a larger --capacity avoids more"
    )
    process.counters["estimate"] = {"bound_bytes": 4096, "idle_bytes": 0, "evictions": 2}
    more = "a larger MKLDNN_OPCACHE_MEMORY_ESTIMATE avoids more"
    assert lines([process], None, ["v0.14"])[1].endswith(more)
    process.counters["memory"] = {"bound_bytes": 4096, "evictions": 2}
    assert lines([process], None, ["v0.14"])[1].endswith("a larger --memory avoids more")


def test_options_and_environment(built: Layout, tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    code = "import os; print(os.environ['MKLDNN_OPCACHE_MEMORY'])"
    options = ["--memory", "2M", "--stats", str(file)]
    done = run(*python(code), options=options, env=clean_environment(MKLDNN_OPCACHE_MEMORY="1G"))
    assert done.stdout == "2M\n"
    # Options win over the environment, which counts without them.
    code = "import os; print(os.environ['MKLDNN_OPCACHE'], os.environ['MKLDNN_OPCACHE_CAPACITY'])"
    variables = clean_environment(MKLDNN_OPCACHE="off", MKLDNN_OPCACHE_CAPACITY="7")
    done = run(*python(code), options=["--capacity", "8"], env=variables)
    assert done.stdout == "off 8\n"


@pytest.mark.parametrize(
    ("options", "outer", "expected"),
    [([], {}, "512M"), (["--memory", "2M"], {}, "2M"), ([], {"MKLDNN_OPCACHE_MEMORY": "1G"}, "1G")],
)
def test_bounded(options: List[str], outer: Dict[str, str], expected: str) -> None:
    names = ("MXNET_MKLDNN_CACHE_NUM", "MKLDNN_OPCACHE_MEMORY")
    code = f"import os; print(*[os.environ[name] for name in {names}])"
    done = run(*python(code), options=["--bounded", *options], env=clean_environment(**outer))
    assert done.stdout == f"1 {expected}\n"


def test_misuse() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stderr == "opcache: error: expected a command: opcache run -- COMMAND\n"


@pytest.mark.parametrize("name", ["a b", "a:b", "$LIB"])
def test_paths_that_cannot_be_preloaded(built: Layout, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    library = shutil.copy(built.library, tmp_path / name)
    with pytest.raises(Error, match="LD_PRELOAD takes no blank"):
        package_run.preloaded(str(library), {}, {})


def test_statistics_that_cannot_be_written_after_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    options = ["--stats", str(folder / "stats.json")]
    # In the folder's place there is a file then.
    script = f"rmdir {folder}; echo > {folder}; exit 9"
    done = run("sh", "-c", script, options=options)
    assert done.returncode == 9
    assert "opcache: error: --stats " in done.stderr.splitlines()[-1]


def test_statistics_go_behind_a_link_and_replace_no_pipe(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(file)
    os.mkfifo(pipe)
    assert run("true", options=["--stats", str(link)]).returncode == 0
    assert link.is_symlink() and json.loads(file.read_text())["exit_code"] == 0
    done = run("true", options=["--stats", str(pipe)])
    assert (done.returncode, pipe.is_fifo()) == (2, True)
    with pytest.raises(OSError, match="expected a file"):
        write_text(str(pipe), "")
    assert pipe.is_fifo()


def test_unreadable_counters_are_said(tmp_path: Path, capsys: CaptureFixture) -> None:
    (tmp_path / "5.json").write_text(json.dumps(bench.cache_stats("all", 1)))
    (tmp_path / "3.json").write_text('{"schema"')
    assert [process.pid for process in package_run.collect(str(tmp_path))] == [5]
    assert "the counters of process 3 cannot be read" in capsys.readouterr().err
