"""Lists the MXNet releases whose MKL-DNN the cache knows; equal to configs/toolchain.toml."""

import collections

MYPY = False
if MYPY:
    from typing import Optional  # noqa: F401


class Release(collections.namedtuple("Release", "version package mkldnn build_id")):
    """An MXNet release: its version and package, its MKL-DNN and the build-id of that."""

    __slots__ = ()

    @property
    def library(self):
        # type: () -> str
        """Return the file name of its MKL-DNN."""
        return library_of(self.mkldnn)


def interface_of(mkldnn):
    # type: (str) -> int
    """Return the number of the C interface of an MKL-DNN release such as v0.14."""
    return int(mkldnn[1:].split(".")[0])


def library_of(mkldnn):
    # type: (str) -> str
    """Return the file name of an MKL-DNN release: it has the interface's number."""
    return "libmkldnn.so.%d" % interface_of(mkldnn)


RELEASES = (
    Release("1.3.1", "mxnet-mkl", "v0.14", "327b74456f70bbd8c01967faac05ca0295cbf4f9"),
    Release("1.4.1", "mxnet-mkl", "v0.17.4", "70903626b916e9767d06429ff6fe6dce2723c90c"),
    Release("1.5.1.post0", "mxnet-mkl", "v0.19", "fe478f273f5ec5d5cbab438f90265448ba47dab5"),
    Release("1.6.0", "mxnet-mkl", "v1.0.4", "65539154d39c0409280679486a0ca81308d48c72"),
)
MKLDNNS = tuple(release.mkldnn for release in RELEASES)
# The newest first: MXNet 1.6.0 has a libmkldnn.so.0 too, which nothing loads.
LIBRARIES = tuple(sorted({release.library for release in RELEASES}, reverse=True))


def release_of(build_id):
    # type: (Optional[str]) -> Optional[Release]
    """Return the release with that MKL-DNN, None if it is not known."""
    return next((release for release in RELEASES if release.build_id == build_id), None)
