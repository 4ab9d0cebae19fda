"""A tenant's look from one colour: two theme blocks in OKLCH, and the proof that they can be read (ui.md, mock-ups' README).

Lightness is in per cent, chroma as in OKLCH (0 to 0.4), hue in degrees. Contrast is WCAG's ratio of relative luminances.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

AA = 4.5
STATUS_HUES = {"success": 152, "warning": 68, "error": 22}
NEAR = 20
TURN = 14


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in OKLCH."""

    lightness: float
    chroma: float
    hue: float

    def css(self) -> str:
        return f"oklch({self.lightness:g}% {self.chroma:g} {self.hue:g})"


def luminance(colour: Colour) -> float:
    """Relative luminance of sRGB, out-of-gamut parts clipped as browsers do for lack of better."""
    light, a, b = (
        colour.lightness / 100,
        colour.chroma * math.cos(math.radians(colour.hue)),
        colour.chroma * math.sin(math.radians(colour.hue)),
    )
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    red, green, blue = (min(1.0, max(0.0, channel)) for channel in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """WCAG contrast, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def of(brand: Mapping[str, Any]) -> Colour:
    """The tenant's colour as stored."""
    return Colour(float(brand.get("lightness", 45)), float(brand.get("chroma", 0.1)), float(brand.get("hue", 264)))


def themes(colour: Colour) -> dict[str, dict[str, Colour]]:
    """Roles of the light and the dark theme."""
    hue, chroma = colour.hue, colour.chroma
    white = Colour(99, min(0.008, chroma), hue)
    status = {
        name: (h + TURN if 0 <= (h - hue) % 360 < NEAR else h - TURN if 0 <= (hue - h) % 360 < NEAR else h)
        for name, h in STATUS_HUES.items()
    }
    light = {
        "base-100": Colour(99.6, 0.002, hue),
        "base-200": Colour(96.6, 0.008, hue),
        "base-300": Colour(90.5, 0.013, hue),
        "base-content": Colour(23.5, 0.026, hue),
        "primary": colour,
        "primary-content": white,
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
        "stage": Colour(min(colour.lightness, 51.5), chroma, hue),
        "stage-content": white,
    }
    bright = Colour(77, min(chroma, 0.115), hue)
    dark = {
        "base-100": Colour(24, 0.014, hue),
        "base-200": Colour(18.5, 0.012, hue),
        "base-300": Colour(32, 0.018, hue),
        "base-content": Colour(94, 0.01, hue),
        "primary": bright,
        "primary-content": Colour(21, 0.04, hue),
        "neutral": Colour(88, 0.01, hue),
        "neutral-content": Colour(20, 0.014, hue),
        "info": Colour(79, 0.08, 245),
        "info-content": Colour(20, 0.03, 245),
        "success": Colour(80, 0.115, status["success"]),
        "success-content": Colour(20, 0.04, status["success"]),
        "warning": Colour(84, 0.11, status["warning"]),
        "warning-content": Colour(21, 0.04, status["warning"]),
        "error": Colour(75, 0.13, status["error"]),
        "error-content": Colour(20, 0.05, status["error"]),
        "stage": Colour(32, min(chroma, 0.075), hue),
        "stage-content": Colour(97, 0.01, hue),
    }
    return {"light": light, "dark": dark}


PAIRS = (
    ("base-content", "base-100"),
    ("base-content", "base-200"),
    ("primary", "base-100"),
    ("primary", "base-200"),
    ("primary-content", "primary"),
    ("neutral-content", "neutral"),
    ("stage-content", "stage"),
    ("success", "base-100"),
    ("warning", "base-100"),
    ("error", "base-100"),
    ("success", "base-200"),
    ("warning", "base-200"),
    ("error", "base-200"),
    ("success-content", "success"),
    ("warning-content", "warning"),
    ("error-content", "error"),
)


def faults(colour: Colour) -> list[tuple[str, str, str, float]]:
    """Pairs below AA: theme, ink, ground, ratio."""
    return [
        (name, ink, ground, ratio)
        for name, roles in themes(colour).items()
        for ink, ground in PAIRS
        if (ratio := contrast(roles[ink], roles[ground])) < AA
    ]


def nearest(colour: Colour) -> Colour:
    """The same hue and chroma at the nearest lightness that passes."""
    for step in range(0, 601):
        for lightness in (colour.lightness - step / 10, colour.lightness + step / 10):
            candidate = Colour(round(lightness, 1), colour.chroma, colour.hue)
            if 20 <= lightness <= 70 and not faults(candidate):  # noqa: PLR2004
                return candidate
    return Colour(40, min(colour.chroma, 0.08), colour.hue)


@lru_cache(maxsize=256)
def _stylesheet(colour: Colour) -> str:
    both = themes(colour)
    light = _block(both["light"], scheme="light", heat=1, muted=68)
    dark = _block(both["dark"], scheme="dark", heat=0.6, muted=70)
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n:root[data-theme=light]{{{light}}}\n"
    )


def _block(roles: Mapping[str, Colour], *, scheme: str, heat: float, muted: int) -> str:
    parts = [f"color-scheme:{scheme}"]
    parts += [f"--color-{name}:{c.css()}" for name, c in roles.items() if not name.startswith("stage")]
    parts += [
        f"--color-{twin}{end}:{roles['primary' + end].css()}"
        for twin in ("secondary", "accent")
        for end in ("", "-content")
    ]
    parts += [
        f"--stage:{roles['stage'].css()}",
        f"--stage-content:{roles['stage-content'].css()}",
        f"--muted-mix:{muted}%",
        f"--heat-k:{heat}",
    ]
    return ";".join(parts)


def stylesheet(brand: Mapping[str, Any]) -> str:
    """The tenant's own CSS."""
    return _stylesheet(of(brand))


def digest(brand: Mapping[str, Any]) -> str:
    """The name of the stylesheet: it changes with the colours."""
    return hashlib.sha256(stylesheet(brand).encode()).hexdigest()[:16]
