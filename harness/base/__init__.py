"""Tools without any knowledge of MXNet: files, JSON lines, archives, options, statistics."""
