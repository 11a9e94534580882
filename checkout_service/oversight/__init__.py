"""Oversight: what operators ask about payments, and what they have done about one.

Holds one payment's history and timeline, the lists of refunds and disputes, and the invariants of all payments.
Promises: every read is bounded and goes by index, or walks in short pages; a million rows do no harm.
Never: writes by itself: what an operator wants done goes to commands and to refunds.
"""
