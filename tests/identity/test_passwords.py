"""Passwords (security.md 6, S9)."""

import time

import pytest
from argon2 import PasswordHasher, extract_parameters

from portal.identity import passwords

GOOD = "correct horse battery staple"


def test_argon2id_with_the_decided_cost():
    stored = passwords.hashed(GOOD)
    p = extract_parameters(stored)
    assert stored.startswith("$argon2id$")
    assert (p.memory_cost, p.time_cost, p.parallelism) == (19 * 1024, 2, 1)
    assert passwords.matches(stored, GOOD)
    assert not passwords.matches(stored, GOOD + "!")
    assert not passwords.outdated(stored)
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(GOOD))


def test_the_same_password_typed_in_another_form_fits():
    assert passwords.matches(passwords.hashed("ﬁne café ladder 42"), "fine cafe\u0301 ladder 42")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short one",
        "aaaaaaaaaaaaaa",
        "password12345",
        "qwertyuiop123",
        "123456789012",
        "Alice Morozova",
        "a" * 300,
        "alice@circle.example",
    ],
)
def test_what_can_be_guessed_is_refused(acting, password):
    from tests.cast import CIRCLE

    with acting(CIRCLE), pytest.raises(passwords.WeakPassword):
        passwords.check_strength(password, "Alice Morozova", "alice@circle.example")


@pytest.mark.parametrize("password", [GOOD, "корректная лошадь скрепка", "x9$ kk2 Pq!! zzT", GOOD + " " * 220])
def test_no_rules_of_composition(password):
    passwords.check_strength(password)


def test_a_thousand_characters_and_nobodys_password_take_the_same_work():
    stored = passwords.hashed(GOOD)

    def seconds(known, password):
        began = time.perf_counter()
        assert not passwords.matches(known, password)
        return time.perf_counter() - began

    passwords.matches(None, "x")
    usual = min(seconds(stored, "wrong password") for _ in range(5))
    for known, password in ((None, "wrong password"), (stored, "x" * 1000), (None, "x" * 1000)):
        assert min(seconds(known, password) for _ in range(5)) > usual / 2


def test_four_hashes_at_once():
    assert [passwords._seats.acquire(blocking=False) for _ in range(5)] == [True] * 4 + [False]
    for _ in range(4):
        passwords._seats.release()
