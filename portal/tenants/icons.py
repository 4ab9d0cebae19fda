"""A tenant's mark as pictures for home screens, tabs and mail: its colour, its ring or waves, drawn when first asked."""

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from flask import Response, abort, g
from PIL import Image, ImageDraw

from portal.kernel.authz import PUBLIC, PortalBlueprint
from portal.tenants import brand as brands

SIZES = {  # file → pixels, share of the picture that the mark fills (a maskable one keeps clear of the cut corners)
    "icon-192.png": (192, 0.62),
    "icon-512.png": (512, 0.62),
    "maskable-512.png": (512, 0.46),
    "touch-180.png": (180, 0.62),
    "favicon-48.png": (48, 0.78),
}
FINER = 4  # drawn larger, then reduced: Pillow draws without smoothing
BOX = 28  # the side of the mark's own drawing, as in the template's SVG

icons = PortalBlueprint("tenant_icons", __name__, room="public")


@icons.route("/brand/<digest>/<filename>", permission=PUBLIC)
def icon(digest: str, filename: str) -> Response:
    """A picture of the acting tenant's mark; the address holds the brand's digest, so browsers keep it for ever."""
    if digest != brands.digest(g.tenant.brand) or filename not in SIZES:
        abort(404)
    response = Response(_png(*_drawn_with(g.tenant.brand), *SIZES[filename]), mimetype="image/png")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def href(brand: Mapping[str, Any], filename: str) -> str:
    """The address of a picture."""
    return f"/brand/{brands.digest(brand)}/{filename}"


def _drawn_with(brand: Mapping[str, Any]) -> tuple[str, str, str]:
    roles = brands.themes(brands.nearest(brands.of(brand)))["light"]
    return roles["stage"].hex(), roles["stage-content"].hex(), str(brand.get("mark", "ring"))


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
