from typing import Literal, cast

TestSentType = Literal["webhook_endpoint.test"]


def check_test_sent_type(value: str) -> TestSentType:
    # A word that is newer than this client is let through.
    return cast(TestSentType, value)
