"""Adapters: a folder for each payment provider.

Holds for each: its webhooks, its calls, its words in ours, and what it needs (spec).
Promises: each describes itself in spec.py, so adding one touches its folder alone.
Never: imports another adapter.
"""
