"""Which addresses events may be sent to: hostile URLs, and every address that a name may resolve to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from checkout_service.endpoints.addresses import Policy, RefusedAddressError, allowed, check_url

PUBLIC = Policy()
OPEN = Policy(private=True)

GOOD = [
    ("https://shop.example.com", "shop.example.com", 443),
    ("https://shop.example.com/hooks?a=b&c=%20d", "shop.example.com", 443),
    ("https://SHOP.Example.com:8443/x", "shop.example.com", 8443),
    ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
    ("https://1and1.example/", "1and1.example", 443),
    ("https://a_b.example/", "a_b.example", 443),
    ("https://93.184.215.14/", "93.184.215.14", 443),
    ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443),
]

HOSTILE = [
    *("", " ", "shop.example.com", "//shop.example.com", "https:", "https://", "https:///path"),
    "https:/shop.example.com",
    *("http://shop.example.com/", "ftp://shop.example.com/", "file:///etc/passwd", "gopher://shop.example.com/"),
    *("javascript:alert(1)", "HTTPS ://shop.example.com", " https://shop.example.com", "https://shop.example.com\n"),
    # Who could be taken for the host.
    *("https://mira:secret@shop.example.com/", "https://mira@shop.example.com/", "https://@shop.example.com/"),
    *("https://shop.example.com@10.0.0.1/", "https://10.0.0.1#@shop.example.com/", "https://shop.example.com#f"),
    *("https://shop.example.com\\@10.0.0.1/", "https://10.0.0.1\\.shop.example.com/", "https://shop.example.com/\\x"),
    *("https://shop.example.com%2f@10.0.0.1/", "https://shop.example.com%00.evil.example/", "https://%31%30.0.0.1/"),
    # Ports.
    *("https://shop.example.com:22/", "https://shop.example.com:80/", "https://shop.example.com:6379/"),
    *("https://shop.example.com:0/", "https://shop.example.com:/", "https://shop.example.com:65536/"),
    *("https://shop.example.com:-1/", "https://shop.example.com:4４3/", "https://shop.example.com:443:443/"),
    # Our own network, by its name and number.
    *("https://localhost/", "https://LOCALHOST:8443/", "https://shop.localhost/", "https://localhost.localdomain/"),
    *("https://db/", "https://db.internal/", "https://metadata.google.internal/", "https://nas.local/"),
    *("https://127.0.0.1/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/", "https://0.0.0.0/"),
    *("https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://255.255.255.255/"),
    *("https://224.0.0.1/", "https://240.0.0.1/", "https://198.18.0.1/", "https://192.0.2.1/"),
    # The same in other spellings.
    *("https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/"),
    *("https://127.0.1/", "https://0/", "https://00.0.0.0/", "https://010.0.0.1/", "https://127.0.0.1./"),
    *("https://127.0.0.01/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://169.254.43518/", "https://0xa9fea9fe/"),
    *("https://shop.example.0x7f/", "https://shop.example.1/", "https://１２７.0.0.1/", "https://127。0。0。1/"),
    *("https://ⓔxample.com/", "https://bücher.example/", "https://shop.example.com./", "https://shop..example.com/"),
    *("https://-shop.example.com/", "https://.example.com/", "https://" + "a" * 64 + ".example/"),
    *("https://" + "a." * 127 + "example/", "https://shop.example.com/" + "a" * 2000),
    # IPv6 and what is within it.
    *("https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
    *("https://[::127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/", "https://[2002:7f00:1::]/", "https://[2002:a00:1::1]/"),
    *("https://[64:ff9b::10.0.0.1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::1]/"),
    *("https://[2001:0:53aa:64c:0:fbff:f5ff:fffe]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/"),
    *("https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[ff02::1]/"),
    *("https://[2001:db8::1]/", "https://[100::1]/", "https://[4000::1]/", "https://[::1/", "https://::1/"),
    *("https://[2606:4700::1111].evil.example/", "https://evil.example[2606:4700::1111]/", "https://[2606:4700::1111]%2f/"),
    *("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c%eth0]/", "https://[v1.fe]/", "https://[127.0.0.1]/"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "host", "port"), GOOD)
def test_a_public_address_is_taken(url: str, host: str, port: int) -> None:
    target = check_url(url, PUBLIC)
    assert (target.scheme, target.host, target.port) == ("https", host, port)
    assert (target.address is not None) == (host[0] == "9" or ":" in host)


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(RefusedAddressError) as refused:
        check_url(url, PUBLIC)
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:9000/hooks", "http://127.0.0.1:8080/", "https://db:6379/", "http://[::1]:9000/x"),
        *("http://192.168.1.20/", "https://10.0.0.1:22/", "http://[fd12:3456::1]/", "http://[::ffff:10.0.0.1]/"),
        "https://shop.example.com/",
    ],
)
def test_the_setting_opens_private_networks_http_and_every_port(url: str) -> None:
    check_url(url, OPEN)


@pytest.mark.parametrize(
    "url",
    [
        *("http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/"),
        *(
            "http://[fe80::1]/",
            "http://224.0.0.1/",
            "http://mira@localhost/",
            "http://2130706433/",
            "http://100.100.100.200/",
        ),
        *("ftp://localhost/", "http://localhost:0/", "http://127.0.0.1./", "http://0x7f.1/"),
    ],
)
def test_the_setting_opens_no_metadata_and_no_odd_spelling(url: str) -> None:
    with pytest.raises(RefusedAddressError):
        check_url(url, OPEN)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        *((each, True, True) for each in ("1.1.1.1", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.255.255")),
        *((each, True, True) for each in ("2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "100.128.0.1")),
        *((each, False, True) for each in ("10.0.0.1", "127.0.0.1", "127.255.255.254", "172.31.255.255")),
        *((each, False, True) for each in ("192.168.0.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1")),
        *((each, False, False) for each in ("0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.192", "224.0.0.1")),  # noqa: S104
        *(
            (each, False, False)
            for each in ("255.255.255.255", "240.0.0.1", "168.63.129.16", "::", "fe80::1", "fec0::1")
        ),
        *((each, False, False) for each in ("ff02::1", "fe80::1%eth0", "2606:4700::1111%eth0", "2002:101:101::1")),
        *((each, False, False) for each in ("2001::1", "2001:db8::1", "3fff::1", "::1.1.1.1", "64:ff9b:1::1.1.1.1")),
        *((each, False, False) for each in ("192.88.99.1", "198.19.0.1", "203.0.113.1", "5f00::1", "fd20:ce::254")),
        *((each, False, False) for each in ("::ffff:169.254.169.254", "64:ff9b::169.254.169.254")),
        ("64:ff9b::10.0.0.1", False, True),
    ],
)
def test_each_address_is_judged_by_what_it_is(address: str, public: bool, private: bool) -> None:
    assert (allowed(ip_address(address), PUBLIC), allowed(ip_address(address), OPEN)) == (public, private)


def test_ports_are_those_of_the_setting() -> None:
    own = Policy(ports=frozenset({9443}))
    assert check_url("https://shop.example.com:9443/", own).port == 9443
    with pytest.raises(RefusedAddressError, match="9443"):
        check_url("https://shop.example.com/", own)
