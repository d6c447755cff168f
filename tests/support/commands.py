"""Commands that tests start, the environment they get, and the message of a refusal."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple, Type, Union

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import here

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

# One convolution, of which `y` is the sum.
CONVOLVE = """
import mxnet as mx
x, w = mx.nd.ones((1, 3, 8, 8)), mx.nd.ones((8, 3, 3, 3))
y = mx.nd.Convolution(x, w, kernel=(3, 3), num_filter=8, no_bias=True).sum().asscalar()
"""

_STEERING = ("MKLDNN_", "MXNET_", "OMP_", "KMP_", "LD_")


def clean_environment(**variables: object) -> Dict[str, str]:
    """Return os.environ without what steers MXNet, MKL-DNN or the loader, then ``variables``."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith(_STEERING)}
    return {**outer, **{name: str(value) for name, value in variables.items()}}


def run(
    command: Iterable[object], *, timeout: float = 120, **options: Any
) -> subprocess.CompletedProcess:
    """Run a command in the clean environment, unless ``options`` has another, and capture it."""
    options = {"env": clean_environment(), "text": True, "capture_output": True, **options}
    return subprocess.run([str(word) for word in command], timeout=timeout, **options)


def python(program: str, *arguments: object) -> List[str]:
    """Return the command that runs a program text in this Python, without its warnings."""
    return [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]


def harness_words(*words: object) -> List[str]:
    """Return the command that runs the harness."""
    return [sys.executable, "-m", "harness", *map(str, words)]


def harness(*words: object, **options: Any) -> subprocess.CompletedProcess:
    """Run the harness in the work tree, with the variables that this process has."""
    return run(harness_words(*words), **{"cwd": here().root, "env": None, **options})


def compile_program(source: str, path: os.PathLike, *options: object) -> None:
    """Compile C++ to ``path``: to a shared library if that is its ending."""
    kind = ["-shared", "-fPIC"] if ".so" in os.path.basename(path) else []
    command = ["g++", *kind, "-w", "-o", path, "-x", "c++", "-", "-x", "none", *options]
    subprocess.run([str(word) for word in command], input=source, text=True, check=True)


def planted(package: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy a Python package into ``folder`` with a fault in a file; return the copy."""
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    replace(copy / file, old, new)
    return copy


def replace(path: Path, old: str, new: str) -> None:
    """Change a text that stands once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def refusal(
    call: Callable[..., object], *arguments: Any, kind: Type[Exception] = HarnessError
) -> str:
    """Return the message with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


def zip_members(path: Path, members: Mapping[str, Union[str, bytes]]) -> None:
    """Write a zip archive with these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def tar_gz(members: Iterable[Tuple], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Return a tar.gz with members of these names and contents, all of one kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
