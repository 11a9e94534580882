from typing import Literal, cast

ListDisputesStatus = Literal["accepted", "closed", "expired", "lost", "needs_response", "under_review", "won"]


def check_list_disputes_status(value: str) -> ListDisputesStatus:
    # A word that is newer than this client is let through.
    return cast(ListDisputesStatus, value)
