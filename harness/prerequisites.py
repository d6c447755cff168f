"""Reports each missing prerequisite of the build in one line, before anything is downloaded.

Every Python from 2.7 on can parse this file, so that an interpreter of the wrong version reports
itself. Standard library only.
"""

import os
import platform
import sys

PYTHON_OLDEST = (3, 8)
PYTHON_NEWEST = (3, 11)
PROGRAMS = ("make",)  # of every build; tests need more. Debian's packages have the same names


def problems(programs=PROGRAMS):
    # type: (tuple) -> list
    """Return one line of text per missing prerequisite; ``programs`` have to be on PATH."""
    found = []
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "amd64"):
        found.append("Linux x86-64 is needed, found %s %s" % (sys.platform, platform.machine()))
    if not PYTHON_OLDEST <= tuple(sys.version_info[:2]) <= PYTHON_NEWEST:
        found.append(
            "Python %s.%s to %s.%s is needed, found %s.%s (%s): name another with `make PYTHON=...`"
            % (PYTHON_OLDEST + PYTHON_NEWEST + tuple(sys.version_info[:2]) + (sys.executable,))
        )
    else:
        for module in ("venv", "ensurepip"):
            try:
                __import__(module)
            except ImportError:
                found.append(
                    "Python module %s is needed, not found in %s: "
                    "install it, for example `apt-get install python3-venv`"
                    % (module, sys.executable)
                )
    for program in programs:
        if not _on_path(program):
            found.append(
                "%s is needed, not found on PATH: install it, for example `apt-get install %s`"
                % (program, program)
            )
    return found


def _on_path(program):
    # type: (str) -> bool
    # shutil.which is not in Python 2.7.
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    candidates = [os.path.join(folder, program) for folder in folders]
    return any(os.path.isfile(path) and os.access(path, os.X_OK) for path in candidates)


def main():
    # type: () -> int
    """Print every problem to stderr; return 1 if there is one, else 0.

    The words of the command line are further programs that have to be on PATH.
    """
    found = problems(PROGRAMS + tuple(sys.argv[1:]))
    for line in found:
        sys.stderr.write("opcache: error: %s\n" % line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
