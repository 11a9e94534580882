"""Identity: who is calling.

Holds bearer tokens, the issuer's keys (JWKS), and the signed cookies of guests.
Promises: which algorithms count is configured, never read from a token; an issuer that is away costs a bounded wait.
Never: stores a password. Every route requires a caller unless it is marked public.
"""
