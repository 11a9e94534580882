"""Captures and voids: requested at the provider, and followed to their final state.

Holds the tasks ``payments.capture`` and ``payments.void``, and their leases.
Promises: the provider makes a capture once, whatever dies. What was captured cannot be voided here, nor the reverse.
Never: writes an entry of money; worker/transitions does.
"""
