"""Logs a line per epoch with the creations that the cache avoided.

For MXNet's Module as ``epoch_end_callback``, for Gluon as a plain call at the end of an epoch.
"""

import logging

from .library import loaded, read_stats

MYPY = False
if MYPY:
    from typing import Any, Dict  # noqa: F401

_LOGGER = logging.getLogger("mkldnn_opcache")
_FIELDS = (
    "primitives_avoided",
    "descriptors_avoided",
    "primitives_created",
    "descriptors_created",
    "avoided_ns",
    "evictions",
)


class EpochLogger(object):
    """Logs, with level INFO, the rise of the counters since its last line or its creation::

        Epoch[3] opcache: 13375 creations avoided (532.1 ms not spent), 528 made, 0 evicted

    Counts primitives and descriptors together. MXNet may still be executing the end of an epoch
    at the call: that part counts in the next line.
    The constructor raises NotLoaded when no cache library is loaded in this process.
    """

    def __init__(self, logger=_LOGGER):
        # type: (logging.Logger) -> None
        self._logger = logger
        self._library = loaded()
        self._before = self._totals()

    def __call__(self, epoch, symbol=None, arg_params=None, aux_params=None):
        # type: (int, Any, Any, Any) -> None
        """Log the line of ``epoch``; ignore the further arguments of Module.fit."""
        now, before = self._totals(), self._before
        self._before = now
        # A counter that is lower than before has been reset since.
        rise = {
            name: value - before[name] if value >= before[name] else value
            for name, value in now.items()
        }
        self._logger.info(
            "Epoch[%d] opcache: %d creations avoided (%.1f ms not spent), %d made, %d evicted",
            epoch,
            rise["primitives_avoided"] + rise["descriptors_avoided"],
            rise["avoided_ns"] / 1e6,
            rise["primitives_created"] + rise["descriptors_created"],
            rise["evictions"],
        )

    def _totals(self):
        # type: () -> Dict[str, int]
        totals = read_stats(self._library)["totals"]
        return {name: totals[name] for name in _FIELDS}
