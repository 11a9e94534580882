"""Every error is a problem document, and none of them tells what is inside."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests
from werkzeug.test import TestResponse

from checkout_service.api import problems
from checkout_service.api.callers import public
from checkout_service.api.problem_documents import pointers
from tests.conftest import Customer, Sql
from tests.own_apps import MakeApp


def is_problem(answer: TestResponse, status: int, slug: str) -> bool:
    """Also checks what all problem documents have in common."""
    assert answer.content_type == "application/problem+json"
    document = answer.json
    assert document["instance"] == answer.request.path
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert document["title"]
    assert document["detail"]
    assert document["type"] == f"/problems/{slug}"
    return answer.status_code == document["status"] == status


def nothing_was_kept(sql: Sql) -> bool:
    return sql("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM carts) AS rows")[0].rows == 0


def test_an_unknown_path_is_404_with_and_without_a_token(client: FlaskClient, customer: Customer) -> None:
    assert is_problem(client.get("/nowhere"), 404, "not-found")
    assert is_problem(client.get("/api/nowhere"), 404, "not-found")
    assert is_problem(customer.get("/api/nowhere"), 404, "not-found")


def test_a_path_that_is_nearly_one_of_ours_is_404_and_never_a_redirect(client: FlaskClient) -> None:
    for path in ("/api/cart/", "/api//cart", "//api/cart", "/livez/"):
        assert is_problem(client.open(path=path), 404, "not-found")


def test_the_receiver_of_a_named_provider_answers_itself_and_does_not_redirect(client: FlaskClient) -> None:
    assert client.post("/api/payments/webhook/mock", data=b"no webhook").status_code == 400
    assert client.post("/api/payments/webhook", data=b"no webhook").status_code == 400


def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.put("/api/cart")
    assert is_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


def test_a_body_that_is_no_json_is_400(customer: Customer, sql: Sql) -> None:
    answer = customer.post("/api/cart/items", data=b'{"listing": ', content_type="application/json")
    assert is_problem(answer, 400, "malformed-body")
    assert "column" in answer.json["detail"]
    assert nothing_was_kept(sql)


def test_no_body_at_all_is_400(customer: Customer) -> None:
    assert is_problem(customer.post("/api/cart/items"), 400, "malformed-body")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "nonsense"]
)
def test_a_body_of_another_kind_is_415(customer: Customer, sql: Sql, content_type: str) -> None:
    body = '{"listing": "x", "qty": 1}'.encode("utf-16" if "16" in content_type else "utf-8")
    answer = customer.post("/api/cart/items", data=body, content_type=content_type)
    assert is_problem(answer, 415, "unsupported-media-type")
    assert nothing_was_kept(sql)


def test_a_body_above_64_kib_is_413(customer: Customer, sql: Sql) -> None:
    body = b'{"listing": "' + b"x" * 65_536 + b'"}'
    answer = customer.post("/api/cart/items", data=body, content_type="application/json")
    assert is_problem(answer, 413, "too-large")
    assert nothing_was_kept(sql)


def test_each_fault_of_an_invalid_body_is_named_by_its_pointer(customer: Customer, sql: Sql) -> None:
    answer = customer.post("/api/cart/items", json={"qty": 0, "a/b~c": 1})
    assert is_problem(answer, 422, "invalid")
    assert {error["pointer"] for error in answer.json["errors"]} == {"/listing", "/qty", "/a~1b~0c"}
    assert all(error["detail"] for error in answer.json["errors"])
    assert nothing_was_kept(sql)


def test_a_body_that_is_no_object_is_invalid_as_a_whole(customer: Customer) -> None:
    answer = customer.post("/api/cart/items", json=[1])
    assert is_problem(answer, 422, "invalid")
    assert [error["pointer"] for error in answer.json["errors"]] == [""]


def test_an_invalid_query_parameter_is_named(customer: Customer) -> None:
    answer = customer.get("/api/payments?limit=none")
    assert is_problem(answer, 422, "invalid")
    assert [error["pointer"] for error in answer.json["errors"]] == ["/limit"]


def test_pointers_lead_into_lists_and_objects() -> None:
    messages = {"json": {"lines": {0: {"qty": ["Too few."]}, 7: {"_schema": ["Invalid input type."]}}}}
    assert pointers(messages) == [
        {"pointer": "/lines/0/qty", "detail": "Too few."},
        {"pointer": "/lines/7", "detail": "Invalid input type."},
    ]


def test_thousands_of_faults_are_not_all_listed(customer: Customer) -> None:
    answer = customer.post("/api/cart/items", json={f"unknown {n}": 1 for n in range(3000)})
    assert is_problem(answer, 422, "invalid")
    assert len(answer.json["errors"]) == 100


def test_an_unexpected_failure_names_the_request_and_nothing_of_the_inside(
    own_client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = own_client.get("/test/failing", headers={"X-Request-Id": "find-me-1"})
    assert is_problem(answer, 500, "internal-error")
    assert answer.json["request_id"] == "find-me-1"
    for inside in ("RuntimeError", "inside", "hunter2", "Traceback", "postgresql", ".py"):
        assert inside not in answer.text
    written = capsys.readouterr().err
    assert "RuntimeError" in written
    assert "find-me-1" in written
    assert "hunter2" not in written


def test_debug_and_testing_mode_change_nothing_in_a_500(make_app: MakeApp) -> None:
    app = make_app()
    app.testing = app.debug = True
    assert is_problem(app.test_client().get("/test/failing"), 500, "internal-error")


def test_exceptions_of_http_keep_their_headers_and_words(make_app: MakeApp) -> None:
    app = make_app()
    raised: list[HTTPException] = [TooManyRequests("Slowly, please.", retry_after=7), NotFound()]

    @app.get("/test/refusing")
    @public
    def refuse() -> str:
        raise raised.pop(0)

    first, second = app.test_client().get("/test/refusing"), app.test_client().get("/test/refusing")
    assert is_problem(first, 429, "too-many-requests")
    assert first.json["detail"] == "Slowly, please."
    assert first.headers["Retry-After"] == "7"
    assert is_problem(second, 404, "not-found")


def test_an_expected_problem_carries_its_members_and_headers(make_app: MakeApp) -> None:
    app = make_app()
    raised: list[Exception] = [problems.TotalChanged(total_amount="240.00"), problems.DatabaseUnavailable()]

    @app.get("/test/refusing")
    @public
    def refuse() -> str:
        raise raised.pop(0)

    changed, away = app.test_client().get("/test/refusing"), app.test_client().get("/test/refusing")
    assert is_problem(changed, 409, "total-changed")
    assert changed.json["total_amount"] == "240.00"
    assert is_problem(away, 503, "database-unavailable")
    assert away.headers["Retry-After"] == "1"


def test_each_type_of_problem_has_a_page_that_anybody_may_read(client: FlaskClient, customer: Customer) -> None:
    seen = [client.get("/nowhere"), client.get("/api/cart"), customer.get(f"/api/payments/{uuid4()}")]
    for answer in seen:
        page = client.get(answer.json["type"])
        assert page.status_code == 200
        assert page.json["status"] == answer.status_code
        assert page.json["type"] == answer.json["type"]
    assert is_problem(client.get("/problems/unheard-of"), 404, "not-found")


def test_no_two_problems_share_a_slug() -> None:
    found: list[type[problems.Problem]] = []
    waiting = [problems.Problem]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    slugs = [kind.slug for kind in found]
    assert len(slugs) > 15
    assert sorted(set(slugs)) == sorted(slugs)
