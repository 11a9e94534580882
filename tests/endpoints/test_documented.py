"""What the API of endpoints and of the log answers is what its document says: every member, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from tests.conftest import Sql
from tests.contract import closed
from tests.endpoints.conftest import PATH, Staff, WriteAttempt, WritePending
from tests.events.rows import insert_event
from tests.refunding import staff_of


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json
    return found


def test_each_answer_has_all_members_that_are_documented_and_no_other(
    staff: Staff, pending: WritePending, attempt: WriteAttempt, sql: Sql, document: dict[str, Any]
) -> None:
    def check(answer: TestResponse) -> Any:
        path = re.sub(r"(?<=replays/)[0-9a-f-]{36}", "{replay_id}", answer.request.path)
        path = re.sub(r"(?<=webhook-endpoints/)[0-9a-f-]{36}", "{endpoint_id}", path)
        path = re.sub(r"(?<=events/)[0-9a-f-]{36}", "{event_id}", path)
        described = document["paths"][path][answer.request.method.lower()]["responses"][str(answer.status_code)]
        (media,) = described["content"].values()
        accepts = Draft202012Validator({**media["schema"], "components": closed(document)["components"]})
        accepts.validate(answer.json)
        for member in answer.json:
            without = {name: value for name, value in answer.json.items() if name != member}
            assert not accepts.is_valid(without), (path, member)
        assert not accepts.is_valid(answer.json | {"more_of_it": 1}), path
        return answer.json

    insert_event(sql)
    made = check(staff.post("", json={"url": "https://shop.example.com/webhooks"}))["id"]
    check(staff.get(""))
    check(staff.get(made))
    check(staff.patch(made, description="the warehouse"))
    check(staff.post(f"{made}/rotate-secret"))
    check(staff.post(f"{made}/test"))
    attempt(made, pending(made), status=None)
    shown = check(staff.get(f"{made}/deliveries?state=waiting"))["data"]
    assert any(each["attempts"] for each in shown)
    check(staff.post(f"{made}/replay", json={"since": "2026-01-01", "dry_run": True}))
    replay = check(staff.post(f"{made}/replay", json={"since": "2026-01-01"}))["id"]
    check(staff.get(f"{made}/replays"))
    check(staff.post(f"{made}/replays/{replay}/stop"))
    reader = staff_of(staff.by, scope="events:read")
    (event,) = check(reader.get("/api/admin/events?limit=1"))["data"]
    check(reader.get(f"/api/admin/events/{event['id']}"))
    assert staff.delete(made).status_code == 204
    unknown = staff.get(made)
    assert unknown.json["type"] == "/problems/not-found"
    assert "404" in document["paths"][f"{PATH}/{{endpoint_id}}"]["get"]["responses"]
