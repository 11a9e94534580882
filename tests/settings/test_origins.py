"""Origins whose pages may use the API: each has one spelling, and what is none is refused at start, by its reason."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checkout_service.providers.registry import account_forms
from checkout_service.settings.origins import LONGEST, Origins, read_origins
from checkout_service.settings.values import SettingsError, WebSettings
from tests.settings.test_settings import environment

__all__ = ["environment"]

LISTED = "https://shop.example, https://*.preview.example,http://localhost:5173 ,https://*.preview.example:8443"


def read(listed: str) -> Origins:
    origins, faults = read_origins(listed)
    assert origins is not None, faults
    assert not faults
    return origins


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://192.0.2.7:8443", "https://192.0.2.7:8443"),
        ("https://intranet", "https://intranet"),
        ("https://localhost:5173", "https://localhost:5173"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://LOCALHOST", "http://localhost"),
    ],
)
def test_an_origin_is_read_into_the_spelling_that_browsers_send(written: str, sent: str) -> None:
    origins = read(written)
    assert origins == Origins(frozenset({sent}))
    assert origins.admits(sent)
    assert written == sent or not origins.admits(written)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("*", "every page there is"),
        ("null", "names nobody"),
        ("NULL", "names nobody"),
        ("https://*", "top-level domain|no name of DNS|elsewhere"),
        ("https://*.example", "top-level domain"),
        ("https://a.*.example", "elsewhere"),
        ("https://*.*.preview.example", "elsewhere"),
        ("https://pr-*.preview.example", "elsewhere"),
        ("https://*preview.example", "elsewhere"),
        ("https://preview.example:*", "port"),
        ("http://*.preview.example", "no https"),
        ("http://*.localhost", "top-level domain"),
        ("http://shop.example", "only localhost and 127.0.0.1"),
        ("http://127.0.0.2:8000", "only localhost and 127.0.0.1"),
        ("http://localhost.shop.example", "only localhost and 127.0.0.1"),
        ("shop.example", "must begin with https://"),
        ("//shop.example", "must begin with https://"),
        ("https:", "must begin with https://"),
        ("https://", "must begin with https://"),
        ("ftp://shop.example", "must begin with https://"),
        ("chrome-extension://abc", "must begin with https://"),
        ("https://shop.example/", "no path"),
        ("https://shop.example/shop", "no path"),
        ("https://shop.example?a", "no path"),
        ("https://shop.example#a", "no path"),
        ("https://shop.example\\a", "no path"),
        ("https://ann:hunter2@shop.example", "a user or a password"),
        ("https://ann@shop.example", "a user or a password"),
        ("https://bücher.example", "beyond ASCII"),
        ("https://shop.example.", "no dot at its end"),
        ("https://shop..example", "no name of DNS"),
        ("https://-shop.example", "no name of DNS"),
        ("https://shop_1.example", "no name of DNS"),
        ("https://:8443", "no name of DNS"),
        ("https://" + "a" * 64 + ".example", "no name of DNS"),
        ("https://" + "a." * 127 + "example", "no name of DNS"),
        ("https://shop.example:", "port"),
        ("https://shop.example:0", "port"),
        ("https://shop.example:080", "port"),
        ("https://shop.example:65536", "port"),
        ("https://shop.example:" + "9" * 5000, "port"),
        ("https://[2001:db8::1]", "IPv6"),
        ("https://192.0.2", "as browsers write one"),
        ("https://192.0.2.07", "as browsers write one"),
        ("https://0x7f.0x1", "as browsers write one"),
        ("https://*.0.2.7", "as browsers write one"),
        ("https://shop.example https://other.example", "whitespace"),
        ("https://shop.exa\tmple", "whitespace"),
        ("'https://shop.example'", "quotation marks"),
        (",", "names no origin"),
        (" ", "names no origin"),
    ],
)
def test_what_no_browser_sends_or_anybody_could_is_refused_at_start(
    environment: pytest.MonkeyPatch, written: str, fault: str
) -> None:
    environment.setenv("CORS_ORIGINS", written)
    with pytest.raises(SettingsError) as caught:
        WebSettings.from_environment(account_forms())
    (line,) = str(caught.value).splitlines()
    assert line.startswith("CORS_ORIGINS: ")
    assert re.search(fault, line)
    assert "hunter2" not in line


def test_each_that_is_wrong_is_named_by_its_place(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CORS_ORIGINS", "https://shop.example/,https://good.example,*,")
    with pytest.raises(SettingsError) as caught:
        WebSettings.from_environment(account_forms())
    first, second = str(caught.value).splitlines()
    assert first.startswith("CORS_ORIGINS: number 1 of 3 goes on behind the host")
    assert second.startswith("CORS_ORIGINS: number 3 of 3 is *")


def test_none_is_let_in_unless_it_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CORS_ORIGINS", raising=False)
    assert WebSettings.from_environment(account_forms()).cors_origins is None
    environment.setenv("CORS_ORIGINS", "")
    assert WebSettings.from_environment(account_forms()).cors_origins is None
    environment.setenv("CORS_ORIGINS", LISTED)
    origins = WebSettings.from_environment(account_forms()).cors_origins
    assert str(origins) == (
        "http://localhost:5173, https://shop.example, https://*.preview.example, https://*.preview.example:8443"
    )


@pytest.mark.parametrize(
    "origin",
    [
        *("https://shop.example", "http://localhost:5173", "https://a.preview.example", "https://1.preview.example"),
        *("https://pr-17--shop.preview.example", "https://" + "a" * 63 + ".preview.example"),
        "https://a.preview.example:8443",
    ],
)
def test_a_star_stands_for_one_label(origin: str) -> None:
    assert read(LISTED).admits(origin)


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "https://preview.example",
            "https://.preview.example",
            "https://a.b.preview.example",
            "https://a..preview.example",
        ),
        *(
            "https://evilpreview.example",
            "https://a.preview.example.evil.example",
            "https://a.preview.example.",
            "null",
        ),
        *(
            "https://a.preview.example:8444",
            "https://a.preview.example:443",
            "http://a.preview.example",
            "https://",
            "",
        ),
        *(
            "https://A.preview.example",
            "https://a.Preview.example",
            "https://a_b.preview.example",
            "https://*.preview.example",
        ),
        *("https://-a.preview.example", "https://a-.preview.example", "https://" + "a" * 64 + ".preview.example"),
        *(
            "https://evil.example/.preview.example",
            "https://evil.example#.preview.example",
            "https://a@b.preview.example",
        ),
        *(
            "https://evil.example:1.preview.example",
            "https://é.preview.example",
            "https://a.preview.example\n",
            "https:///a.preview.example",
        ),
        *(
            " https://shop.example",
            "https://shop.example ",
            "https://shop.example/",
            "https://shop.example:443",
            "shop.example",
        ),
        *(
            "http://shop.example",
            "HTTPS://shop.example",
            "https://shop.example, https://shop.example",
            "https://shop.example,",
        ),
        *("http://127.0.0.1:5173", "http://localhost", "http://localhost:51730", "https://localhost:5173"),
        "https://" + "a" * 30_000 + ".preview.example",
    ],
)
def test_nothing_else_is_admitted(origin: str) -> None:
    assert not read(LISTED).admits(origin)


@given(
    st.one_of(
        st.text(max_size=LONGEST + 10),
        st.builds(
            "https://{}.preview.example{}".format,
            st.text("ab-.:/@0A\u00e9\n", max_size=70),
            st.sampled_from(["", ":8443", "."]),
        ),
    )
)
@example("https://a.preview.example")
@example("https://a-b.preview.example:8443")
def test_what_is_admitted_has_the_shape_of_the_setting(origin: str) -> None:
    """The pattern is a second way to say it, and is run over what a test wrote."""
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    shape = rf"https://shop\.example|http://localhost:5173|https://{label}\.preview\.example(?::8443)?"
    assert read(LISTED).admits(origin) == bool(re.fullmatch(shape, origin))


def test_customers_are_sent_back_to_origins_that_are_named_whole(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RETURN_ORIGINS", "https://Shop.example:443, http://localhost:5173")
    origins = WebSettings.from_environment(account_forms()).return_origins
    assert str(origins) == "http://localhost:5173, https://shop.example"

    for written, fault in (
        ("https://*.preview.example", "name each origin whole"),
        ("https://shop.example/paid", "goes on behind the host"),
        ("*", "every page there is"),
        ("http://shop.example", "is http"),
    ):
        environment.setenv("RETURN_ORIGINS", written)
        with pytest.raises(SettingsError) as caught:
            WebSettings.from_environment(account_forms())
        (line,) = str(caught.value).splitlines()
        assert line.startswith("RETURN_ORIGINS: ")
        assert fault in line

    environment.delenv("RETURN_ORIGINS")
    assert WebSettings.from_environment(account_forms()).return_origins is None
