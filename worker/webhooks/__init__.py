"""Webhooks: claimed, verified and parsed, recorded, settled.

Holds the task ``webhooks.process`` and its steps, the sweep and the pruning.
Promises: a webhook is settled in the transaction of its effect; a worker that died is followed by another.
Never: lets one webhook hold back another.
"""
