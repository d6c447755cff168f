"""The source-patch command: writes the cache as a patch for MXNet's own source tree.

The patch only adds files, made mechanically from patches/opcache, where MXNet 1.3 to 1.6 compile
whatever they find. It touches and quotes no line of MXNet's. docs/source-patch.md tells how it is
used and what it relies on.
"""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import Container, Dict

from harness.base import layout, toml
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.files import write_text
from harness.base.layout import Layout

# MXNet's Makefile compiles src/*/*/*/*.cc and its CMakeLists.txt src/**/*.cc.
FOLDER = "src/operator/nn/mkldnn"
# The files are empty where MKL-DNN is not used or the library could not work.
GUARD = "MXNET_USE_MKLDNN == 1 && defined(__linux__) && defined(__x86_64__)"

# What MXNet's tools/license_header.py asks of every file.
_LICENCE = """\
Licensed to the Apache Software Foundation (ASF) under one
or more contributor license agreements.  See the NOTICE file
distributed with this work for additional information
regarding copyright ownership.  The ASF licenses this file
to you under the Apache License, Version 2.0 (the
"License"); you may not use this file except in compliance
with the License.  You may obtain a copy of the License at

  http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing,
software distributed under the License is distributed on an
"AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
KIND, either express or implied.  See the License for the
specific language governing permissions and limitations
under the License.
"""
# MXNet's cpplint asks for another style of parameters than patches/opcache has.
_LINT_CONFIGURATION = "exclude_files=opcache.*\n"

EXAMPLES = """example:
  python -m harness source-patch
  cd ../mxnet && git apply ../opcache/dist/opcache-mxnet-*.patch
"""

_INCLUDE = re.compile(r'^#include "(?P<name>[^"]+)"$', re.MULTILINE)
_NAMESPACE = re.compile(r"^namespace opcache \{$", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no options."""


def main(args: argparse.Namespace) -> int:
    """Write the patch into dist/; return 0."""
    del args
    paths = layout.here()
    say(f"wrote {shown(write(paths), paths.root)}")
    return 0


def write(paths: Layout) -> Path:
    """Write the patch into dist/ and return its path."""
    version = toml.project_version(paths.pyproject)
    patch = patch_path(paths, version)
    write_text(patch, render(added_files(paths.sources, version), version))
    return patch


def patch_path(paths: Layout, version: str) -> Path:
    """Return the path of that version's patch."""
    return paths.dist / f"opcache-mxnet-{version}.patch"


def added_files(sources: Path, version: str) -> Dict[str, str]:
    """Return the content of every file that the patch adds, by its path in MXNet's tree.

    Raises HarnessError when a file of ``sources`` cannot be rewritten.
    """
    found = sorted([*sources.rglob("*.cc"), *sources.rglob("*.h")])
    names = {path.relative_to(sources).as_posix(): path for path in found}
    if not names:
        raise HarnessError(f"{sources}: expected C++ sources, found none")
    files = {f"{FOLDER}/CPPLINT.cfg": _comment("# ", _LICENCE) + _LINT_CONFIGURATION}
    for name, path in names.items():
        files[f"{FOLDER}/{in_tree_name(name)}"] = _rewrite(path, name, names, version)
    return files


def in_tree_name(name: str) -> str:
    """Return the name in MXNet's tree of a file of patches/opcache: none of MXNet's own.

    The folders become part of the name, as MXNet's Makefile compiles no deeper folder.
    """
    flat = name.replace("/", "_")
    return flat if flat.startswith("opcache") else f"opcache_{flat}"


def _rewrite(path: Path, own_name: str, names: Container[str], version: str) -> str:
    """Return the file's text in MXNet's tree, the code unchanged."""

    def include(match: re.Match[str]) -> str:
        if match["name"] not in names:
            raise HarnessError(
                f'{path}: #include "{match["name"]}": expected a file of patches/opcache'
            )
        return f'#include "{in_tree_name(match["name"])}"'

    text = _INCLUDE.sub(include, path.read_text(encoding="utf-8"))
    # MXNet compiles with default visibility; only the C functions are exported.
    text = _NAMESPACE.sub('namespace opcache __attribute__((visibility("hidden"))) {', text)
    origin = f"// From opcache {version}: change patches/opcache/{own_name} there, not this file."
    licence = "/*\n" + _comment(" * ", _LICENCE) + " */\n"
    if own_name.startswith("api0/"):
        own = f'#include "{in_tree_name("in_tree.h")}"\n#ifndef OPCACHE_NO_API0\n'
        text = f"{own}{text}#endif  // OPCACHE_NO_API0\n"
    return f"{licence}\n{origin}\n#if {GUARD}\n{text}#endif  // {GUARD}\n"


def _comment(prefix: str, text: str) -> str:
    return "".join((prefix + line).rstrip() + "\n" for line in text.splitlines())


def render(files: Dict[str, str], version: str) -> str:
    """Return the patch that adds ``files``, the same text for the same files."""
    parts = [
        f"opcache {version} for MXNet 1.3 to 1.6: MKL-DNN primitives are created once.\n"
        "Adds files only. Apply with `git apply`, build MXNet with USE_MKLDNN=1 as usual.\n\n"
    ]
    for name, content in sorted(files.items()):
        parts.append(f"diff --git a/{name} b/{name}\nnew file mode 100644\n")
        lines = content.splitlines(keepends=True)
        parts += difflib.unified_diff([], lines, "/dev/null", f"b/{name}")
    return "".join(parts)
