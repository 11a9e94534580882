"""What the providers' own packages publish of their requests and statuses, boiled down to published.json.

The packages are large and not needed to run anything, so a test reads the file, which this makes anew:

    npm pack @adyen/api-library @mollie/api-client   (unpacked into folders of their own)
    pip download --no-deps paypal-server-sdk         (likewise)
    python -m tests.providers.compat.published ADYEN MOLLIE PAYPAL
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")


def main(adyen: Path, mollie: Path, paypal: Path) -> None:
    FILE.write_text(
        json.dumps({"adyen": _adyen(adyen), "mollie": _mollie(mollie), "paypal": _paypal(paypal)}, indent=1) + "\n"
    )


def _adyen(package: Path) -> dict[str, Any]:
    types = package / "lib/src/typings"

    def request(name: str) -> dict[str, list[str]]:
        text = (types / f"checkout/{name}.d.ts").read_text()
        fields = re.findall(r'^    "(\w+)"(\??): ', text, re.MULTILINE)
        return {
            "required": [name for name, optional in fields if not optional],
            "optional": [name for name, optional in fields if optional],
        }

    return {
        "package": _npm(package),
        "requests": {
            name: request(name)
            for name in (
                *("paymentLinkRequest", "updatePaymentLinkRequest", "paymentRefundRequest", "paymentCaptureRequest"),
                *("paymentCancelRequest", "amount"),
            )
        },
        "link statuses": _enum(types / "checkout/paymentLinkResponse.d.ts", "StatusEnum"),
        "events": _enum(types / "notification/notificationRequestItem.d.ts", "EventCodeEnum"),
    }


def _mollie(package: Path) -> dict[str, Any]:
    types = package / "dist/types"

    def create(file: str) -> list[str]:
        declared = re.search(r"export type CreateParameters = .*", (types / file).read_text())
        assert declared, file
        return sorted(set(re.findall(r"'(\w+)'", declared[0])))

    return {
        "package": _npm(package),
        "requests": {
            "payment": create("binders/payments/parameters.d.ts"),
            "refund": create("binders/payments/refunds/parameters.d.ts"),
        },
        "payment statuses": _enum(types / "data/payments/data.d.ts", "PaymentStatus"),
        "refund statuses": _enum(types / "data/refunds/data.d.ts", "RefundStatus"),
        "embeds": _enum(types / "data/payments/data.d.ts", "PaymentEmbed"),
    }


def _paypal(package: Path) -> dict[str, Any]:
    models = package / "paypalserversdk/models"

    def request(name: str) -> dict[str, list[str]]:
        values = _assigned(models / f"{name}.py")
        optional = values.get("_optionals", [])
        return {"required": [key for key in values["_names"] if key not in optional], "optional": optional}

    def statuses(name: str) -> list[str]:
        return [value for key, value in _assigned(models / f"{name}.py").items() if key.isupper()]

    return {
        "package": next(folder.stem for folder in package.glob("paypal_server_sdk-*.dist-info")),
        "requests": {
            name: request(name)
            for name in (
                "order_request",
                "purchase_unit_request",
                "amount_with_breakdown",
                "payment_source",
                "paypal_wallet",
                "paypal_wallet_experience_context",
                "refund_request",
                "capture_request",
                "reauthorize_request",
                "money",
            )
        },
        "calls": _calls(package / "paypalserversdk/controllers"),
        "user actions": statuses("paypal_experience_user_action"),
        "intents": statuses("checkout_payment_intent"),
        "order statuses": statuses("order_status"),
        "authorization statuses": statuses("authorization_status"),
        "capture statuses": statuses("capture_status"),
        "refund statuses": statuses("refund_status"),
    }


def _calls(controllers: Path) -> dict[str, list[str]]:
    """By method and path, the headers that a call may have."""
    found = {}
    for file in ("orders", "payments", "o_auth_authorization"):
        for call in (controllers / f"{file}_controller.py").read_text().split("new_api_call_builder.request(")[1:]:
            path = re.search(r'\.path\("([^"]+)"\)\s*\.http_method\(HttpMethodEnum\.(\w+)\)', call)
            assert path, file
            named = re.findall(r'\.header_param\(Parameter\(\)\s*\.key\("([^"]+)"\)', call)
            found[f"{path[2]} {path[1]}"] = sorted(named)
    return found


def _npm(package: Path) -> str:
    described = json.loads((package / "package.json").read_text())
    return f"{described['name']}-{described['version']}"


def _enum(file: Path, name: str) -> list[str]:
    found = re.search(rf"enum {name} \{{(.*?)\}}", file.read_text(), re.DOTALL)
    assert found, name
    return re.findall(r'= "([^"]+)"', found[1])


def _assigned(file: Path) -> dict[str, Any]:
    """The constants of a file's only class, without running it."""
    (model,) = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
    return {
        target.id: ast.literal_eval(node.value)
        for node in model.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
