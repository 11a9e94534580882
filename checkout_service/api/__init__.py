"""API: how every room speaks HTTP.

Holds blueprints that read JSON strictly, problem documents (RFC 9457), the Idempotency-Key, callers and OpenAPI.
Promises: every error is a problem document with a stable type. Amounts are exact text in requests and answers.
Never: imports a room that has routes. Those rooms import this one.
"""
