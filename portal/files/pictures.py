"""Pictures that people send are drawn anew before they are kept: nothing of the file but its pixels survives (B9).

No place or camera (EXIF) stays in them, no second file hides behind the picture, and a picture that would unpack into
more than `MOST_PIXELS` is refused before it is unpacked. One is drawn at a time in a process, made smaller before anything else:
forty million pixels in full colour are 160 MB.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO

from flask_babel import gettext
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from portal.files.kinds import kind_of
from portal.files.service import MIB, FileRefused, FileTooLarge

MOST_BYTES = 10 * MIB
MOST_PIXELS = 40_000_000
WORKED_ON = 2_400  # pixels of the longest side that is worked on
HALF = 128  # of an alpha channel's 256 steps
LIGHT_INK = 170  # of 255: lighter than this it does not show on white
KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}


@dataclass(frozen=True, slots=True)
class Square:
    """A part of a picture: its left top corner and its side, as shares (0 to 1) of the shorter side and the rest."""

    x: float
    y: float
    side: float

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """In pixels, inside the picture whatever was asked for."""
        whole = min(width, height)
        side = max(1, min(whole, round(whole * self.side)))
        left = min(max(0, round((width - side) * self.x)), width - side)
        top = min(max(0, round((height - side) * self.y)), height - side)
        return left, top, left + side, top + side


CENTRE = Square(0.5, 0.5, 1.0)


def read(stream: IO[bytes]) -> bytes:
    """The whole of a picture that was sent. Raises `FileTooLarge`, and `FileRefused` for an empty one."""
    data = stream.read(MOST_BYTES + 1)
    if not data:
        raise FileRefused(gettext("The file is empty."))
    if len(data) > MOST_BYTES:
        raise FileTooLarge(
            gettext("The picture is larger than %(size)s MB. Nothing was saved.", size=MOST_BYTES // MIB)
        )
    return data


def square(data: bytes, part: Square, side: int) -> bytes:
    """A square picture of `side` pixels as WebP. Raises `FileRefused`."""
    with _opened(data) as opened:
        picture = opened.crop(part.box(*opened.size)).resize((side, side), Image.Resampling.LANCZOS)
        return _written(picture, "WEBP", quality=86, method=4)


def contained(data: bytes, width: int, height: int) -> "Kept":
    """The whole picture as PNG, made smaller to lie inside `width` × `height` pixels. Raises `FileRefused`."""
    with _opened(data) as picture:
        picture.thumbnail((width, height), Image.Resampling.LANCZOS)
        return Kept(_written(picture, "PNG", optimize=True), picture.width, picture.height, _plate(picture))


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture as it is stored: its bytes, its size, and the `plate` on which it can be seen.

    The plate is `none` for a picture that fills its frame, `dark` for light ink, else `light`.
    """

    data: bytes
    width: int
    height: int
    plate: str


def _plate(picture: Image.Image) -> str:
    alpha = picture.getchannel("A")
    shown = alpha.histogram()
    if not any(shown[:HALF]):
        return "none"
    ink = ImageStat.Stat(picture.convert("L"), alpha.point([0] * HALF + [255] * HALF))
    return "dark" if ink.count[0] and ink.mean[0] > LIGHT_INK else "light"


def redrawn(data: bytes, longest: int) -> bytes:
    """The picture as JPEG, no side longer than `longest`; for documents, where nothing may be cut off."""
    with _opened(data) as picture:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return _written(picture.convert("RGB"), "JPEG", quality=88)


_one = threading.Lock()


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture the right way up, in RGBA, no side longer than `WORKED_ON`; nobody else draws meanwhile."""
    kind = KINDS.get(kind_of(data[:4096]))
    if kind is None and b"<svg" in data[:4096].lower():
        raise FileRefused(gettext("SVG is not taken, since it can carry a program. Save it as PNG and send that."))
    if kind is None:
        raise FileRefused(gettext("Send a picture: JPEG, PNG or WebP. Nothing was saved."))
    with _one:
        yield _read(data, kind)


def _read(data: bytes, kind: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(BytesIO(data), formats=[kind])
            if picture.width * picture.height > MOST_PIXELS:
                raise FileRefused(gettext("The picture has too many pixels. Make it smaller and send it again."))
            if max(picture.size) > WORKED_ON:
                picture = picture if picture.mode in {"RGB", "RGBA", "L", "LA"} else picture.convert("RGBA")
                picture.thumbnail((WORKED_ON, WORKED_ON), Image.Resampling.LANCZOS)
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise FileRefused(gettext("The picture has too many pixels. Make it smaller and send it again.")) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise FileRefused(gettext("The picture cannot be read. Nothing was saved.")) from error


def _written(picture: Image.Image, kind: str, **options: int) -> bytes:
    made = BytesIO()
    bare = Image.new(picture.mode, picture.size)
    bare.paste(picture)
    bare.save(made, kind, **options)
    return made.getvalue()
