"""How a provider describes itself: plain data, which web, worker and settings read without loading its adapter.

``checkout_service/providers/adapters/NAME/spec.py`` holds one as ``spec``. A provider from another distribution has
its own anywhere, and names it by an entry point of the group ``checkout_service.providers`` (see ``registry``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from checkout_service.providers.minor_units import MinorUnits
from checkout_service.providers.reports import ReportForm
from checkout_service.settings.provider_accounts import AccountForm

BodyKind = Literal["json", "form"]

CONTENT_TYPE: Final = "content-type"

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFormat:
    """What the webhook receiver must know of a provider: never a secret, never how to verify or parse a webhook.

    ``body`` is the kind of body that is taken, ``headers`` are those that are kept (names in lower case), for the
    adapter to verify. ``acknowledgement`` is the text, with status 200, that a provider wants in place of our 202.

    ``other_body`` is a second kind that comes to the same address, where a provider has two: the Content-Type alone
    tells which one a webhook is of (``kind_of``), and is among ``headers`` then, so that whoever verifies it takes it
    for the same.

    ``names`` are the places in a body where names of payments stand, the surest first: ``data.object.id`` is a path
    through objects, and ``*`` stands for each item of a list; of a form it is a field. Of an address the last step is a
    name, or with ``href/payments`` the one behind ``/payments/``. Our own ids and references are
    among them as well as the provider's names. They are read of rejected webhooks, to tell which of them matter.

    ``signing`` are headers, covered by the signature, that together name one act of signing, where the signature covers
    a checksum of the body alone: one body is believed for each.
    """

    body: BodyKind
    other_body: BodyKind | None = None
    headers: tuple[str, ...] = ()
    acknowledgement: str | None = None
    names: tuple[str, ...] = ()
    signing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.other_body is not None and CONTENT_TYPE not in self.headers:
            raise ValueError(f"a format of two kinds of body keeps the header {CONTENT_TYPE}")

    def kind_of(self, content_type: str | None) -> BodyKind | None:
        """The kind of body by its Content-Type (RFC 9110, 8.3), never by what is in it; None of one that is not taken.

        Where a provider has one kind alone it is that, whatever the header says. Without a header it is ``body``.
        """
        if self.other_body is None or not content_type:
            return self.body
        media_type = content_type.partition(";")[0].strip().lower()
        kind: BodyKind | None = None
        if media_type == _FORM:
            kind = "form"
        elif media_type == "application/json" or (media_type.startswith("application/") and media_type[-5:] == "+json"):
            kind = "json"
        return kind if kind in (self.body, self.other_body) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Where a person finds a payment in the provider's dashboard: the address of one, by the provider's name for it.

    ``live`` and ``test`` are addresses with ``{ref}``, which is escaped. ``of`` says which name that is: the payment's
    own reference, or that of an attempt. ``mode_option`` is the option of an account that tells live from test, with
    what it is where nothing is set; an account that neither pattern is found in leads nowhere.
    """

    live: str
    test: str
    of: Literal["payment", "attempt"]
    mode_option: str
    default: str = ""
    live_pattern: str = ""
    test_pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """A provider: its name in addresses and in settings, the settings of an account, its webhooks, and its adapter.

    ``several_captures`` says that an authorisation may be captured several times whatever the account is. Else its
    option ``multicapture``, where the form has one, says so with "on".

    ``minor_units`` are the currencies that have other decimals there than in ISO 4217, and others that were looked up,
    each with its source. A provider that names none counts as the standard does.

    ``looks_up_all`` says that a look-up finds refunds and captures as well, not alone whether it is paid.

    ``provider`` is where its class is ("package.module:Class"); it is loaded when an account is used for the first
    time, so that an SDK costs nothing where nobody has an account. The class takes an ``Account`` and is a
    ``base.Provider`` of the same name. ``evidence`` is where evidence about a dispute is sent, ``dashboard`` where a
    person finds a payment; None where nobody knows. ``reports`` is of a provider whose reports of settled money can be
    read.
    """

    name: str
    account: AccountForm
    webhooks: WebhookFormat
    provider: str
    evidence: str = "the provider's dashboard"
    dashboard: Dashboard | None = None
    several_captures: bool = False
    minor_units: tuple[MinorUnits, ...] = ()
    looks_up_all: bool = True
    reports: ReportForm | None = None
