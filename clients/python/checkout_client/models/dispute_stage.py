from typing import Literal, cast

DisputeStage = Literal["arbitration", "chargeback", "inquiry", "pre_arbitration"]


def check_dispute_stage(value: str) -> DisputeStage:
    # A word that is newer than this client is let through.
    return cast(DisputeStage, value)
