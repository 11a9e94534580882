"""What is raised in place of an answer."""

from __future__ import annotations

import json
import math

import httpx

from checkout_client.models.problem import Problem


class CheckoutError(Exception):
    """The answer is not what the operation answers with."""

    def __init__(self, response: httpx.Response, message: str) -> None:
        super().__init__(message)
        self.response = response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def idempotency_key(self) -> str | None:
        """What the call was sent with, where it takes one: the same call with the same key is done once."""
        key: str | None = self.response.request.headers.get("Idempotency-Key")
        return key

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to ask again, where the service says so."""
        try:
            seconds = float(self.response.headers.get("Retry-After", ""))
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) else None


class LostCallError(Exception):
    """A call that takes an Idempotency-Key got no answer, however often it was sent; it may be done all the same.

    The same call with the same ``idempotency_key`` is done once. Of httpx is the ``__cause__``.
    """

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"no answer; repeat the call with the Idempotency-Key {idempotency_key}")
        self.idempotency_key = idempotency_key


class ProblemError(CheckoutError):
    """The service refused: ``problem`` says why; members of one type alone are in its ``additional_properties``."""

    def __init__(self, response: httpx.Response, problem: Problem) -> None:
        super().__init__(response, f"{problem.status} {problem.title}: {problem.detail} ({problem.request_id})")
        self.problem = problem

    @property
    def slug(self) -> str:
        """The last part of the problem's type, which is stable: ``out-of-stock``."""
        return self.problem.type_.rpartition("/")[2]


class UnexpectedAnswerError(CheckoutError):
    """No answer of the service: one of a proxy before it, or of a release that this client does not know."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response, f"unexpected answer {response.status_code}: {response.text[:200]}")


def raise_for_problem(response: httpx.Response) -> None:
    """Raise ProblemError for a problem document, and UnexpectedAnswerError for an error that is none."""
    if response.status_code < 400:
        return
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type == "application/problem+json":
        try:
            problem = Problem.from_dict(json.loads(response.content))
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswerError(response) from None
        raise ProblemError(response, problem)
    raise UnexpectedAnswerError(response)
