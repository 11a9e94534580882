"""Captures: money that came by the provider's own name for it, and what staff ask for: captures and voids.

Holds captures, requests to capture what is authorized, and requests to void it.
Promises: a request is admitted only with cover, and looked at once more before it is first sent: triggers of the tables
see to it (migrations/entries/requests.sql). Its id is the provider's key, so it is made once.
Never: calls a provider, updates a capture or a request: the worker does.
"""
