"""Export orders as CSV."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from ...calling import call, call_async
from ...client import Client
from ...errors import UnexpectedAnswerError, raise_for_problem
from ...models.admin_export_orders_status import AdminExportOrdersStatus
from ...types import UNSET, Response, Unset


def _request(
    *,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminExportOrdersStatus | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    number: str | Unset = UNSET,
    email: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, str] = {}
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

    json_vendor: str | Unset = UNSET
    if not isinstance(vendor, Unset):
        json_vendor = str(vendor)
    params["vendor"] = json_vendor

    params["since"] = since

    params["until"] = until

    params["number"] = number

    params["email"] = email

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/admin/orders.csv",
        "params": params,
        "headers": headers,
    }
    return _kwargs


def _read(response: httpx.Response) -> str:
    raise_for_problem(response)
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    raise UnexpectedAnswerError(response)


def sync_detailed(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminExportOrdersStatus | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    number: str | Unset = UNSET,
    email: str | Unset = UNSET,
) -> Response[str]:
    """As `sync`, with the answer's status and headers."""
    response = call(
        client,
        _request(
            customer=customer,
            subject=subject,
            status=status,
            vendor=vendor,
            since=since,
            until=until,
            number=number,
            email=email,
        ),
    )
    return Response(response, _read(response))


def sync(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminExportOrdersStatus | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    number: str | Unset = UNSET,
    email: str | Unset = UNSET,
) -> str:
    """Export orders as CSV.

    Takes the scope `orders:read`. All lines of the orders that the filters let through, the newest order
    first: RFC 4180 in UTF-8, amounts as the API writes them, times in UTC. `order_refunds` has each refund of the
    order's payment, as amount, status and id, with commas between. A cell that a spreadsheet would take for a
    formula begins with an apostrophe, after a semicolon as well. The file is complete: its length is told before its
    first byte.
    """

    return _read(
        call(
            client,
            _request(
                customer=customer,
                subject=subject,
                status=status,
                vendor=vendor,
                since=since,
                until=until,
                number=number,
                email=email,
            ),
        )
    )


async def asyncio_detailed(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminExportOrdersStatus | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    number: str | Unset = UNSET,
    email: str | Unset = UNSET,
) -> Response[str]:
    """As `sync_detailed`, for programs that use asyncio."""
    response = await call_async(
        client,
        _request(
            customer=customer,
            subject=subject,
            status=status,
            vendor=vendor,
            since=since,
            until=until,
            number=number,
            email=email,
        ),
    )
    return Response(response, _read(response))


async def asyncio(
    *,
    client: Client,
    customer: UUID | Unset = UNSET,
    subject: str | Unset = UNSET,
    status: AdminExportOrdersStatus | Unset = UNSET,
    vendor: UUID | Unset = UNSET,
    since: str | Unset = UNSET,
    until: str | Unset = UNSET,
    number: str | Unset = UNSET,
    email: str | Unset = UNSET,
) -> str:
    """As `sync`, for programs that use asyncio."""
    return _read(
        await call_async(
            client,
            _request(
                customer=customer,
                subject=subject,
                status=status,
                vendor=vendor,
                since=since,
                until=until,
                number=number,
                email=email,
            ),
        )
    )
