"""Webhooks: claimed, verified and parsed, recorded, settled.

Holds the task ``webhooks.process`` and its steps, the sweep and the pruning.
Promises: a webhook's result is written in the transaction of its effect. A worker that died is followed by another.
Never: lets one webhook hold back another.
"""
