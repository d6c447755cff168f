"""The benchmark on a machine without network: an archive, and its program."""
