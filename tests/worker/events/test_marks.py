"""Whether the log goes on from what a sender knew of it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import MakeShop, endpoint_row
from worker.events.claims import claim
from worker.events.marks import NO_MARK, Mark
from worker.events.reading import Numbers, read_numbers
from worker.events.results import Batch, Condition, write

pytestmark = pytest.mark.usefixtures("send")  # the worker's application


@pytest.fixture
def mark(sql: Sql) -> Mark:
    """Of a log of three events."""
    for _ in range(3):
        insert_event(sql)
    return read_numbers(NO_MARK).mark


def another(mark: Mark) -> Mark:
    """The same number in a log that was lost."""
    return mark._replace(event_id=uuid4())


def test_an_empty_log_has_no_mark_and_goes_on_from_none(sql: Sql) -> None:
    assert read_numbers(NO_MARK) == Numbers(NO_MARK, 0, True)
    assert read_numbers(Mark(1, None, uuid4())).go_on is False, "a copy of before the first event"


def test_it_goes_on_from_each_of_its_numbers(sql: Sql, mark: Mark) -> None:
    (last,) = sql("SELECT seq, day, event_id FROM event_numbers ORDER BY seq DESC LIMIT 1")
    assert mark == tuple(last)
    insert_event(sql)
    numbers = read_numbers(mark)
    assert (numbers.last, numbers.go_on) == (4, True)


def test_it_does_not_go_on_from_a_number_that_another_event_has(sql: Sql, mark: Mark) -> None:
    insert_event(sql)
    assert read_numbers(another(mark)).go_on is False


def test_what_is_dropped_is_believed(sql: Sql, mark: Mark) -> None:
    """The log keeps nothing that could say otherwise."""
    sql("UPDATE event_series SET dropped_seq = 3")
    sql("DELETE FROM event_numbers")
    assert read_numbers(mark).go_on is True


def test_a_claim_says_how_far_the_log_is_and_whether_it_goes_on(sql: Sql, make_shop: MakeShop, mark: Mark) -> None:
    shops = [make_shop(), make_shop()]
    insert_event(sql)
    first = claim(uuid4(), held=[], most=1)
    assert (first.mark, first.goes_on) == (read_numbers(NO_MARK).mark, True)
    other = claim(uuid4(), held=[], most=1, mark=another(mark))
    assert (other.mark, other.goes_on) == (first.mark, False)
    assert {each.id for each in first.endpoints + other.endpoints} == {shop.id for shop in shops}
    none = claim(uuid4(), held=[], most=1, mark=mark)
    assert (none.endpoints, none.mark) == ([], mark)


def test_no_place_is_beyond_what_the_claim_saw(sql: Sql, make_shop: MakeShop, mark: Mark) -> None:
    """Somebody else wrote it since; what comes twice is better than what never does."""
    make_shop()
    insert_event(sql)
    sql("UPDATE webhook_endpoints SET place = 9, next_due_at = now()")
    (claimed,) = claim(uuid4(), held=[], most=1).endpoints
    assert claimed.place == 4


@pytest.mark.parametrize("same", [True, False])
def test_results_are_written_to_the_log_that_they_are_of(sql: Sql, make_shop: MakeShop, mark: Mark, same: bool) -> None:
    shop = make_shop()
    insert_event(sql)
    token = uuid4()
    claimed = claim(token, held=[], most=1)
    batch = Batch(conditions={shop.id: Condition(4, claimed.endpoints[0].version, True, 0, None, 0)})
    written = write(token, batch, claimed.mark if same else another(claimed.mark))
    assert set(written.versions) == ({shop.id} if same else set[UUID]())
    assert endpoint_row(sql, shop).place == (4 if same else 3)
