"""Oversight: what operators ask about payments.

Holds one payment's history and timeline, the list of refunds, and the invariants that must hold of all payments.
Promises: every read is bounded and goes by index, or walks in short pages; a million rows do no harm.
Never: writes.
"""
