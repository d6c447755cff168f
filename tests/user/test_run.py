"""The run command with real commands: what they get, how they end, and what is said after them."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build import patching
from harness.build.toolchain import load_toolchain
from harness.user import run as user_run
from harness.user.run_report import Process, RunStatistics, lines
from tests.support.records import bench

HARNESS = [sys.executable, "-m", "harness", "run"]
# Three steps of a convolution; prints the gradient's bytes.
TRAIN = """
import mxnet as mx
x, w = mx.nd.ones((1, 3, 8, 8)), mx.nd.ones((8, 3, 3, 3))
w.attach_grad()
for _ in range(3):
    with mx.autograd.record():
        y = mx.nd.Convolution(x, w, kernel=(3, 3), num_filter=8, no_bias=True)
    y.backward()
print(w.grad.asnumpy().tobytes().hex())
"""


def environment(**variables: str) -> Dict[str, str]:
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("MKLDNN_", "LD_PRE"))}
    return {**outer, **variables}


def run(
    layout: Layout, *words: str, options: Any = (), **settings: Any
) -> subprocess.CompletedProcess:
    settings.setdefault("env", environment())
    settings.setdefault("text", True)
    command = [*HARNESS, *options, "--", *words]
    return subprocess.run(command, cwd=layout.root, capture_output=True, timeout=120, **settings)


def python(code: str) -> List[str]:
    return [sys.executable, "-W", "ignore", "-c", code]


def said(stderr: str) -> List[str]:
    return [line for line in stderr.splitlines() if line.startswith("opcache: ")]


# What a command gets, and what it gives back.


@pytest.mark.parametrize("patched", [False, True])
def test_training_with_the_cache(built: Layout, tmp_path: Path, host: str, patched: bool) -> None:
    tree = built.patched(host) if patched else built.stock(host)
    stock = environment(PYTHONPATH=str(built.stock(host)))
    alone = subprocess.run(python(TRAIN), env=stock, capture_output=True, text=True)
    file = tmp_path / "stats.json"
    variables = environment(PYTHONPATH=str(tree))
    done = run(built, *python(TRAIN), options=["--stats", str(file)], env=variables)
    assert (done.returncode, done.stdout) == (0, alone.stdout)
    kept = RunStatistics.model_validate_json(file.read_text())
    (process,) = kept.processes
    totals = process.counters["totals"]
    assert kept.exit_code == 0 and kept.signal is None and kept.command == python(TRAIN)
    assert process.counters["active"] and totals["primitives_avoided"] > 0
    mkldnn = process.counters["mkldnn"]
    *_, first, second, third = done.stderr.splitlines()
    assert first == f"opcache: the cache was active: MKL-DNN {mkldnn}, scope all"
    assert second.startswith(
        f"opcache: creations avoided: {totals['primitives_avoided']} primitives and "
        f"{totals['descriptors_avoided']} descriptors "
    )
    assert third.startswith("opcache: time not spent creating: ")


def test_processes_are_summed(built: Layout, tmp_path: Path) -> None:
    file, variables = tmp_path / "stats.json", environment(PYTHONPATH=str(built.stock("1.3.1")))
    # Two that train, at once, and tools around them.
    script = '"$@" & "$@"; wait; true'
    options = ["--stats", str(file), "--scope", "backward", "--capacity", "9"]
    done = run(built, "sh", "-c", script, "sh", *python(TRAIN), options=options, env=variables)
    kept = RunStatistics.model_validate_json(file.read_text())
    counters = [process.counters for process in kept.processes]
    assert [(c["scope"], c["capacity"], c["active"]) for c in counters] == [
        ("backward", 9, True)
    ] * 2
    avoided = sum(c["totals"]["primitives_avoided"] for c in counters)
    first, second, _ = said(done.stderr)
    assert first.startswith("opcache: the cache was active in 2 of 2 processes: MKL-DNN v0.14, ")
    assert f"avoided: {avoided} primitives" in second


def test_input_output_and_open_files_are_the_commands_own(layout: Layout) -> None:
    data = os.urandom(1 << 16)
    reader, writer = os.pipe()
    script = f"cat; echo to stderr >&2; echo to {writer} >&{writer}"
    done = run(layout, "bash", "-c", script, input=data, text=False, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == f"to {writer}\n"
    assert done.stdout == data
    assert done.stderr.startswith(b"to stderr\nopcache: ")


def test_where_the_command_starts(layout: Layout, tmp_path: Path) -> None:
    done = run(layout, "pwd", options=["--chdir", str(tmp_path)])
    assert done.stdout == f"{tmp_path}\n"


def test_what_is_preloaded_already_stays(built: Layout) -> None:
    code = "import os; print(os.environ['LD_PRELOAD'])"
    variables = environment(LD_PRELOAD=f"libm.so.6 {built.library}")
    done = run(built, *python(code), env=variables)
    assert done.stdout == f"{built.library}:libm.so.6\n"


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code(layout: Layout, code: int) -> None:
    done = run(layout, "sh", "-c", f"exit {code}")
    assert done.returncode == code and len(done.stderr.splitlines()) == 3


def test_words_after_the_dashes_are_the_commands(layout: Layout) -> None:
    done = run(layout, "echo", "--scope", "x", "--", "-h")
    assert done.stdout == "--scope x -- -h\n"


def test_script_without_an_interpreter_runs_in_the_shell(layout: Layout, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1"; exit 3\n')
    script.chmod(0o755)
    done = run(layout, str(script), "a b")
    assert (done.returncode, done.stdout) == (3, "a b\n")


def test_static_program(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main() { return 5; }\n")
    program = tmp_path / "main"
    subprocess.run(["g++", "-static", "-o", str(program), str(tmp_path / "main.c")], check=True)
    done = run(layout, str(program))
    assert done.returncode == 5
    assert "not active: no process that ended by itself had loaded" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("no-such-program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "Permission denied"),
    ],
)
def test_what_cannot_be_started(layout: Layout, command: str, code: int, message: str) -> None:
    done = run(layout, command)
    assert done.returncode == code
    assert done.stderr == f"opcache: error: {command}: {message}\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_nobody_listens_to_the_report(layout: Layout, redirection: str) -> None:
    command = " ".join([*HARNESS, "--", "sh", "-c", "'echo out; exit 6'", redirection])
    done = subprocess.run(["bash", "-c", command], cwd=layout.root, capture_output=True, text=True)
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


def start(layout: Layout, *handled: str, group: bool = False) -> subprocess.Popen:
    process = subprocess.Popen(
        [*HARNESS, "--", *python(WAITS), *handled],
        cwd=layout.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=os.setpgrp if group else None,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_signals_reach_the_command_once(layout: Layout) -> None:
    process = start(layout, *NAMES)
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
        "opcache: the cache was not seen active: SIGKILL killed the command, "
        "and such a process leaves no counters"
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_dies_of_the_signal_that_killed_the_command(layout: Layout, name: str) -> None:
    process = start(layout)
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


# A command in a session of its own is not reached by the terminal: nor through the launcher.
@pytest.mark.parametrize(("words", "times"), [([], 1), (["setsid"], 0)])
def test_the_terminal_reaches_the_command_by_itself(
    layout: Layout, words: List[str], times: int
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(layout.root)
        command = [*HARNESS, "--", *words, *python(WAITS), "SIGINT", "SIGUSR1"]
        os.execve(HARNESS[0], command, environment())
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


def test_stops_and_goes_on_with_the_command(layout: Layout) -> None:
    process = start(layout, "SIGTERM", group=True)
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
    variables = environment(PYTHONPATH=str(built.stock("1.3.1")))
    done = run(built, "sh", "-c", '"$@"; kill -9 $$', "sh", *python(TRAIN), env=variables)
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
    alone = subprocess.run(
        python(TRAIN), env=environment(PYTHONPATH=str(stock)), capture_output=True, text=True
    )
    done = run(built, *python(TRAIN), env=environment(PYTHONPATH=str(tree)))
    assert (done.returncode, done.stdout) == (0, alone.stdout)
    assert said(done.stderr)[-3].startswith(
        f"opcache: the cache was not active: libmkldnn.so.0 has build-id {'0' * 40}, expected one "
        "of MXNet's releases (v0.14"
    )


def counters(scope: str, avoided: int = 0, **fields: Any) -> Process:
    return Process(pid=1, counters={**bench.cache_stats(scope, avoided), **fields})


@pytest.mark.parametrize(
    ("processes", "ended_by", "first"),
    [
        ([counters("off")], None, "the cache was not active: scope off, capacity 4096"),
        (
            [counters("all", active=False, capacity=0)],
            None,
            "the cache was not active: scope all, capacity 0",
        ),
        (
            [counters("all", 5), counters("off")],
            None,
            "the cache was active in 1 of 2 processes: MKL-DNN v0.14, scope all",
        ),
        (
            [],
            40,
            "the cache was not seen active: signal 40 killed the command, and such a process "
            "leaves no counters",
        ),
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
    process.counters["memory"] = {"bound_bytes": 4096, "evictions": 2}
    assert lines([process], None, ["v0.14"])[1].endswith("a larger --memory avoids more")


def test_the_bound_on_memory_is_passed_on(built: Layout, tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    code = "import os; print(os.environ['MKLDNN_OPCACHE_MEMORY'])"
    options = ["--memory", "2M", "--stats", str(file)]
    done = run(built, *python(code), options=options, env=environment(MKLDNN_OPCACHE_MEMORY="1G"))
    assert done.stdout == "2M\n"


# Misuse: one line, exit code 2, and nothing was started.


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--scope", "bakward"], {}, "unknown scope 'bakward': expected off, backward, all, or"),
        (["--scope", ""], {}, "unknown scope '': expected"),
        (
            ["--capacity", "many"],
            {},
            "capacity: expected a number from 0 to 1073741824, found 'many'",
        ),
        (["--capacity", "-1"], {}, "capacity: expected a number"),
        ([], {"MKLDNN_OPCACHE": "al"}, "MKLDNN_OPCACHE: unknown scope 'al'"),
        ([], {"MKLDNN_OPCACHE_CAPACITY": "1e3"}, "MKLDNN_OPCACHE_CAPACITY: capacity: expected"),
        (["--memory", "1.5G"], {}, "memory: expected bytes such as 1048576, 64K, 512M or 2G,"),
        ([], {"MKLDNN_OPCACHE_MEMORY": "-1"}, "MKLDNN_OPCACHE_MEMORY: memory: expected bytes"),
        ([], {"MKLDNN_OPCACHE_ASSUME": "0.14"}, "MKLDNN_OPCACHE_ASSUME: expected one of v0.14, "),
        ([], {"MKLDNN_OPCACHE_STATS": "stderr"}, "MKLDNN_OPCACHE_STATS is set to 'stderr'"),
        (["--stats", "/dev/null/x"], {}, "--stats /dev/null/x: /dev/null is not a folder"),
        (["--stats", "/etc"], {}, "--stats /etc: cannot be written"),
        (["--chdir", "/dev/null/x"], {}, "--chdir /dev/null/x: Not a directory"),
    ],
)
def test_misuse(
    built: Layout, tmp_path: Path, options: List[str], variables: Dict[str, str], message: str
) -> None:
    trace = tmp_path / "started"
    done = run(built, "touch", str(trace), options=options, env=environment(**variables))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"opcache: error: {message}")
    assert not trace.exists()


def test_the_scope_in_the_environment_counts(built: Layout) -> None:
    code = "import os; print(os.environ['MKLDNN_OPCACHE'], os.environ['MKLDNN_OPCACHE_CAPACITY'])"
    variables = environment(MKLDNN_OPCACHE="off", MKLDNN_OPCACHE_CAPACITY="7")
    done = run(built, *python(code), options=["--capacity", "8"], env=variables)
    assert done.stdout == "off 8\n"


def test_no_command_is_a_misuse(layout: Layout) -> None:
    done = run(layout)
    assert done.returncode == 2 and "required: COMMAND" in done.stderr


def test_absent_library_is_named(layout: Layout, tmp_path: Path) -> None:
    toolchain = load_toolchain(layout.toolchain)
    with pytest.raises(HarnessError) as caught:
        user_run.preloaded(Layout(tmp_path), toolchain, {}, None, None, None)
    assert str(caught.value) == "build/lib/libmkldnn_opcache.so not found: run make build first"


@pytest.mark.parametrize("name", ["a b", "a:b", "$LIB"])
def test_paths_that_cannot_be_preloaded(built: Layout, tmp_path: Path, name: str) -> None:
    other = Layout(tmp_path / name)
    other.library.parent.mkdir(parents=True)
    shutil.copy(built.library, other.library)
    with pytest.raises(HarnessError, match="LD_PRELOAD takes no blank"):
        user_run.preloaded(other, load_toolchain(built.toolchain), {}, None, None, None)


def test_statistics_that_cannot_be_written_after_all(layout: Layout, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    options = ["--stats", str(folder / "stats.json")]
    # In the folder's place there is a file then.
    script = f"rmdir {folder}; echo > {folder}; exit 9"
    done = run(layout, "sh", "-c", script, options=options)
    assert done.returncode == 9
    assert "opcache: error: --stats " in done.stderr.splitlines()[-1]


def test_unreadable_counters_are_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "5.json").write_text(json.dumps(bench.cache_stats("all", 1)))
    (tmp_path / "3.json").write_text('{"schema"')
    assert [process.pid for process in user_run.collect(tmp_path)] == [5]
    assert "the counters of process 3 cannot be read" in capsys.readouterr().err
