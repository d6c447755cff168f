from __future__ import annotations
def write(run, folder): pass
