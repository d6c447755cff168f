"""The report: one self-contained HTML page, made of the records, tables and figures in results/.

Measures nothing, and contains no number of its own.
"""
