"""Figures of the records: one module per family, each pure data in, figure out.

A family is a module with ``draw(source) -> list of Drawn`` that raises Missing, and a name in
``harness.publish.plots.command.FAMILIES``. Families read nothing but their source, and write no
files.
"""
