"""Why an endpoint is not made or changed, and why nothing is sent to it."""

from __future__ import annotations

from checkout_service.api.problems import Problem


class NoSecretsKey(Problem):
    status = 409
    slug = "no-webhook-secrets-key"
    title = "No key for secrets"
    default_detail = (
        "This deployment cannot keep a secret: whoever runs it has to set WEBHOOK_SECRETS_KEY, of the web tier and of "
        "the workers."
    )


class TooManyEndpoints(Problem):
    """``most`` is how many there may be."""

    status = 409
    slug = "too-many-webhook-endpoints"
    title = "Too many webhook endpoints"
    default_detail = "There are as many endpoints as there may be: delete one, or set WEBHOOK_ENDPOINTS_MAX."


class TooManySecrets(Problem):
    status = 409
    slug = "too-many-secrets"
    title = "Too many live secrets"
    default_detail = (
        "Ten secrets of this endpoint sign at this moment: wait until one ends, or rotate with expires_in 0, which "
        "ends all others at once."
    )


class EndpointDisabled(Problem):
    status = 409
    slug = "webhook-endpoint-disabled"
    title = "The webhook endpoint is disabled"
    default_detail = "Nothing is sent to this endpoint: enable it first."


class TooManyTestEvents(Problem):
    status = 409
    slug = "too-many-test-events"
    title = "Too many test events"
    default_detail = "Ten test events wait for this endpoint already: see its deliveries."


class TooManyReplays(Problem):
    status = 409
    slug = "too-many-replays"
    title = "Too many replays"
    default_detail = "Ten replays of this endpoint are under way: stop one first, or wait for it."
