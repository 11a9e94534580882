"""Benchmarks: what the service does in a second, beside what the machine could.

Each figure is a ratio against a floor, measured in the same run on the same servers, the two taking turns.
Promises: prints what else the machine was doing; needs no server that it did not start itself.
Never: asserts an absolute number.
"""
