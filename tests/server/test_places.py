"""Places: each share has as many as it may, whoever finds one full is refused at once, and nothing stays behind."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from checkout_service.server.places import Places, ShareFullError
from tests.crowd import at_once


def test_a_share_has_as_many_places_as_it_may_and_no_other_share_pays_for_it() -> None:
    places = Places()
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(places.taken({"ann": 2, "everybody": 3}))

        with pytest.raises(ShareFullError) as full, places.taken({"ann": 2, "everybody": 3}):
            pass
        assert full.value.share == "ann"

        held.enter_context(places.taken({"bob": 2, "everybody": 3}))
        with pytest.raises(ShareFullError) as full, places.taken({"bob": 2, "everybody": 3}):
            pass
        assert full.value.share == "everybody"
    with places.taken({"ann": 1, "everybody": 1}):
        pass


def test_a_place_is_given_back_whatever_is_raised_in_it_and_a_refusal_takes_none() -> None:
    places = Places()
    for _ in range(3):
        with pytest.raises(KeyError), places.taken({"ann": 1}):
            raise KeyError
    with places.taken({"ann": 1}):
        for _ in range(3):
            with pytest.raises(ShareFullError), places.taken({"bob": 1, "ann": 1}):
                pass
        with places.taken({"bob": 1}):
            pass
    assert not places._taken, "a caller who is gone leaves nothing in memory"


def test_many_at_once_never_hold_more_than_the_share() -> None:
    places = Places()
    most: list[int] = []

    def work() -> None:
        for _ in range(500):
            try:
                with places.taken({"ann": 2}):
                    most.append(places._taken["ann"])
            except ShareFullError:
                pass

    at_once([work] * 6)
    assert max(most) <= 2
    assert not places._taken
