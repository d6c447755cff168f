"""Checks single operators: cases, references in NumPy, and the judge. Without mxnet."""
