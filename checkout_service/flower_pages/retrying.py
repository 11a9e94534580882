"""Sends a failed task again: ``POST /api/task/retry/<task-id>``, and the page ``/failed`` that lists what can be."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from flower.api.tasks import BaseTaskHandler
from flower.utils.tasks import get_task_by_id
from flower.views import BaseHandler
from tornado import web

from checkout_service.tasks import TaskName

RETRYABLE: Final = frozenset({"FAILURE", "REVOKED", "REJECTED"})
LISTED: Final = 500


class NotRetryableError(Exception):
    """This task cannot be sent again; the message tells an operator why."""


class RetryTask(BaseTaskHandler):  # type: ignore[misc]  # Flower has no types
    """Sends a failed task again with the one id that it had, and answers with the new task's id.

    A task shows its arguments as a text that may have been cut short and still read well, so nothing but one id is
    taken from it: the row behind that id holds everything else.
    """

    @web.authenticated
    async def post(self, task_id: str) -> None:
        if self.application.options.read_only:
            raise web.HTTPError(403, "Read only mode is enabled")
        task = get_task_by_id(self.application.events, task_id)
        if task is None:
            raise web.HTTPError(404, f"Unknown task '{task_id}'")
        if task.state not in RETRYABLE:
            raise web.HTTPError(409, f"The task is {task.state}: only what failed can be retried")
        try:
            found = retryable(task)
        except NotRetryableError as error:
            raise web.HTTPError(422, str(error)) from error
        new_id = str(uuid4())
        await self.run_blocking(
            "task.retry",
            task_id,
            self.capp.send_task,
            found.name,
            args=[str(found.row_id)],
            argsrepr=repr((str(found.row_id),)),
            kwargsrepr="{}",
            task_id=new_id,
            queue=found.name.declaration.queue.value,
            headers={"operator": str(self.current_user)},
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2},
        )
        self.write({"task-id": new_id, "retry-of": task_id})


class FailedTasks(BaseHandler):  # type: ignore[misc]  # Flower has no types
    """The newest failed tasks, each with its button."""

    @web.authenticated
    def get(self) -> None:
        tasks = [task for task in _newest_first(self.application.events.state) if task.state in RETRYABLE]
        self.render("failed.html", tasks=tasks[:LISTED], more=len(tasks) > LISTED, read_only=self._read_only)

    @property
    def _read_only(self) -> bool:
        return bool(self.application.options.read_only)


def webhook_url(console_url: str, task: Any) -> str:
    """Where the console shows the webhook that a task is about; empty where there is no console, or no webhook."""
    if not console_url:
        return ""
    try:
        found = retryable(task)
    except NotRetryableError:
        return ""
    return f"{console_url}/webhooks/{found.row_id}" if found.name is TaskName.PROCESS_WEBHOOK else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableTask:
    """A task to send again: its name, and the one id that is its argument."""

    name: TaskName
    row_id: UUID


def retryable(task: Any) -> RetryableTask:
    """What to send again. Raises NotRetryableError unless it is a task of ours with exactly one id as its argument."""
    try:
        name = TaskName(task.name)
    except ValueError:
        raise NotRetryableError(f"{task.name or 'The task'} is no task of this service") from None
    if task.kwargs not in {None, "", "{}"}:
        raise NotRetryableError("The task has keyword arguments; only a task with exactly one id can be retried")
    try:
        arguments = ast.literal_eval(task.args or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        arguments = None
    if not isinstance(arguments, (tuple, list)) or len(arguments) != 1 or not isinstance(arguments[0], str):
        raise NotRetryableError("The task's arguments are not exactly one id, or were cut short")
    try:
        row_id = UUID(arguments[0])
    except ValueError:
        row_id = None
    if row_id is None or str(row_id) != arguments[0]:
        raise NotRetryableError("The task's argument is not an id")
    return RetryableTask(name=name, row_id=row_id)


def why_not(task: Any) -> str:
    """Why the task has no Retry button; empty when it has one."""
    if task.state not in RETRYABLE:
        return f"The task is {task.state}"
    try:
        retryable(task)
    except NotRetryableError as error:
        return str(error)
    return ""


def _newest_first(state: Any) -> list[Any]:
    return [task for _, task in state.tasks_by_time()]
