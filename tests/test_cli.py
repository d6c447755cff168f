"""The command line: a wrong word is one clear line and exit code 2; help shows an example."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Callable, Tuple

import pytest
from pytest import CaptureFixture, MonkeyPatch

from harness.__main__ import COMMANDS, main
from harness.base.layout import Layout
from models.registry import NETWORKS

MODELS = f"expected one of {', '.join(NETWORKS)}"
HOSTS = "expected one of 1.3.1, 1.4.1, 1.5.1.post0, 1.6.0"
UNSERVED = ", 1.7.0.post2, 1.8.0.post0, 1.9.1"  # to be measured only
SCOPES = (
    "expected stock, off, backward, all, operators joined by + (activation, batch_norm, "
    "convolution, deconvolution, fully_connected, lrn, pooling, concat, reorder, softmax, sum, "
    "forward), or preload: before one of these"
)
DIFFERENT = "expected different words separated by commas"
POSITIVE = "expected a positive integer"
NO_PYTHON = "expected a Python, found a program that ended with exit code"
CAPACITY = "capacity: expected a number from 0 to 1073741824"
ABSENT = "No such file or directory"
LONG = "9" * 50

HOST_OPTIONS = (
    *("bench --hosts", "bench-dist --host", "converge --host", "microbench --hosts"),
    *("reliability --hosts", "verify --hosts"),
)
SCOPE_OPTIONS = ("bench --scopes", "bench-dist --scopes", "converge --scopes", "verify --scopes")
READERS = ("bench --config", "converge --show", "plot", "tables", "verify --mxnet-tests")
# A command line, with variables of the environment before it, and the line that it ends with.
# A last "..." stands for any further words; {deep} is a file of JSON that is too deep.
WRONG: Tuple[Tuple[str, str], ...] = (
    *(
        (f"{each} 1.9.9", f"unknown host '1.9.9': {HOSTS}" + UNSERVED * each.startswith("bench "))
        for each in HOST_OPTIONS
    ),
    *((f"{each} all,bakward", f"unknown scope 'bakward': {SCOPES}") for each in SCOPE_OPTIONS),
    *((f"{each} {{deep}}", "{deep}: ...") for each in READERS),
    ("bench --models mobilenet-2", f"unknown model 'mobilenet-2': {MODELS}"),
    (
        "bench-dist --model fcn_resnet50_voc",
        "model 'fcn_resnet50_voc' is not a classifier: verify and bench train it",
    ),
    (
        "bench --models alexnet --image-size 62",
        "image size 62 is too small for alexnet: expected at least 63",
    ),
    ("bench --image-size x", f"--image-size: {POSITIVE}, found 'x'"),
    ("bench --samples 0", f"--samples: {POSITIVE}, found '0'"),
    (f"bench --samples {LONG}", f"--samples: {POSITIVE}, found '{LONG}'"),
    ("bench --batch-size 1,-1", f"--batch-size: {POSITIVE}, found '-1'"),
    ("bench --models alexnet,,vgg-16", f"--models: {DIFFERENT}: 'alexnet,,vgg-16'"),
    ("bench --scopes off,off", f"--scopes: {DIFFERENT}: 'off,off'"),
    (
        "bench --series operator",
        "--series: expected some of throughput, detour, found 'operator'",
    ),
    ("bench --mxnet . --hosts 1.3.1", "--hosts: expected releases or --mxnet, found both"),
    ("bench-dist --mxnet . --host 1.3.1", "--host: expected releases or --mxnet, found both"),
    ("converge --against .", "--against: expected --mxnet, the build to compare with it"),
    ("bench --config absent.toml", f"absent.toml: {ABSENT}"),
    ("bench-dist --scopes all", "--scopes: expected stock among them, found 'all'"),
    (
        "bench-dist --scopes stock,own-1.3.0-01234567",
        "own-1.3.0-01234567: expected --mxnet and --against to name builds",
    ),
    ("bench-dist --workers 0", f"--workers: {POSITIVE}, found '0'"),
    ("bench-dist --model vgg-16 --image-size 31", "image size 31 is too small for vgg-16: ..."),
    ("bench-dist --port 65536", "--port: expected at most 65535, found 65536"),
    ("converge --model vgg-61", f"unknown model 'vgg-61': {MODELS}"),
    ("converge --model vgg-16", "model 'vgg-16' is not one for CIFAR-10: expected cifar-res..."),
    ("converge --scopes stock,stock", f"--scopes: {DIFFERENT}: 'stock,stock'"),
    ("converge --epochs 0", f"--epochs: {POSITIVE}, found '0'"),
    ("converge --epochs 1", "warm_up_epochs: expected fewer than epochs (1), found 1..."),
    ("converge --subset 63", "subset: expected at least a batch (64), found 63"),
    ("converge --data-dir nowhere", "nowhere: expected a folder of CIFAR-10..."),
    ("converge --config nowhere.toml", f"nowhere.toml: {ABSENT}"),
    ("doctor --python no-such-python", "--python no-such-python: no such program"),
    ("doctor --python /bin/false", f"/bin/false: {NO_PYTHON} 1"),
    ("doctor --python /bin/true", f"/bin/true: {NO_PYTHON} 0 and told nothing"),
    ("microbench --hosts 1.3.1,1.3.1", f"--hosts: {DIFFERENT}: '1.3.1,1.3.1'"),
    ("microbench --hosts 1.6.0", "expected MKL-DNN 0.x, whose functions ..."),
    ("microbench --repetitions 0", f"--repetitions: {POSITIVE}, found '0'"),
    ("microbench --rounds -1", f"--rounds: {POSITIVE}, found '-1'"),
    ("microbench --out pyproject.toml", "pyproject.toml exists: choose another --out"),
    ("plot --only ratios,pies", "--only: expected some of ratios, gluoncv, releases, ..."),
    ("plot --efficiency 0", "--efficiency: expected a number above 0, found 0.0"),
    ("plot no-such-record.jsonl", f"no-such-record.jsonl: {ABSENT}"),
    ("reliability --stages knots", "--stages: expected some of threads, ..."),
    ("run --scope bakward", "unknown scope 'bakward': expected off, backward, all, or ..."),
    ("run --scope ''", "unknown scope '': expected ..."),
    ("run --capacity many", f"{CAPACITY}, found 'many'"),
    ("run --capacity -1", f"{CAPACITY}, found '-1'"),
    ("run --memory 1.5G", "memory: expected bytes such as 1048576, 64K, 512M or 2G, ..."),
    ("run --stats /dev/null/x", "--stats /dev/null/x: /dev/null is not a folder"),
    ("run --stats /etc", "--stats /etc: expected a file, found a folder, a pipe or a device"),
    ("run --chdir /dev/null/x", "--chdir /dev/null/x: Not a directory"),
    ("MKLDNN_OPCACHE=al run", "MKLDNN_OPCACHE: unknown scope 'al': expected ..."),
    ("MKLDNN_OPCACHE_CAPACITY=1e3 run", f"MKLDNN_OPCACHE_CAPACITY: {CAPACITY}, found '1e3'"),
    ("MKLDNN_OPCACHE_MEMORY=-1 run", "MKLDNN_OPCACHE_MEMORY: memory: expected bytes ..."),
    ("MKLDNN_OPCACHE_ASSUME=0.14 run", "MKLDNN_OPCACHE_ASSUME: expected one of v0.14, ..."),
    ("MKLDNN_OPCACHE_STATS=stderr run", "MKLDNN_OPCACHE_STATS is set to 'stderr'..."),
    ("verify --stages bits", "--stages: expected some of operators, bitwise, ..."),
    ("verify --models resnet", f"unknown model 'resnet': {MODELS}"),
    ("verify --scopes stock", "--scopes: stock is what the others are compared with"),
    ("verify --operators relu", "--operators: expected some of activation, ..."),
    ("verify --faults NONE", "--faults: expected some of NO_HINT, ..."),
    ("verify --stages upstream", "MXNet's own tests need --mxnet-tests..."),
)


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line[:50] for line, _ in WRONG])
def test_wrong_words_are_one_line(
    built: Layout,
    error_of: Callable[..., str],
    tmp_path: Path,
    monkeypatch: MonkeyPatch,
    line: str,
    message: str,
) -> None:
    deep, started = tmp_path / "deep.json", tmp_path / "started"
    deep.write_bytes(b"[" * 900 + b"]" * 900 + b"\n")
    words = shlex.split(line.format(deep=deep))
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if words[0] == "run":
        words += ["--", "touch", str(started)]
    error, expected = error_of(*words), message.format(deep=deep)
    if expected.endswith("..."):
        assert error.startswith(expected[:-3])
    else:
        assert error == expected
    assert not started.exists()


ON_OWN_BUILDS = ("verify", "bench", "converge", "bench-dist", "microbench", "doctor")


@pytest.mark.parametrize("command", [name for name, _, _ in COMMANDS])
def test_help_shows_an_example(command: str, capsys: CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert re.search(rf"^examples?:\n(  .*\n)*?  python -m harness {command}\b", text, re.MULTILINE)
    assert "--mxnet DIR" in text or command not in ON_OWN_BUILDS
