"""Disputes: customers, or their banks, want money back, by the provider's own names for each dispute.

Holds disputes: their stage, status, reason and deadline, and the money that they took and gave back.
Promises: a dispute is what its provider reported, joined in any order; money goes by its numbered movements alone.
Never: writes (worker/transitions does), sends evidence: that is done in the provider's dashboard.
"""
