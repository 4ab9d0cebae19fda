"""Static files under names that change with their content, and the component macros as the global `ui`."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, g, request, url_for

from portal.settings import ROOT
from portal.tenants import brand

STATIC = ROOT / "static"
YEAR = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Give the templates `asset`, `brand_href` and `ui`; let browsers keep what cannot change."""
    app.jinja_env.globals.update(asset=asset, brand_href=brand_href)
    app.after_request(_keep)
    app.jinja_env.globals["ui"] = Macros(app)


class Macros:
    """Every macro of templates/components/ui.html, loaded at its first use."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __getattr__(self, name: str) -> object:
        return getattr(self._app.jinja_env.get_template("components/ui.html").module, name)


@lru_cache(maxsize=512)
def _digest(path: str, stamp: float) -> str:  # noqa: ARG001  the stamp makes a changed file a new entry
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


def asset(path: str) -> str:
    """The address of a static file with its content's digest."""
    return url_for("static", filename=path, v=_digest(path, Path(STATIC / path).stat().st_mtime))


def brand_href() -> str:
    """The acting tenant's stylesheet; its name is its content's digest."""
    return url_for("tenants.brand", digest=brand.digest(g.tenant.brand))


def _keep(response: Response) -> Response:
    if request.endpoint == "static" and request.args.get("v") and response.status_code == 200:  # noqa: PLR2004
        response.headers["Cache-Control"] = YEAR
    return response
