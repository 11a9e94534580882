"""Objects of a provider that can be read by their own name alone, for providers that send news of such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from checkout_service.providers.base import ParsedWebhook, ThinEvent


@runtime_checkable
class SupportsNamedObjects(Protocol):
    """A provider whose thin events name an object (``object_ref``) that can be read by that name."""

    def look_up_object(self, news: Sequence[ThinEvent]) -> ParsedWebhook:
        """Read the one object that all these thin events name, and say what it says, as of a webhook.

        ``news`` is never empty, and all of it is verified. The events find their payments as those of webhooks do, and
        their ids name what was seen, so that seeing it again is no news. A thin event among them has no ``object_ref``:
        its payment is to be looked up. ``ignored`` tells why there are none. Raises one of the errors of a call;
        ProviderRefusedError with UNKNOWN_REFERENCE where there is no such object for this account.
        """
