"""Builds patched MXNets, benchmarks them and verifies them; run it with ``python -m harness``.

Importing this package does nothing. ``prerequisites`` and ``bootstrap`` need no more than the
standard library; every other module runs inside the project's virtual environment.
"""
