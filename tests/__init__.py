"""Tests of the harness, the models and the built MXNets; those of the library are in cpp/."""
