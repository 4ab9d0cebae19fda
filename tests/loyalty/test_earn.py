"""LOY-7: what a purchase earns; LOY-6: what a refund reverses."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.loyalty.earn import due_back, earning


def test_the_base_leaves_out_what_bonus_paid_and_what_earns_nothing():
    found = earning(124_000, Fraction(1, 20), paid_with_bonus=32_000, no_earn=12_000)

    assert (found.base, found.bonus) == (80_000, 4_000)


def test_rounded_down_once_for_the_whole_purchase():
    assert earning(199, Fraction(3, 100)).bonus == 5
    assert sum(earning(part, Fraction(3, 100)).bonus for part in (99, 100)) == 5  # 2 + 3: lines are never rounded
    assert earning(33, Fraction(3, 100)).bonus == 0


def test_more_bonus_than_earning_goods_is_no_negative_base():
    assert earning(100, Fraction(1, 10), paid_with_bonus=50, no_earn=80).base == 0


@given(st.integers(0, 10**15), st.integers(0, 10**6), st.integers(1, 10**6))
def test_it_is_exact_for_any_size(amount, num, den):
    rate = Fraction(min(num, den), den)
    assert earning(amount, rate).bonus <= amount * rate < earning(amount, rate).bonus + 1


@settings(max_examples=500)
@given(
    st.integers(1, 10**7).flatmap(
        lambda whole: st.tuples(
            st.just(whole), st.integers(0, whole), st.lists(st.integers(1, max(1, whole // 2)), max_size=12)
        )
    )
)
def test_a_full_refund_in_any_parts_reverses_exactly_what_was_earned(case):
    """Property 2. Broken once: rounding up instead of down reverses more than was earned before the last part."""
    whole, earned, parts = case
    refunded = reversed_ = 0
    for part in parts:
        if refunded + part >= whole:
            break
        refunded += part
        due = due_back(earned, refunded, whole, reversed_, whole=False)
        assert due >= 0
        reversed_ += due
        assert reversed_ <= earned * refunded / whole
    assert reversed_ + due_back(earned, whole, whole, reversed_, whole=True) == earned
