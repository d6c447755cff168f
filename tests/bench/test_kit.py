"""The archive that measures elsewhere: its bytes, its plan, its refusals, and a run without NumPy's
or MXNet's usual surroundings."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from subprocess import CompletedProcess
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from harness.__main__ import main as harness_main
from harness.base.layout import Layout
from harness.bench import tables
from harness.bench.kit import command
from harness.bench.kit.plan import Cell, Done, expected_s, next_cell
from harness.bench.record import load
from tests.support import interpreters
from tests.support.commands import run

SMALL, MIDDLE, LARGE = Cell("a", 32, 16, 1.0), Cell("b", 32, 16, 3.0), Cell("c", 32, 16, 30.0)
SECONDS = {SMALL: 10.0, MIDDLE: 20.0, LARGE: 150.0}
KIT = "opcache-bench-kit-1.3.1"
RUN = ("--models", "seven-ops", "--batch-size", "1", "--threads", "1", "--processes", "2")


def _simulated(limit_s: float, lost: Tuple[Cell, ...] = ()) -> List[Cell]:
    done: List[Done] = []
    while True:
        left_s = limit_s - sum(each.elapsed_s for each in done)
        cell = next_cell([SMALL, MIDDLE, LARGE], done, left_s, least=2, most=3)
        if cell is None:
            assert left_s >= 0
            return [each.cell for each in done]
        done.append(Done(cell, SECONDS[cell], cell not in lost))


@pytest.mark.parametrize(
    ("limit_s", "lost", "processes"),
    [
        (9999, (), [SMALL] * 2 + [MIDDLE] * 2 + [LARGE] * 2 + [SMALL, MIDDLE, LARGE]),
        (9999, (SMALL,), [SMALL, *[MIDDLE] * 2, *[LARGE] * 2, MIDDLE, LARGE]),
        (120, (), [SMALL] * 2 + [MIDDLE] * 2 + [SMALL, MIDDLE]),  # the large one does not fit
        (45, (), [SMALL] * 2 + [SMALL]),  # three times the work is expected to take 30 s
        (1, (), []),
    ],
)
def test_no_process_starts_that_would_not_end_in_time(
    limit_s: float, lost: Tuple[Cell, ...], processes: List[Cell]
) -> None:
    assert _simulated(limit_s, lost) == processes


def test_a_process_takes_what_the_most_similar_one_took() -> None:
    done = [Done(SMALL, 10.0, True), Done(MIDDLE, 20.0, True), Done(MIDDLE, 22.0, True)]
    fewer = MIDDLE._replace(threads=8, work=6.0)
    assert [expected_s(cell, done) for cell in (SMALL, MIDDLE, LARGE, fewer)] == [10, 22, 200, 40]
    assert expected_s(SMALL, [Done(SMALL, 1.0, False)]) is None


@pytest.fixture(scope="module")
def archive(built: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("kit") / "kit.tar.xz"
    with pytest.MonkeyPatch.context() as patch:
        # Seconds instead of minutes, and below the limit all the same.
        patch.setattr(command, "_XZ", [command._XZ[0], {**command._XZ[1], "preset": 1}])
        assert harness_main(["bench-kit", "--out", str(path)]) == 0
        yield path


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as packed:
        packed.extractall(folder)
    return folder / KIT


@pytest.fixture
def kit(unpacked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unpacked, tmp_path / KIT))


def test_equal_inputs_make_equal_bytes_within_the_limit(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error_of: Callable[..., str],
) -> None:
    again = tmp_path / archive.name
    assert harness_main(["bench-kit", "--out", str(again)]) == 0
    assert again.read_bytes() == archive.read_bytes()
    with tarfile.open(archive) as packed:
        assert {(m.uid, m.mtime, m.uname) for m in packed.getmembers()} == {(0, 0, "")}
    again.unlink()
    capsys.readouterr()
    monkeypatch.setattr(command, "_MOST_BYTES", 30 * 2**20)
    assert error_of("bench-kit", "--out", again).startswith(
        f"{again}: expected at most 31457280 bytes, found {archive.stat().st_size}"
    )
    assert not again.exists()


def _measure(kit: Path, version: str, *words: object) -> CompletedProcess:
    """Run the kit as another user would: another Python, no network, nothing of this work tree."""
    alone = ["unshare", "--net", "--map-root-user"]
    alone = alone if run([*alone, "true"]).returncode == 0 else []
    environment: Dict[str, str] = {"PATH": "/usr/bin:/bin", "https_proxy": "http://127.0.0.1:9"}
    if words:
        environment["PYTHONPATH"] = str(interpreters.site(version))
    command = [*alone, interpreters.interpreter(version), kit / "run.py", *words]
    return run(command, env=environment, cwd=kit.parent)


@pytest.mark.parametrize("version", ["3.8", "3.12"])
def test_another_python_measures_without_network(kit: Path, version: str) -> None:
    path = kit.parent / "record.jsonl"
    begun = _measure(kit, version, *RUN[:-1], "1", "--minutes", "1", "--out", path)
    assert (begun.returncode, begun.stdout) == (0, ""), begun.stderr
    assert "seven-ops batch 1, 1 threads, process 1, " in begun.stderr
    found = load(path)
    (sample,) = found.alternates
    assert found.versions["python"].startswith(version) and sample.finite
    assert sample.environment["OMP_NUM_THREADS"] == "1" and sample.stats["scope"] == "all"
    title = tables.bench_markdown(found)
    assert found.machine.cpu_model in title and "| 1.3.1 | backward |" in title
    # The same command again has nothing to add; a machine that differs is refused.
    continued = _measure(kit, version, *RUN[:-1], "1", "--minutes", "1", "--out", path)
    assert continued.returncode == 0 and len(load(path).alternates) == 1
    header, *lines = path.read_text().splitlines(keepends=True)
    changed = {**json.loads(header), "machine": {**json.loads(header)["machine"], "memory_gib": 1}}
    path.write_text("".join([json.dumps(changed) + "\n", *lines]))
    refused = _measure(kit, version, *RUN[:-1], "1", "--minutes", "1", "--out", path)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"opcache: error: machine.memory_gib: recorded=1, asked={found.machine.memory_gib}\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--models", "resnet"), "unknown model 'resnet': expected one of alexnet, "),
        (("--hosts", "1.4.1"), "--hosts: expected some of 1.3.1, found '1.4.1'"),
        (
            ("--scopes", "stock,all"),
            "--scopes: expected scopes of the cache, which alternate in one process, found 'stock'",
        ),
        (
            ("--scopes", "off,off"),
            "--scopes: expected different words separated by commas: 'off,off'",
        ),
        (("--minutes", "-1"), "--minutes: expected a number above 0, found -1.0"),
        (("--out", f"{KIT}/LICENSE"), f"{KIT}/LICENSE: line 1: not JSON: "),
    ],
)
def test_wrong_words_are_refused(kit: Path, words: Tuple[str, ...], message: str) -> None:
    result = _measure(kit, "3.12", "--out", "record.jsonl", *words)
    assert result.returncode == 2 and result.stderr.startswith(f"opcache: error: {message}")
    assert result.stderr.count("\n") == 1 and not (kit.parent / "record.jsonl").exists()


def test_a_changed_kit_is_refused(kit: Path) -> None:
    model = kit / "models" / "small.py"
    model.write_text(model.read_text() + "\n")
    changed = _measure(kit, "3.12", *RUN, "--out", "record.jsonl")
    assert (changed.returncode, changed.stdout) == (2, "")
    assert changed.stderr.startswith("opcache: error: models/small.py: expected sha256 ")
    (kit / "kit.json").write_text("{}")
    foreign = _measure(kit, "3.12", *RUN, "--out", "record.jsonl")
    assert foreign.stderr == "opcache: error: kit.json: expected schema 1, found None\n"


@pytest.mark.parametrize("version", ["2.7", "3.7", "3.13"])
def test_a_wrong_python_reports_itself(kit: Path, version: str) -> None:
    result = _measure(kit, version)
    assert (result.returncode, result.stdout) == (2, "")
    expected = f"Python 3.8 to 3.12 is needed, found {version}: name another python3"
    assert result.stderr == f"opcache: error: {expected}\n"
