"""Whole files of banks, of invented data: two of camt.053 and two styles of MT940."""

from tests.settlements.banks.documents import balance, booked, detail, document, statement

DETAILS_OF_02 = document(
    statement(
        balance("OPBD", "0.00"),
        balance("CLBD", "95.00"),
        booked(
            "95.00",
            ref="BANKREF0009",
            status="<Sts>BOOK</Sts>",
            details="<Btch><NbOfTxs>2</NbOfTxs></Btch>"
            + detail(
                text="payout one",
                refs="<EndToEndId>NOTPROVIDED</EndToEndId>",
                instead='<AmtDtls><InstdAmt><Amt Ccy="USD">50.00</Amt></InstdAmt>'
                '<TxAmt><Amt Ccy="EUR">45.30</Amt></TxAmt></AmtDtls>',
            )
            + detail(text="payout two", instead='<AmtDtls><TxAmt><Amt Ccy="EUR">49.70</Amt></TxAmt></AmtDtls>'),
        ),
    ),
    version="camt.053.001.02",
)
"""One of the two payouts was instructed in another currency."""

PAYOUTS_OF_08 = document(
    statement(
        balance("OPBD", "1000.00"),
        balance("CLBD", "1309.79"),
        booked(
            "49.70",
            number="1",
            ref="BANKREF0001",
            details=detail("49.70", mark="CRDT", text="TULIP SHOP", refs="<EndToEndId>MADEUP-E2E-1</EndToEndId>"),
        ),
        booked(
            "250.00",
            number="2",
            ref="BANKREF0002",
            details=detail("90.09", mark="CRDT", text="TX900000000041XT batch 41, Tulip")
            + detail("159.91", mark="CRDT", text="0000001.2611.27"),
        ),
        booked("70.09", number="3", ref="BANKREF0003", details="<Btch><NbOfTxs>2</NbOfTxs></Btch>"),
        booked(
            "60.00", number="4", ref="BANKREF0004", mark="DBIT", reversal="true", more="an earlier credit taken back"
        ),
    )
)
"""A payout, a batch of two with details, one without, and a reversal."""

DUTCH = """:20:MADEUP228
:25:NL00MADE0000000001EUR
:28C:228/1
:60F:C261126EUR1000,00
:61:2611271127C49,70NTRFNONREF//BANKREF0001
:86:/EREF/MADEUP-E2E-1//CNTP/IE00MADE///STRIPE PAYMENTS EUROPE///REMI/USTD//TULIP SHOP/
:61:2611201127RC60,00NTRFNONREF//BANKREF0004
:86:/REMI/USTD//made-up reversal of a credit/
:62F:C261127EUR989,70
-
"""

GERMAN = """:20:STARTUMS
:25:00000000/0000000001
:28C:00228/001
:60F:C261126EUR1000,00
:61:2611271127CR90,09N166NONREF//BANKREF0002
:86:166?00GUTSCHRIFT?109248?20EREF+MADEUP-E2E-2?21SVWZ+TX900000000041XT batc?22h 41, TulipShopECOM?30MADEDEFF?31DE00MA\
DE?32ADYEN N.V.
:61:2611201127RCR60,00N166NONREF//BANKREF0004
:86:166?00STORNO?20SVWZ+made-up reversal?32STRIPE
:62F:C261127EUR1030,09
-
"""
