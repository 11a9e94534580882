"""Passwords of operators: wrong ones slow down whoever sends them, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checkout_service.identity import passwords as module
from checkout_service.identity.passwords import FORGOTTEN_AFTER, FREE, Passwords, PausedError, WrongPasswordError
from checkout_service.settings.secret import Secret

HERE, ELSEWHERE = "192.0.2.1", "2001:db8:1:2::/64"
RIGHT = "a password that is right"


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that goes only by this."""
    passed = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: sum(passed))
    return passed.append


@pytest.fixture
def passwords(pass_time: Callable[[float], None]) -> Passwords:
    return Passwords({"ops": Secret(RIGHT), "jön": Secret("ünicode: and more")})


def guess(passwords: Passwords, times: int, *, address: str | None = HERE) -> None:
    for _ in range(times):
        with pytest.raises(WrongPasswordError):
            passwords.check("ops", "guessed", address=address)


def pause(passwords: Passwords, *, address: str = HERE) -> float:
    """How long the address is paused; the right password is sent, and not looked at."""
    with pytest.raises(PausedError) as caught:
        passwords.check("ops", RIGHT, address=address)
    return caught.value.seconds


def test_after_five_wrong_ones_each_is_followed_by_a_pause_that_doubles(
    passwords: Passwords, pass_time: Callable[[float], None]
) -> None:
    guess(passwords, FREE)
    pauses = []
    for _ in range(8):
        pauses.append(pause(passwords))
        pass_time(pauses[-1])
        guess(passwords, 1)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_right_one_is_not_looked_at_in_a_pause_and_ends_it_afterwards(
    passwords: Passwords, pass_time: Callable[[float], None]
) -> None:
    guess(passwords, FREE)
    assert pause(passwords) == 1
    assert pause(passwords) == 1, "what is not looked at is not counted"
    pass_time(1)
    passwords.check("ops", RIGHT, address=HERE)
    guess(passwords, FREE - 1)
    passwords.check("ops", RIGHT, address=HERE)


def test_a_pause_is_an_addresss_and_never_a_users(passwords: Passwords) -> None:
    guess(passwords, FREE)
    assert pause(passwords) == 1
    passwords.check("ops", RIGHT, address=ELSEWHERE)
    passwords.check("ops", RIGHT, address=None)


def test_where_no_address_is_known_nobody_is_paused(passwords: Passwords) -> None:
    guess(passwords, 20, address=None)
    passwords.check("ops", RIGHT, address=None)


def test_wrong_ones_of_long_ago_are_forgotten(passwords: Passwords, pass_time: Callable[[float], None]) -> None:
    guess(passwords, FREE - 1)
    pass_time(FORGOTTEN_AFTER + 1)
    guess(passwords, 1)
    passwords.check("ops", RIGHT, address=HERE)


def test_so_many_addresses_are_remembered_and_none_is_written_down(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ADDRESSES", 10)
    guess(passwords, FREE)
    for number in range(9):
        guess(passwords, 1, address=f"198.51.100.{number}")
    assert pause(passwords) == 1
    guess(passwords, 1, address="198.51.100.9")
    passwords.check("ops", RIGHT, address=HERE)
    assert len(passwords._guesses) == 10
    assert not [key for key in passwords._guesses if b"198.51" in key]


@pytest.mark.parametrize(
    ("user", "password", "is_right"),
    [
        ("ops", RIGHT, True),
        ("jön", "ünicode: and more", True),
        ("jön", RIGHT, False),
        ("ops", "ünicode: and more", False),
        ("", RIGHT, False),
        ("ops", "", False),
        ("ops", f"{RIGHT} ", False),
        ("ops\udc80", RIGHT, False),
        ("ops", "\ud800" * 1000, False),
    ],
)
def test_user_and_password_have_to_fit(passwords: Passwords, user: str, password: str, is_right: bool) -> None:
    if is_right:
        passwords.check(user, password, address=HERE)
        return
    with pytest.raises(WrongPasswordError):
        passwords.check(user, password, address=HERE)


def test_nobody_is_let_in_where_nobody_is_listed() -> None:
    assert not Passwords({})
    with pytest.raises(WrongPasswordError):
        Passwords({}).check("", "", address=None)
