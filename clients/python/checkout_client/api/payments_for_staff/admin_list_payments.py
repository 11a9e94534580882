"""Find payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.admin_list_payments_status import AdminListPaymentsStatus
from ...models.staff_payment_page import StaffPaymentPage
from ...types import UNSET, Response, Unset


def _request(
    *,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminListPaymentsStatus | Unset = UNSET,
    provider: str | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    updated_after: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    params: dict[str, Any] = {}

    json_customer: str | Unset = UNSET
    if not isinstance(customer, Unset):
        json_customer = str(customer)
    params["customer"] = json_customer

    params["subject"] = subject

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status

    params["status"] = json_status

    params["provider"] = provider

    params["since"] = since

    params["until"] = until

    params["reference"] = reference

    params["updated_after"] = updated_after

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/payments",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> StaffPaymentPage:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = StaffPaymentPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminListPaymentsStatus | Unset = UNSET,
    provider: str | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    updated_after: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[StaffPaymentPage | None]:
    """As `sync`, with the answer's status and headers; `parsed` is None where it is still as `if_none_match` says."""
    response = call(
        client,
        _request(
            customer=customer,
            subject=subject,
            status=status,
            provider=provider,
            since=since,
            until=until,
            reference=reference,
            updated_after=updated_after,
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


def sync(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminListPaymentsStatus | Unset = UNSET,
    provider: str | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    updated_after: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> StaffPaymentPage:
    """Find payments.

    Takes the scope `payments:read`. Everybody's payments that all filters let through, newest first, in keyset pages:
    pass next_cursor as cursor to go on, with the same filters. A page looks through 20,000 payments at most, so it may
    hold fewer than limit, even none, while has_more says that there may be others.

    With `updated_after` it is what changed since, the first change first: go through all pages, and ask later with the
    greatest `updated_at` that came. A payment that changes meanwhile comes once more; its `version` tells. `updated_at`
    is when the change began to be written, so one that was written for longer than another may appear behind a place
    that you passed: ask from a minute before that place, and leave out what you have by `id` and `version`. Who must
    miss no change at all reads the events (`/api/admin/events`), which have numbers without a gap.
    """

    return _read(
        call(
            client,
            _request(
                customer=customer,
                subject=subject,
                status=status,
                provider=provider,
                since=since,
                until=until,
                reference=reference,
                updated_after=updated_after,
                limit=limit,
                cursor=cursor,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminListPaymentsStatus | Unset = UNSET,
    provider: str | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    updated_after: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
    if_none_match: str | Unset = UNSET,
) -> Response[StaffPaymentPage | None]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            customer=customer,
            subject=subject,
            status=status,
            provider=provider,
            since=since,
            until=until,
            reference=reference,
            updated_after=updated_after,
            limit=limit,
            cursor=cursor,
            if_none_match=if_none_match,
        ),
    )
    return Response(response, None if response.status_code == 304 else _read(response))


async def asyncio(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminListPaymentsStatus | Unset = UNSET,
    provider: str | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    reference: str | Unset = UNSET,
    updated_after: str | Unset = UNSET,
    limit: int | Unset = 20,
    cursor: str | Unset = UNSET,
) -> StaffPaymentPage:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                customer=customer,
                subject=subject,
                status=status,
                provider=provider,
                since=since,
                until=until,
                reference=reference,
                updated_after=updated_after,
                limit=limit,
                cursor=cursor,
            ),
        )
    )
