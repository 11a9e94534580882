"""Adapters: a folder for each payment provider.

Holds for each: its webhooks, its calls, its words in ours.
Promises: adding one touches its folder alone.
Never: imports another adapter.
"""
