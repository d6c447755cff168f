"""The process that trains: the only package that imports mxnet, started by name."""
