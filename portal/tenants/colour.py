"""Colours in OKLCH, and WCAG's contrast between them.

Lightness is in per cent, chroma as in OKLCH (0 to 0.4), hue in degrees. Mixing is done in OKLab, as `color-mix(in oklab)` does.
"""

import math
import re
from dataclasses import dataclass

HEX = re.compile(r"#?([0-9a-fA-F]{6})")
GAMUT = 0.0005  # how far outside 0 to 1 a channel may lie and still be shown as meant
LINEAR = 0.0031308


class ColourError(ValueError):
    """The text is no colour; write it as #AA4422."""


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in OKLCH."""

    lightness: float
    chroma: float
    hue: float

    def css(self) -> str:
        """As the stylesheet writes it."""
        return f"oklch({self.lightness:g}% {self.chroma:g} {self.hue:g})"

    def hex(self) -> str:
        """The sRGB writing, e.g. #AA4422."""
        return "#" + "".join(f"{round(_encoded(channel) * 255):02X}" for channel in self.linear())

    def linear(self) -> tuple[float, float, float]:
        """Linear sRGB, parts outside the gamut clipped as browsers do."""
        red, green, blue = (min(1.0, max(0.0, channel)) for channel in _linear(*self.lab()))
        return red, green, blue

    def lab(self) -> tuple[float, float, float]:
        """OKLab, lightness 0 to 1."""
        turn = math.radians(self.hue)
        return self.lightness / 100, self.chroma * math.cos(turn), self.chroma * math.sin(turn)

    def fitted(self) -> "Colour":
        """The same lightness and hue with as much chroma as a screen can show."""
        chroma = self.chroma
        while chroma > 0 and not all(
            -GAMUT <= channel <= 1 + GAMUT for channel in _linear(*Colour(self.lightness, chroma, self.hue).lab())
        ):
            chroma = round(max(0.0, chroma - 0.002), 4)
        return Colour(self.lightness, chroma, self.hue)


def of_hex(text: str) -> Colour:
    """#AA4422 in OKLCH. Raises ColourError."""
    found = HEX.fullmatch(text.strip())
    if not found:
        raise ColourError(text)
    red, green, blue = (_decoded(int(found[1][n : n + 2], 16) / 255) for n in (0, 2, 4))
    return of_lab(*_lab(red, green, blue))


def of_lab(light: float, a: float, b: float) -> Colour:
    """From OKLab, lightness 0 to 1."""
    return Colour(round(light * 100, 3), round(math.hypot(a, b), 5), round(math.degrees(math.atan2(b, a)) % 360, 2))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` (0 to 1) of the first in the second."""
    light, a, b = (x * share + y * (1 - share) for x, y in zip(one.lab(), other.lab(), strict=True))
    return Colour(light * 100, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360)


def contrast(one: Colour, other: Colour) -> float:
    """WCAG's ratio of relative luminances, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    """WCAG's relative luminance, 0 to 1."""
    red, green, blue = colour.linear()
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(light: float, a: float, b: float) -> tuple[float, float, float]:
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _lab(red: float, green: float, blue: float) -> tuple[float, float, float]:
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _encoded(channel: float) -> float:
    return 12.92 * channel if channel <= LINEAR else 1.055 * channel ** (1 / 2.4) - 0.055


def _decoded(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  sRGB's knee
