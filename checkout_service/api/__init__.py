"""API: how every room speaks HTTP.

Holds blueprints that read JSON strictly, problem documents (RFC 9457), the Idempotency-Key and the OpenAPI document.
Promises: every error is a problem document with a stable type; money goes in and out as text, exactly.
Never: imports a room that has routes. Those that have come in.
"""
