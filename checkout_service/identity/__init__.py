"""Identity: who is calling.

Holds bearer tokens, the issuer's keys (JWKS), API keys of programs, and what guests are known by: the shop's signed
cookie and the Cart-Token of the API.
Promises: the algorithms that count are configured, never read from a token. An issuer that is away costs a bounded
wait. Every route requires a caller unless its view is marked as public. A key that was revoked opens nothing some
seconds later.
Never: stores a password, an API key or a Cart-Token: only its hash.
"""
