"""What a process may know of an account at a provider, and which settings say it: plain data, and secrets.

Which providers there are is not known here: see ``checkout_service.providers.registry``.

A setting is the provider's name and an option in capitals: ``stripe`` and ``api_key`` make STRIPE_API_KEY.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from checkout_service.settings.secret import Secret
from checkout_service.settings.secret_forms import Check

HOLD_LIMIT: Final = timedelta(days=3)
"""How long a bank may take to say whether money comes, where nobody set it for the provider's methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The values of a provider's settings, by option; the secrets of its webhooks, all live; none of it prints.

    The web tier has no secrets. ``tolerance`` is how far a signed timestamp may be from the receipt.
    ``deployment`` is our name of ourselves at a provider, for those accounts that other shops use too: '' for none.
    ``hold_limit`` is for how long after its session's end a payment's pieces stay held while its money is under way.
    """

    options: Mapping[str, Secret] = field(default_factory=dict)
    secrets: Sequence[Secret] = ()
    tolerance: timedelta = timedelta(seconds=300)
    deployment: str = ""
    hold_limit: timedelta = HOLD_LIMIT

    def option(self, name: str) -> str | None:
        """What is set, or None."""
        found = self.options.get(name)
        return found.reveal() if found else None

    def keys(self) -> list[bytes]:
        """The live secrets as bytes, in their order."""
        return [secret.reveal().encode() for secret in self.secrets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that an adapter needs: the ``module`` that must be there, and what pip has to ``install`` for it.

    ``extra`` in place of that is one of our own. It is named by the file that we were installed from and never by our
    name: in an index that may be anybody's.
    """

    module: str
    install: str = ""
    extra: str = ""

    @property
    def remedy(self) -> str:
        """What to do where it is missing, in words."""
        if self.extra:
            file = "the file that this service was installed from"
            return f"the extra {self.extra} of {file}: pip install 'FILE[{self.extra}]'"
        return f"pip install '{self.install}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForm:
    """The options of an account at a provider: ``needed`` to call it, ``optional``, and ``reading`` for its webhooks.

    What is for ``reading`` goes to the worker alone; ``secrets`` says whether <PROVIDER>_WEBHOOK_SECRETS is among it.
    It is needed; where ``secrets_needed_by`` names options, only while one of them has that value.
    ``shapes`` says what a value must look like (a pattern for the whole of it), and ``checks`` says in words what is
    wrong with one, so that a wrong one is found at start and not by its webhooks. Of ``webhook_secrets`` each is judged
    by itself. An option whose name ends in ``_base`` is an address. ``package`` must be installed for an account. A
    provider that takes no money is not for ``production``. ``misfit`` says which option does not go with the
    others, and why.
    """

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    secrets: bool = True
    secrets_needed_by: Mapping[str, str] | None = None
    shapes: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    misfit: Callable[[Mapping[str, str]], tuple[str, str] | None] | None = None
    package: Package | None = None
    production: bool = True
