"""Card numbers (G10)."""

import pytest

from portal.identity.cards import check_digit, new_card_number, short_code, shown, valid_card

CARD = "40712265903" + check_digit("40712265903")


def test_a_new_number_is_valid_and_not_the_one_before():
    numbers = {new_card_number() for _ in range(200)}
    assert len(numbers) == 200
    assert all(valid_card(n) == n and len(n) == 12 and n[0] != "0" for n in numbers)


@pytest.mark.parametrize(
    "typed",
    [
        CARD,
        shown(CARD),
        f" {CARD[:4]}-{CARD[4:8]}-{CARD[8:]} ",
        f"https://krug.example/c/{CARD}",
        f"http://circle.localhost:8000/c/{CARD}/",
        f"HTTPS://KRUG.EXAMPLE/C/{CARD}?from=qr",
        f"/c/{CARD}",
        CARD.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    ],
)
def test_a_card_is_read_in_any_writing(typed):
    assert valid_card(typed) == CARD


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "4071",
        CARD + "1",
        CARD[:-1] + str((int(CARD[-1]) + 1) % 10),
        f"https://krug.example/d/{CARD}",
        "٤٠٧١٢٢٦٥٩٠٣٨x",
        "c" * 500,
    ],
)
def test_what_is_no_card(typed):
    assert valid_card(typed) is None


def test_one_wrong_digit_and_two_swapped_neighbours_are_noticed():
    for place in range(12):
        wrong = CARD[:place] + str((int(CARD[place]) + 3) % 10) + CARD[place + 1 :]
        assert valid_card(wrong) is None
    swapped = CARD[:1] + CARD[2] + CARD[1] + CARD[3:]
    assert swapped == CARD or valid_card(swapped) is None


def test_how_it_is_shown():
    assert shown("407122659038") == "4071 2265 9038"
    assert short_code("407122659038") == "265 9038"
