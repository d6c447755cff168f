"""Fixtures that more than one test file needs: the work tree and what was built in it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from harness.__main__ import main
from harness.base.layout import Layout, here
from tests.support import browser

HOSTS = ("1.3.1", "1.4.1", "1.5.1.post0", "1.6.0")
# With MKL-DNN 0.x. Tests that ask for a host run on these; cheap ones, marked, on every one.
HOSTS_OF_0 = HOSTS[:3]
every_host = pytest.mark.parametrize("host", HOSTS, indirect=True)


# Files that share results of jobs; files whose tests of different hosts share nothing.
GROUPS = {"test_bits": "bits", "test_operators": "bits"}
BY_HOST = ("test_bits", "test_models", "test_operators", "test_scenarios", "test_zoo")


@pytest.hookimpl(tryfirst=True)  # before the plugin reads the groups
def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Run on one worker what shares fixtures or results: the tests of a file, of a host."""
    for item in items:
        name = item.path.stem
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        host = parameters.get("host", HOSTS[0]) if name in BY_HOST else ""
        item.add_marker(pytest.mark.xdist_group(GROUPS.get(name, name) + host))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-pythons",
        action="store_true",
        help="run tests of the wheel and of --compat on every Python and release, not on a few",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a Python and a release on the file's SOME of them, or on all of its PAIRS."""
    if "release" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all-pythons")
        pairs = metafunc.module.PAIRS if every else metafunc.module.SOME
        group = pytest.mark.xdist_group
        metafunc.parametrize(
            ("python", "release"),
            [pytest.param(*pair, marks=group("python-" + "-".join(pair))) for pair in pairs],
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the environments of a file's tests."""
    return tmp_path_factory.mktemp("pythons")


@pytest.fixture(scope="session")
def layout() -> Layout:
    return here()


@pytest.fixture
def error_of(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the harness in this process with words that it must refuse; return its one line."""

    def error_of(*words: object) -> str:
        monkeypatch.chdir(layout.root)
        assert main([str(word) for word in words]) == 2
        printed, start = capsys.readouterr(), "opcache: error: "
        assert printed.out == "" and printed.err.startswith(start)
        assert printed.err.count("\n") == 1 and printed.err.endswith("\n")
        return printed.err[len(start) : -1]

    return error_of


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may look into."""
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session", params=HOSTS_OF_0)
def host(request: pytest.FixtureRequest, layout: Layout) -> str:
    """The hosts with MKL-DNN 0.x, or those of a test's parameters, with stock MXNet built."""
    return _with_stock(layout, request.param)


@pytest.fixture(scope="session")
def first_host(layout: Layout) -> str:
    """One host, with its stock MXNet built, for what does not depend on the host."""
    return _with_stock(layout, HOSTS[0])


def _with_stock(layout: Layout, host: str) -> str:
    if not (layout.stock(host) / "mxnet").is_dir():
        pytest.skip(f"build/{host}-stock is absent: run make build")
    return host


@pytest.fixture(scope="session")
def built(layout: Layout) -> Layout:
    """The work tree with everything built, the library included."""
    missing = [layout.library] if not layout.library.is_file() else []
    for host in HOSTS:
        folders = (layout.stock(host), layout.patched(host))
        missing += [folder for folder in folders if not (folder / "mxnet").is_dir()]
    if missing:
        names = ", ".join(str(path.relative_to(layout.root)) for path in missing)
        pytest.skip(f"absent: {names}: run make build")
    return layout


@pytest.fixture(scope="session")
def window() -> Iterator[browser.Browser]:
    """A real browser; the tests that look at pages are skipped without one."""
    executable = browser.find()
    if executable is None:
        pytest.skip(
            "no browser on PATH: apt-get install chromium-headless-shell, or set OPCACHE_BROWSER"
        )
    with browser.running(executable) as running:
        yield running
