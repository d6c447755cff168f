"""Lists the MXNet releases whose MKL-DNN the cache knows; equal to configs/toolchain.toml."""

import collections

MYPY = False
if MYPY:
    from typing import Optional  # noqa: F401

Release = collections.namedtuple("Release", "version package mkldnn build_id")

RELEASES = (
    Release("1.3.1", "mxnet-mkl", "v0.14", "327b74456f70bbd8c01967faac05ca0295cbf4f9"),
    Release("1.4.1", "mxnet-mkl", "v0.17.4", "70903626b916e9767d06429ff6fe6dce2723c90c"),
    Release("1.5.1.post0", "mxnet-mkl", "v0.19", "fe478f273f5ec5d5cbab438f90265448ba47dab5"),
)
MKLDNNS = tuple(release.mkldnn for release in RELEASES)


def release_of(build_id):
    # type: (Optional[str]) -> Optional[Release]
    """Return the release with that libmkldnn.so.0, None if it is not known."""
    return next((release for release in RELEASES if release.build_id == build_id), None)
