"""Puts many questions at once: a lane for each provider, so that one that is away delays nobody else's payments.

Only the calls to providers are made in threads of their own. Everything else, the database too, stays in the task's
thread: a run takes no more connections than it did before.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Final, TypeVar

from worker.context import providers
from worker.payments.status_queries import GIVE_UP_AFTER, Answer, Inquiry, StatusQueries

AT_ONCE: Final = GIVE_UP_AFTER
"""Calls to one provider that are under way at a time in a run: as many as are made in vain before it counts as away."""

Item = TypeVar("Item")

Claim = Callable[[Sequence[str] | None], Sequence[Inquiry]]
"""Claims further inquiries about payments of these providers, or of all."""


def in_turns(items: Iterable[Item], of: Callable[[Item], Hashable]) -> list[Item]:
    """The items, each one's first before anybody's second; ``of`` says whose an item is. Else the order stays."""
    taken: Counter[Hashable] = Counter()
    turns: list[tuple[int, Item]] = []
    for item in items:
        turns.append((taken[of(item)], item))
        taken[of(item)] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]


def _nothing(_: Sequence[str] | None) -> Sequence[Inquiry]:
    return ()


def ask_in_lanes(
    queries: StatusQueries, inquiries: Iterable[Inquiry] = (), *, claim: Claim = _nothing
) -> list[Inquiry]:
    """Ask all of these, and what can be claimed besides, while there is time; returns those that were not asked.

    A provider's are asked in their order, up to three at once. Once it is away, its others are left. Raises
    DatabaseUnavailableError, after the calls that are under way have ended.
    """
    return _Lanes(queries, claim).ask(inquiries)


class _Lanes:
    """What waits for each provider, and what is under way."""

    def __init__(self, queries: StatusQueries, claim: Claim) -> None:
        self._queries = queries
        self._claim = claim
        self._waiting: defaultdict[str, deque[Inquiry]] = defaultdict(deque)
        self._under_way: dict[Future[Answer], Inquiry] = {}
        self._may_have_more: set[str] = set()
        """Providers of which the last claim found some."""

    def ask(self, inquiries: Iterable[Inquiry]) -> list[Inquiry]:
        self._line_up(inquiries)
        if self._queries.may_go_on():
            self._line_up_more(None)
        with ThreadPoolExecutor(max(1, AT_ONCE * len(providers())), thread_name_prefix="look-up") as threads:
            while (goes_on := self._begin(threads)) or self._under_way:
                done, _ = wait(self._under_way, timeout=0 if goes_on else None, return_when=FIRST_COMPLETED)
                for future in done:
                    self._conclude(future)
        return [inquiry for lane in self._waiting.values() for inquiry in lane]

    def _line_up(self, inquiries: Iterable[Inquiry]) -> set[str]:
        """The providers that got some."""
        names = set()
        for inquiry in inquiries:
            self._waiting[inquiry.provider].append(inquiry)
            names.add(inquiry.provider)
        return names

    def _line_up_more(self, names: Sequence[str] | None) -> None:
        found = self._line_up(self._claim(names))
        self._may_have_more = self._may_have_more.difference(names or ()) | found

    def _begin(self, threads: ThreadPoolExecutor) -> bool:
        """Begin a few of each lane while there is time and patience; one that ran empty gets further ones.

        Returns whether more can begin at once. What makes no call (nobody can be asked, or it is due no more) takes
        room in no lane, and thousands of it must not keep answers waiting that are here.
        """
        for name, lane in self._waiting.items():
            for _ in range(AT_ONCE):
                if not (lane and self._has_room(name) and self._queries.may_go_on()):
                    break
                self._begin_one(threads, lane.popleft())
        if not self._queries.may_go_on():
            return False
        empty = [name for name in self._may_have_more if not self._waiting[name] and self._has_room(name)]
        if empty:
            self._line_up_more(empty)
        return any(lane and self._has_room(name) for name, lane in self._waiting.items())

    def _has_room(self, name: str) -> bool:
        """Never more at once than may fail before the provider counts as away."""
        return sum(inquiry.provider == name for inquiry in self._under_way.values()) < self._queries.patience(name)

    def _begin_one(self, threads: ThreadPoolExecutor, inquiry: Inquiry) -> None:
        if not inquiry.still_due():
            return
        call = self._queries.prepared(inquiry)
        if call is None:
            inquiry.then()
        else:
            # Its lines in the log carry what this task's carry.
            self._under_way[threads.submit(copy_context().run, call)] = inquiry

    def _conclude(self, future: Future[Answer]) -> None:
        inquiry = self._under_way.pop(future)
        if self._queries.conclude(inquiry, future.result):
            inquiry.then()
        else:
            inquiry.in_vain()
