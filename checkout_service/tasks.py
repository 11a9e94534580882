"""Every task that the worker registers, and the queue that each goes through.

The web tier names tasks and never imports the worker.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TaskName(StrEnum):
    """Every task that the worker registers."""

    PROCESS_WEBHOOK = "webhooks.process"
    SWEEP_WEBHOOKS = "webhooks.sweep"
    PRUNE_WEBHOOKS = "webhooks.prune"
    LOOK_UP_PAYMENTS = "payments.look_up"
    EXPIRE_PAYMENTS = "payments.expire"
    REFUND_PAYMENT = "payments.refund"
    CANCEL_PAYMENT = "payments.cancel"
    SWEEP_PAYMENTS = "payments.sweep"
    RUN_COMMANDS = "commands.run"
    BACKFILL_PAYMENTS = "payments.backfill"


QUEUE_OF: Final = {
    TaskName.PROCESS_WEBHOOK: "webhooks",
    TaskName.SWEEP_WEBHOOKS: "webhooks",
    TaskName.PRUNE_WEBHOOKS: "housekeeping",
    TaskName.LOOK_UP_PAYMENTS: "payments",
    TaskName.EXPIRE_PAYMENTS: "payments",
    TaskName.REFUND_PAYMENT: "payments",
    TaskName.CANCEL_PAYMENT: "payments",
    TaskName.SWEEP_PAYMENTS: "payments",
    TaskName.RUN_COMMANDS: "payments",
    TaskName.BACKFILL_PAYMENTS: "payments",
}
