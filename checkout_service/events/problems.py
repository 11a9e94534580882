"""Why events cannot be read on from a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from checkout_service.api.problems import Problem


class EventsDropped(Problem):
    """``oldest_seq`` is the least number from which can be read on."""

    status = 410
    slug = "events-dropped"
    title = "These events are no longer kept"
    default_detail = (
        "Some events after this number are no longer kept. Read what you keep of our objects anew from their lists, "
        "and go on with after= and the number in oldest_seq."
    )
    example: ClassVar[Mapping[str, Any]] = {"oldest_seq": 1042}


class EventsAhead(Problem):
    """``newest_seq`` is the last number that was given."""

    status = 409
    slug = "events-ahead"
    title = "This number was not given yet"
    default_detail = (
        "No event has this number yet: you remember it from another deployment, or the database was restored to an "
        "earlier moment. Read what you keep of our objects anew from their lists, and go on with after= and the number "
        "in newest_seq."
    )
    example: ClassVar[Mapping[str, Any]] = {"newest_seq": 1042}
