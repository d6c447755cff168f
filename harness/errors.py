"""The one exception that the command line turns into a message instead of a traceback.

Raise it for anything a user can cause or repair: bad options, wrong files, failed downloads.
"""

from __future__ import annotations


class HarnessError(Exception):
    """One line that names what was expected, what was found and, if known, what to do."""
