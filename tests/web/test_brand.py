"""A tenant's colour: whatever it is, what is served can be read."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.tenants import brand, colour
from portal.tenants.colour import Colour

KRUG = {"hue": 37, "chroma": 0.145, "lightness": 51.5, "mark": "ring"}
ANY = st.builds(
    Colour,
    lightness=st.floats(0, 100).map(lambda x: round(x, 1)),
    chroma=st.floats(0, 0.37).map(lambda x: round(x, 3)),
    hue=st.floats(0, 359).map(round),
)


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_every_pair_of_roles_can_be_read_after_the_adjustment(typed):
    assert brand.faults(brand.nearest(typed)) == []


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_the_adjustment_keeps_the_hue_and_leaves_what_passes(typed):
    served = brand.nearest(typed)

    assert served.hue == typed.hue
    if not brand.faults(typed):
        assert served.lightness == typed.lightness


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 0xFFFFFF))
def test_hex_comes_back_as_it_was_typed(number):
    typed = f"#{number:06X}"

    assert colour.of_hex(typed).hex() == typed


@pytest.mark.parametrize("text", ["", "red", "#12", "#1234567", "12 34 56"])
def test_what_is_no_colour_is_refused(text):
    with pytest.raises(colour.ColourError):
        colour.of_hex(text)


def test_contrast_is_that_of_wcag():
    black, white, grey = colour.of_hex("#000000"), colour.of_hex("#FFFFFF"), colour.of_hex("#767676")

    assert round(colour.contrast(black, white), 1) == 21
    assert round(colour.contrast(grey, white), 2) == 4.54


def test_a_light_orange_is_refused_and_the_nearest_brown_is_offered():
    orange = colour.of_hex("#E8A33D")
    faults = brand.faults(orange)
    offered = brand.nearest(orange)

    assert {("primary-content", "primary"), ("primary", "base-100")} <= {(f.ink, f.ground) for f in faults}
    assert all(f.ratio < f.needed for f in faults)
    assert offered.hue == orange.hue
    assert colour.contrast(offered, colour.of_hex("#FFFFFF")) >= brand.AA
    higher = Colour(offered.lightness + 1, offered.chroma, offered.hue)
    assert brand.faults(higher), "the nearest one is the lightest that passes"


def test_a_very_dark_brand_passes_and_cools_its_heat_tables():
    navy = colour.of_hex("#0B1F4D")

    assert brand.nearest(navy).hex() == "#0B1F4D"
    assert brand.heat("light", brand.themes(navy)["light"]) < 1
    assert brand.heat("light", brand.themes(brand.of(KRUG))["light"]) == 1


def test_status_colours_turn_away_from_the_brand():
    green = brand.themes(Colour(45, 0.1, 150))["light"]

    assert abs(green["success"].hue - 150) > 5
    assert brand.themes(Colour(45, 0.1, 264))["light"]["success"].hue == brand.STATUS_HUES["success"]


def test_the_stylesheet_has_a_light_a_dark_and_a_chosen_theme():
    css = brand.stylesheet(KRUG)

    assert css.startswith(":root{color-scheme:light;--color-base-100:oklch(")
    assert "@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;" in css
    assert ":root[data-theme=dark]{color-scheme:dark;" in css
    roles = set(re.findall(r"(--[\w-]+):", css))
    assert {"--color-primary", "--color-secondary-content", "--stage", "--stage-content", "--heat-k"} <= roles
    assert "--color-stage" not in roles


def test_a_bad_colour_in_the_database_is_still_served_readably():
    css = brand.stylesheet({"hue": 100, "chroma": 0.2, "lightness": 95, "mark": "ring"})
    light = re.search(r"--color-primary:oklch\(([\d.]+)%", css)

    assert light
    assert float(light[1]) < 62


def test_the_name_of_the_stylesheet_follows_the_colours_only():
    assert brand.digest(KRUG) == brand.digest({**KRUG, "mark": "waves"})
    assert brand.digest(KRUG) != brand.digest({**KRUG, "hue": 222})


def test_a_colour_is_kept_as_it_was_given():
    assert brand.of(brand.stored(brand.of(KRUG), "ring")) == brand.of(KRUG)
