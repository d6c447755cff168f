"""Tools that know nothing of MXNet: files, records of lines, archives, options, statistics."""
