"""The bench-dist command: parameter-server training on this machine."""
