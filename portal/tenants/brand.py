"""A tenant's look from one colour: a light and a dark theme, and the proof that both can be read (ui.md, tenant brand).

The stored brand is `{hue, chroma, lightness, mark}`. What is served is always readable: a colour that fails is moved to
the nearest lightness that passes; the settings form refuses it before, and offers that same colour.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from portal.tenants.colour import Colour, ColourError, contrast, luminance, mix, of_hex

__all__ = [
    "Colour",
    "ColourError",
    "Fault",
    "contrast",
    "digest",
    "faults",
    "grounds",
    "luminance",
    "nearest",
    "of",
    "of_hex",
    "preview",
    "stored",
    "stylesheet",
    "themes",
]

AA = 4.5
GRAPHIC = 3.0  # borders of fields and other shapes
STATUS_HUES = {"success": 155, "warning": 66, "error": 24}
NEAR = 20  # degrees: closer to the brand's hue than this, a status colour turns away
TURN = 8
MARKS = ("ring", "waves")
MUTED = {"light": 0.68, "dark": 0.70}
DARKEST, LIGHTEST = 20.0, 62.0

Roles = dict[str, Colour]


@dataclass(frozen=True, slots=True)
class Fault:
    """A pair of roles that cannot be read: `ratio` is below `needed`."""

    theme: str
    ink: str
    ground: str
    ratio: float
    needed: float


def of(brand: Mapping[str, Any]) -> Colour:
    """The tenant's colour as stored."""
    return Colour(float(brand.get("lightness", 45)), float(brand.get("chroma", 0.1)), float(brand.get("hue", 264)))


def stored(colour: Colour, mark: str) -> dict[str, Any]:
    """A colour and a mark as `tenants.brand` keeps them."""
    return {"hue": colour.hue, "chroma": colour.chroma, "lightness": colour.lightness, "mark": mark}


def themes(colour: Colour) -> dict[str, Roles]:
    """Roles of the light and of the dark theme; each shows only what a screen can."""
    status = {name: _turned(hue, colour.hue) for name, hue in STATUS_HUES.items()}
    both = {"light": _light(colour, status), "dark": _dark(colour, status)}
    return {name: {role: c.fitted() for role, c in roles.items()} for name, roles in both.items()}


@lru_cache(maxsize=256)
def grounds(colour: Colour) -> dict[str, str]:
    """The colour of the brand's own field in each theme, as #RRGGBB, as it is served."""
    return {name: roles["stage"].hex() for name, roles in themes(nearest(colour)).items()}


def _turned(hue: float, brand: float) -> float:
    apart = (hue - brand + 180) % 360 - 180
    if abs(apart) >= NEAR:
        return hue
    return hue + min(TURN, NEAR - apart) if apart >= 0 else hue - min(TURN, NEAR + apart)


def _ground(hue: float, most: float) -> float:
    """Pages of a red brand lean to sand, else they look pink: reds turn by up to `most` degrees, other hues stay."""
    return (hue + most * max(0.0, math.cos(math.radians(hue - 25))) ** 2) % 360


def _light(colour: Colour, status: Mapping[str, float]) -> Roles:
    hue, sand, paper = colour.hue, _ground(colour.hue, 28), Colour(99, min(0.008, colour.chroma), colour.hue)
    return {
        "base-100": Colour(99.6, 0.002, sand),
        "base-200": Colour(96.7, 0.008, sand),
        "base-300": Colour(90.6, 0.013, sand),
        "base-content": Colour(23.5, 0.026, hue),
        "primary": colour,
        "primary-content": paper,
        "neutral": Colour(27.5, 0.028, hue),
        "neutral-content": Colour(97, 0.007, hue),
        "info": Colour(47, 0.09, 245),
        "info-content": Colour(99, 0, 0),
        "success": Colour(46, 0.095, status["success"]),
        "success-content": Colour(99, 0, 0),
        "warning": Colour(50, 0.105, status["warning"]),
        "warning-content": Colour(99, 0, 0),
        "error": Colour(49.5, 0.18, status["error"]),
        "error-content": Colour(99, 0, 0),
        "stage": Colour(min(colour.lightness, 51.5), colour.chroma, hue),
        "stage-content": paper,
    }


def _dark(colour: Colour, status: Mapping[str, float]) -> Roles:
    hue, earth = colour.hue, _ground(colour.hue, 10)
    return {
        "base-100": Colour(24, 0.013, earth),
        "base-200": Colour(18.5, 0.011, earth),
        "base-300": Colour(32, 0.017, earth),
        "base-content": Colour(94, 0.01, hue),
        "primary": Colour(77.5, min(colour.chroma, 0.115), hue),
        "primary-content": Colour(21, 0.04, hue),
        "neutral": Colour(88, 0.01, hue),
        "neutral-content": Colour(20, 0.014, hue),
        "info": Colour(79, 0.08, 245),
        "info-content": Colour(20, 0.03, 245),
        "success": Colour(80, 0.115, status["success"]),
        "success-content": Colour(20, 0.04, status["success"]),
        "warning": Colour(84, 0.11, status["warning"] + 9),
        "warning-content": Colour(21, 0.04, status["warning"]),
        "error": Colour(75, 0.13, status["error"]),
        "error-content": Colour(20, 0.05, status["error"]),
        "stage": Colour(32, min(colour.chroma, 0.075), hue),
        "stage-content": Colour(97, 0.01, hue),
    }


def faults(colour: Colour) -> list[Fault]:
    """Pairs that fall short, in both themes; empty for a colour that may be used."""
    return [
        Fault(theme, ink, ground, ratio, needed)
        for theme, roles in themes(colour).items()
        for ink, ground, one, other, needed in _pairs(theme, roles)
        if (ratio := contrast(one, other)) < needed
    ]


def _pairs(theme: str, roles: Roles) -> Iterator[tuple[str, str, Colour, Colour, float]]:
    """Every ink on every ground that app.css puts together."""
    paper, page, ink, primary = (roles[name] for name in ("base-100", "base-200", "base-content", "primary"))
    tint, muted = mix(primary, paper, 0.10), mix(ink, paper, MUTED[theme])
    inks = {**{name: roles[name] for name in ("primary", "success", "warning", "error", "info")}, "muted": muted}
    for name, colour in {**inks, "base-content": ink}.items():
        yield name, "base-100", colour, paper, AA
        yield name, "base-200", colour, page, AA
    for name in ("primary", "success", "warning", "error", "info", "neutral", "stage"):
        yield f"{name}-content", name, roles[f"{name}-content"], roles[name], AA
    for name, colour in (("primary", primary), ("muted", muted), ("base-content", ink)):
        yield name, "tint", colour, tint, AA
    for name in ("success", "warning", "error", "muted"):
        yield name, f"{name} tag", inks[name], mix(inks[name], paper, 0.09), AA
    yield "dim", "stage", mix(roles["stage-content"], roles["stage"], 0.92), roles["stage"], AA
    for name in ("primary", "success", "warning"):
        yield "base-content", f"hottest {name}", ink, mix(roles[name], paper, 0.65 * heat(theme, roles)), AA
    yield "field border", "base-100", mix(ink, paper, 0.46), paper, GRAPHIC


def heat(theme: str, roles: Roles) -> float:
    """How much of the accent the hottest cell of a heat table may take, so that its ink stays readable."""
    most = 10 if theme == "light" else 6
    for tenth in range(most, 0, -1):
        grounds = (mix(roles[name], roles["base-100"], 0.065 * tenth) for name in ("primary", "success", "warning"))
        if all(contrast(roles["base-content"], ground) >= AA for ground in grounds):
            return tenth / 10
    return 0.1


@lru_cache(maxsize=256)
def nearest(colour: Colour) -> Colour:
    """The colour itself if it passes, else the same hue at the nearest lightness that does."""
    for step in range(100):
        for lightness in (colour.lightness - step / 2, colour.lightness + step / 2):
            candidate = Colour(round(lightness, 2), colour.chroma, colour.hue).fitted()
            if (DARKEST <= lightness <= LIGHTEST or step == 0) and not faults(candidate):
                return candidate
    return Colour(40, 0, colour.hue)


def stylesheet(brand: Mapping[str, Any]) -> str:
    """The tenant's own CSS: light, dark by the device's wish, and either by the reader's choice."""
    return _stylesheet(of(brand))


@lru_cache(maxsize=256)
def _stylesheet(colour: Colour) -> str:
    blocks = {theme: _block(theme, roles) for theme, roles in themes(nearest(colour)).items()}
    return (
        f":root{{{blocks['light']}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{blocks['dark']}}}}}\n"
        f":root[data-theme=dark]{{{blocks['dark']}}}\n"
    )


def preview(colour: Colour) -> str:
    """Both themes of a colour that is only being tried, each inside a box of its own, `.try-light` and `.try-dark`; the offer's dot."""
    blocks = {theme: _block(theme, roles) for theme, roles in themes(colour).items()}
    derived = (  # app.css mixes these at the root, where the colour on trial is not known
        "--color-stage:var(--stage);--color-on-stage:var(--stage-content);--color-line:var(--color-base-300);"
        "--color-muted:color-mix(in oklab,var(--color-base-content) var(--muted-mix),var(--color-base-100));"
        "--color-tint:color-mix(in oklab,var(--color-primary) 10%,var(--color-base-100))"
    )
    offered = f".try-near .pip{{color:{nearest(colour).css()}}}\n"
    return "".join(f".try-{theme}{{{block};{derived}}}\n" for theme, block in blocks.items()) + offered


def _block(theme: str, roles: Roles) -> str:
    parts = [f"color-scheme:{theme}"]
    parts += [f"--color-{name}:{c.css()}" for name, c in roles.items() if not name.startswith("stage")]
    parts += [  # one accent: a second one cannot slip in through a class name
        f"--color-{twin}{end}:{roles['primary' + end].css()}"
        for twin in ("secondary", "accent")
        for end in ("", "-content")
    ]
    parts += [f"--{name}:{roles[name].css()}" for name in ("stage", "stage-content")]
    parts += [f"--muted-mix:{MUTED[theme]:.0%}", f"--heat-k:{heat(theme, roles):g}"]
    return ";".join(parts)


def digest(brand: Mapping[str, Any]) -> str:
    """The name of the stylesheet: it changes with the colours."""
    return hashlib.sha256(stylesheet(brand).encode()).hexdigest()[:16]
