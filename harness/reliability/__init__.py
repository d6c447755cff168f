"""The reliability command: threads, forks, kills, faults, hostile surroundings, long runs.

Each kind of evidence is a stage, a module with ``run(context)``; stages.py lists them, command.py
runs them into one record, table.py shows it. docs/reliability.md states the promises.
"""
