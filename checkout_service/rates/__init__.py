"""Rates: how often a caller may do something within a while.

Holds counts in the cache, used by the web tier and added to by workers, and the headers ``RateLimit`` and its policy.
Promises: whatever becomes of the cache, nothing is refused for it. One round trip for all rates of a request.
Never: stands in for a bound of the database's, which holds while the cache is away.
"""
