from typing import Literal, cast

ExportBalanceEntriesWithdrawn = Literal["false", "true"]


def check_export_balance_entries_withdrawn(value: str) -> ExportBalanceEntriesWithdrawn:
    # A word that is newer than this client is let through.
    return cast(ExportBalanceEntriesWithdrawn, value)
