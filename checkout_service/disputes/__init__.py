"""Disputes: what a customer or their bank contests, how far that is, and what money it took or gave back.

Holds disputes of all providers.
Promises: what a provider says of one is always entered; its stage, status and money step never move back.
Never: sends evidence: that is done in the provider's dashboard. Never updates a dispute: worker/transitions does.
"""
