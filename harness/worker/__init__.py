"""The process that trains: the only package that imports mxnet, started by name."""

from patches.python.mkldnn_opcache import compat

# Before the first import of mxnet; without an effect on the Pythons of `make venv`.
compat.install()
