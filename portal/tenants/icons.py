"""A tenant's mark as pictures for home screens, tabs and mail: its own logo and icon, else its ring or waves in its colour,
drawn when first asked.

`brand.logo` and `brand.icon` name a stored file each: `{file, digest, width, height, plate}`.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import IO, Any
from uuid import UUID

from flask import url_for
from PIL import Image, ImageDraw

from portal.tenants import brand as brands
from portal.tenants import change

SIZES = {  # file → pixels, share of the picture that the mark fills (a maskable one keeps clear of the cut corners)
    "icon-192.png": (192, 0.62),
    "icon-512.png": (512, 0.62),
    "maskable-512.png": (512, 0.46),
    "touch-180.png": (180, 0.62),
    "favicon-48.png": (48, 0.78),
}
FINER = 4  # drawn larger, then reduced: Pillow draws without smoothing
BOX = 28  # the side of the mark's own drawing, as in the template's SVG
KEPT = {"logo": (480, 160), "icon": (512, 512)}  # pixels inside which a picture is kept
PLATES = {"dark": "#16181D", "light": "#FFFFFF", "none": "#FFFFFF"}
FULL = 0.8  # share of a maskable picture that no phone cuts off


def drawn(brand: Mapping[str, Any], filename: str) -> bytes:
    """A PNG of the tenant's mark, one of `SIZES`."""
    own = brand.get("icon") or brand.get("logo")
    if own:
        return _of_picture(UUID(own["file"]), own["plate"], filename)
    return _png(*_drawn_with(brand), *SIZES[filename])


def href(brand: Mapping[str, Any], filename: str) -> str:
    """The address of a picture."""
    return f"/brand/{digest(brand)}/{filename}"


def logo_href(brand: Mapping[str, Any], which: str = "logo") -> str:
    """The address of the tenant's own picture; empty where it has none."""
    own = brand.get(which)
    return url_for("tenant_icons.picture", file_id=own["file"], digest=own["digest"]) if own else ""


def set_picture(which: str, stream: IO[bytes]) -> None:
    """Keep a `logo` or an `icon`, drawn anew (B9). Raises `files.FileRefused`; the caller drops `hosts`' memory."""
    from portal.files import pictures
    from portal.files import service as files

    made = pictures.contained(pictures.read(stream), *KEPT[which])
    file_id = files.store(BytesIO(made.data), f"{which}.png", "brand")
    name = hashlib.sha256(made.data).hexdigest()[:16]
    value = {"file": str(file_id), "digest": name, "width": made.width, "height": made.height, "plate": made.plate}
    change.update_tenant("brand", {f"brand.{which}": value})


def remove_picture(which: str) -> None:
    """Back to the drawn mark; the file stays, since an older version may be restored."""
    change.update_tenant("brand", {f"brand.{which}": None})


def digest(brand: Mapping[str, Any]) -> str:
    """Changes with whatever the pictures show."""
    shown = [brands.digest(brand), brand.get("mark"), brand.get("logo"), brand.get("icon")]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def _drawn_with(brand: Mapping[str, Any]) -> tuple[str, str, str]:
    roles = brands.themes(brands.nearest(brands.of(brand)))["light"]
    return roles["stage"].hex(), roles["stage-content"].hex(), str(brand.get("mark", "ring"))


@lru_cache(maxsize=64)
def _of_picture(file_id: UUID, plate: str, filename: str) -> bytes:
    """The tenant's own picture on its plate; one that fills its square fills the icon."""
    from portal.files import service as files

    size, share = SIZES[filename]
    with files.open_file(file_id) as stream, Image.open(stream, formats=["PNG"]) as kept:
        own = kept.convert("RGBA")
    if plate == "none" and own.width == own.height:
        share = FULL if filename.startswith("maskable") else 1.0
    fit = size * share / max(own.size)
    own = own.resize([max(1, round(side * fit)) for side in own.size], Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (size, size), PLATES[plate])
    picture.paste(own, ((size - own.width) // 2, (size - own.height) // 2), own)
    made = BytesIO()
    picture.save(made, "PNG", optimize=True)
    return made.getvalue()


@lru_cache(maxsize=256)
def _png(ground: str, ink: str, mark: str, size: int, share: float) -> bytes:
    side = size * FINER
    picture = Image.new("RGB", (side, side), ground)
    draw, unit, edge = ImageDraw.Draw(picture), side * share / BOX, side * (1 - share) / 2

    def circle(x: float, y: float, radius: float, width: float = 0, start: float = 0, end: float = 360) -> None:
        reach = radius + width / 2
        box = [
            edge + unit * (x - reach),
            edge + unit * (y - reach),
            edge + unit * (x + reach),
            edge + unit * (y + reach),
        ]
        if width:
            draw.arc(box, start, end, fill=ink, width=round(unit * width))
        else:
            draw.ellipse(box, fill=ink)

    if mark == "waves":
        circle(14, 20, 12, 2.6, 180, 360)
        circle(14, 20, 6.5, 2.6, 180, 360)
        circle(14, 20.5, 1.9)
        for x in (2, 26, 7.5, 20.5):  # the round ends of the two bows
            circle(x, 20, 1.3)
    else:
        circle(14, 14, 11, 3.5, -18, 270)
        circle(23.2, 8, 2.6)
    made = BytesIO()
    picture.resize((size, size), Image.Resampling.LANCZOS).save(made, "PNG", optimize=True)
    return made.getvalue()
