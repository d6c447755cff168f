"""The microbench command: single MKL-DNN calls, with and without the cache."""
