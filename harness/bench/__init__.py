"""The bench command: training throughput, unmodified MXNet against the cache."""
