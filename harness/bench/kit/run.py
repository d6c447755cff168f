"""Measures on a machine that has nothing but Python 3.8 to 3.12 and its NumPy: see --help.

Every Python from 2.7 on can parse this file, so that a wrong interpreter reports itself.
"""

import sys

OLDEST, NEWEST = (3, 8), (3, 12)

if __name__ == "__main__":
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.stderr.write(
            "opcache: error: Python %d.%d to %d.%d is needed, found %d.%d: name another python3\n"
            % (OLDEST + NEWEST + tuple(sys.version_info[:2]))
        )
        sys.exit(2)
    from harness.bench.kit import measure

    sys.exit(measure.main(sys.argv[1:]))
