"""The list of webhooks, narrowed to what is ignored for one reason."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from checkout_service.providers.base import IgnoredReason
from tests.conftest import Sql
from tests.console.conftest import Operator, file_webhooks, webhooks_on


@pytest.mark.parametrize("reason", list(IgnoredReason))
def test_webhooks_that_are_ignored_are_listed_by_their_reason(
    operator: Operator, sql: Sql, reason: IgnoredReason
) -> None:
    filed = {
        each: file_webhooks(sql, 2, state="'ignored'", detail=f"'{each.value}: for a reason'") for each in IgnoredReason
    }
    file_webhooks(sql, 1, state="'ignored'", detail="'of an older release'")
    file_webhooks(sql, 1, state="'failed'", detail=f"'{reason.value}: as it happens'")

    for query in (f"reason={reason}", f"reason={reason}&state=ignored"):
        page = operator.get(f"/ops/webhooks?{query}")
        assert webhooks_on(page) == filed[reason]
        assert f"<option selected>{reason}</option>" in page.text
        (link,) = re.findall(r'href="([^"]+)">Process all that match', page.text)
        assert parse_qs(urlsplit(html.unescape(link)).query)["reason"] == [reason.value]
    assert webhooks_on(operator.get(f"/ops/webhooks?reason={reason}&provider=stripe")) == []
