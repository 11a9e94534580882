"""Tasks by their names, for processes that send and run none: beat, and Flower with its Apply.

Their functions would bring the database, the providers and the whole of the worker along: half of the memory of such a
process. A declaration says what a message needs, and whether it takes an argument.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, Task

from checkout_service.tasks import Declaration, TaskName


class NamedTask(Task[Any, Any]):
    """A task whose function is elsewhere: it can be sent, and what its function would not take is refused."""

    def __init__(self, declaration: Declaration) -> None:
        self.name = declaration.name
        self.__header__ = _takes_an_id if declaration.argument else _takes_nothing

    def run(self, *_: Any, **__: Any) -> Any:
        """Nobody calls it: workers load functions. Raises NotImplementedError."""
        raise NotImplementedError(f"{self.name} is run by workers alone")


def register_names(app: Celery) -> None:
    """Have the app know every task that is declared, where it does not yet. It must run none of them."""
    for task in TaskName:
        if task.value not in app.tasks:
            app.register_task(NamedTask(task.declaration))


def _takes_nothing() -> None:
    """As the functions of tasks without an argument."""


def _takes_an_id(_id: str) -> None:
    """As the functions of tasks about a row."""
