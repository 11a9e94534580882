"""A client of the checkout service. `api` has a module for each operation, `models` what they take and answer with."""

from checkout_client.client import Client
from checkout_client.errors import CheckoutError, LostCallError, ProblemError, UnexpectedAnswerError
from checkout_client.paging import each, each_async
from checkout_client.types import UNSET, Response, Unset
from checkout_client.watching import PaymentUnchangedError, wait_for_payment, wait_for_payment_async

__all__ = [
    "UNSET",
    "CheckoutError",
    "Client",
    "LostCallError",
    "PaymentUnchangedError",
    "ProblemError",
    "Response",
    "UnexpectedAnswerError",
    "Unset",
    "each",
    "each_async",
    "wait_for_payment",
    "wait_for_payment_async",
]
