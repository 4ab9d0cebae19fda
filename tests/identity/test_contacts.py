"""One person, one canonical key (B3), and the words by which they are found (D6)."""

import pytest

from portal.identity import contacts, words
from tests.cast import CIRCLE, GLOBEX


@pytest.mark.parametrize("typed", ["Alice@Circle.Example", " alice@circle.example ", "ALICE@CIRCLE.EXAMPLE"])
def test_an_address_has_one_writing(typed):
    assert contacts.clean_email(typed) == "alice@circle.example"


@pytest.mark.parametrize(
    "typed",
    [
        "аlice@circle.example",
        "ａlice@circle.example",
        "alice\u200b@circle.example",
        "\u202ealice@circle.example",
        "İlay@circle.example",
        "groß@circle.example",
        "alice@circle.example.",
        "alice @circle.example",
        "alice.@circle.example",
        "alice",
        "a@b",
        "a" * 300 + "@x.example",
        "alice@circle.example\x00",
    ],
)
def test_look_alikes_and_invisible_signs_are_refused(typed):
    """The first one's `а` is Cyrillic."""
    with pytest.raises(contacts.InvalidEmail):
        contacts.clean_email(typed)


def test_a_plus_address_is_an_address_of_its_own():
    assert contacts.clean_email("Alice+shop@circle.example") == "alice+shop@circle.example"


@pytest.mark.parametrize(
    "typed",
    ["8 912 000-01-01", "+7 (912) 000 01 01", "9120000101", "79120000101", "+79120000101", "８９１２０００-01-01"],
)
def test_a_number_has_one_writing_in_its_country(acting, typed):
    with acting(CIRCLE):
        assert contacts.clean_phone(typed) == "+79120000101"


def test_the_country_follows_the_currency(acting):
    with acting(GLOBEX):
        assert contacts.region() == "US"
        assert contacts.clean_phone("(212) 555-0123") == "+12125550123"
    assert [contacts.region_of_currency(c) for c in ("RUB", "KZT", "GEL", "EUR", "XAF")] == [
        "RU",
        "KZ",
        "GE",
        "DE",
        "US",
    ]


@pytest.mark.parametrize("typed", ["123", "phone", "+7912", "8912000010112345", "+7 912 000-01-01 ext. 5"])
def test_what_is_no_number(acting, typed):
    with acting(CIRCLE), pytest.raises(contacts.InvalidPhone):
        contacts.clean_phone(typed)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Alice \t Morozova ", "Alice Morozova"),
        ("Alice\u202e Morozova", "Alice Morozova"),
        ("Али\u200bса", "Алиса"),
        ("Й", "Й"),
        ("Anna-Maria d'Arc", "Anna-Maria d'Arc"),
        ("李明", "李明"),
    ],
)
def test_a_name_keeps_its_letters_and_loses_what_nobody_sees(typed, kept):
    assert contacts.clean_name(typed) == kept


@pytest.mark.parametrize("typed", ["", "   ", "\u200b\u200b", "…", "a" * 201])
def test_what_is_no_name(typed):
    with pytest.raises(contacts.InvalidName):
        contacts.clean_name(typed)


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("Пётр", "петр"),
        ("Straße", "STRASSE"),
        ("İpek", "ipek"),
        ("ﬁlip", "FILIP"),
        ("Ёлка", "ЁЛКА"),
        ("Zoë", "zoe\u0308"),
    ],
)
def test_names_are_compared_without_case_and_form(stored, typed):
    assert words.folded(stored) == words.folded(typed)


def test_a_query_is_words_or_one_number(acting):
    with acting(CIRCLE):
        assert words.of_query("  Мороз Али ") == ["мороз", "али"]
        assert words.of_query("4071 2265") == ["40712265"]
        assert words.of_query("+7 (912) 000") == ["7912000"]
        assert words.of_query("Anna-Maria") == ["anna", "maria"]
        assert words.of_query("alice@circle") == ["alice@circle"]
        assert words.of_query("  ") == []
        assert words.spellings("8912") == ["8912"]
        assert words.spellings("89120") == ["89120", "9120"]
