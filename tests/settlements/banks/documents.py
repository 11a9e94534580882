"""Statements as banks write them, made of invented data, and what is read of them."""

from __future__ import annotations

from io import BytesIO

from checkout_service.providers.reports import Report, ReportLine
from checkout_service.settlements.banks.reading import read_statement

IBAN = "NL00MADE0000000001"


def read(content: bytes | str, *, account: str = "") -> tuple[Report, list[ReportLine]]:
    """The report of a file, and its lines: then the report is whole."""
    made = content.encode() if isinstance(content, str) else content
    report = read_statement(BytesIO(made), name="statement", account=account)
    return report, list(report.lines)


def is_proved(report: Report, lines: list[ReportLine]) -> bool:
    """Whether each section adds up, as entering checks it, and nothing contradicts itself."""
    for section in report.sections:
        sums: dict[str, object] = {}
        own = [line for line in lines if (line.account, line.section) == (section.account, section.name)]
        for line in own:
            sums[line.currency] = sums.get(line.currency, 0) + line.net  # type: ignore[operator]
        expected = dict(section.expected or {})
        if section.rows != len(own) or any(
            sums.get(currency, 0) != expected.get(currency, 0) for currency in {*sums, *expected}
        ):
            return False
    return report.faults == [] and report.sections != []


def amount(value: str, currency: str = "EUR") -> str:
    """An amount of a document."""
    return f'<Amt Ccy="{currency}">{value}</Amt>'


def balance(code: str, value: str, *, mark: str = "CRDT", day: str = "2026-11-27", currency: str = "EUR") -> str:
    """A balance of a statement."""
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{amount(value, currency)}<CdtDbtInd>{mark}</CdtDbtInd>"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def booked(
    value: str,
    *,
    mark: str = "CRDT",
    ref: str = "",
    number: str = "",
    details: str = "",
    more: str = "",
    day: str = "2026-11-27",
    status: str = "<Sts><Cd>BOOK</Cd></Sts>",
    reversal: str = "",
    currency: str = "EUR",
) -> str:
    """An entry of a statement of version 08."""
    return (
        f"<Ntry>{f'<NtryRef>{number}</NtryRef>' if number else ''}{amount(value, currency)}"
        f"<CdtDbtInd>{mark}</CdtDbtInd>"
        f"{f'<RvslInd>{reversal}</RvslInd>' if reversal else ''}{status}<BookgDt><Dt>{day}</Dt></BookgDt>"
        f"{f'<AcctSvcrRef>{ref}</AcctSvcrRef>' if ref else ''}<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>"
        f"{f'<NtryDtls>{details}</NtryDtls>' if details else ''}"
        f"{f'<AddtlNtryInf>{more}</AddtlNtryInf>' if more else ''}"
        "</Ntry>"
    )


def detail(
    value: str = "", *, text: str = "", mark: str = "", refs: str = "", currency: str = "EUR", instead: str = ""
) -> str:
    """A part of an entry; ``instead`` takes the place of its amount."""
    return (
        f"<TxDtls>{f'<Refs>{refs}</Refs>' if refs else ''}{amount(value, currency) if value else ''}"
        f"{f'<CdtDbtInd>{mark}</CdtDbtInd>' if mark else ''}{instead}"
        f"{f'<RmtInf><Ustrd>{text}</Ustrd></RmtInf>' if text else ''}</TxDtls>"
    )


def statement(
    *content: str, name: str = "S1", account: str = f"<IBAN>{IBAN}</IBAN>", number: str = "", page: str = ""
) -> str:
    """A statement of these balances and entries."""
    return (
        f"<Stmt><Id>{name}</Id>{page}{f'<ElctrncSeqNb>{number}</ElctrncSeqNb>' if number else ''}"
        f"<CreDtTm>2026-11-27T23:30:00+01:00</CreDtTm><Acct><Id>{account}</Id></Acct>{''.join(content)}</Stmt>"
    )


def document(*statements: str, version: str = "camt.053.001.08", message: str = "BkToCstmrStmt") -> str:
    """A document of these statements."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{version}">'
        f"<{message}>"
        f"<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-27T23:30:00+01:00</CreDtTm></GrpHdr>{''.join(statements)}"
        f"</{message}></Document>"
    )


def mt940(*lines: str, opening: str = "C261126EUR1000,00", closing: str = "C261127EUR1000,00") -> str:
    """One page with these entries."""
    return "\n".join(
        (":20:MADEUP", f":25:{IBAN}EUR", ":28C:228/1", f":60F:{opening}", *lines, f":62F:{closing}", "-", "")
    )
