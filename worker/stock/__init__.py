"""Ends holds whose time is over, so that what nobody paid for can be bought again.

Holds the task ``stock.sweep``.
Promises: a hold outlives its end by no more than the time between two sweeps; two sweeps at once end it once.
Never: asks a provider, ends a hold while its money may still come.
"""
