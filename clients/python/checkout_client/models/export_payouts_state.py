from typing import Literal, cast

ExportPayoutsState = Literal["by_balance", "not_paid", "open", "reconciled", "unmatched"]


def check_export_payouts_state(value: str) -> ExportPayoutsState:
    # A word that is newer than this client is let through.
    return cast(ExportPayoutsState, value)
