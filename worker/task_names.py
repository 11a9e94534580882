"""Tasks by their names, for processes that send and run none: beat, and Flower with its Apply.

Their functions would bring the database, the providers and the whole of the worker along: half of the memory of such a
process. A declaration says what a message needs, and whether it takes an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from celery import Celery, Task

from checkout_service.tasks import Declaration, TaskName


class NamedTask(Task[Any, Any]):
    """A task whose function is elsewhere: it can be sent, and what its function would not take is refused."""

    abstract = True

    def run(self, *_: Any, **__: Any) -> Any:
        """Nobody calls it: workers load functions. Raises NotImplementedError."""
        raise NotImplementedError(f"{self.name} is run by workers alone")


def register_names(app: Celery) -> None:
    """Have the app know every task that is declared, where it does not yet. It must run none of them."""
    for task in TaskName:
        if task.value not in app.tasks:
            # A class for each: Celery looks up what the settings say of a task, its time limit among it, by the name
            # that its class has, and a message says the limit.
            own = {"name": task.value, "__header__": staticmethod(_takes_what_is_declared(task.declaration))}
            app.register_task(type(task.name, (NamedTask,), own)())


def _takes_what_is_declared(declaration: Declaration) -> Callable[..., None]:
    """What raises TypeError for arguments that the task's function does not take, as a call of it would."""
    names = [declaration.argument] if declaration.argument else []
    signature = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])

    def header(*arguments: Any, **named: Any) -> None:
        signature.bind(*arguments, **named)

    return header
