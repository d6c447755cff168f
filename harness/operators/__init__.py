"""The oracle for single operators: cases, references in NumPy, the judge. Without mxnet."""
