"""Runs a job in a fresh process on a chosen build, and proves which libraries it used."""
