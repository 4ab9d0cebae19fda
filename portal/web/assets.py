"""Static files under names that change with their content, and the component macros as the global `ui`."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, request, url_for

from portal.settings import ROOT
from portal.tenants import brand
from portal.web import compression

STATIC = ROOT / "static"
COMPONENTS = ROOT / "templates" / "components"
YEAR = "public, max-age=31536000, immutable"
FONTS = "fonts/"  # the stylesheet names them itself, so they carry no digest: a changed font gets a new file name


def init_app(app: Flask) -> None:
    """Give the templates `asset`, `brand_href` and `ui`; let browsers keep what cannot change."""
    app.jinja_env.globals.update(asset=asset, brand_href=brand_href, ui=Macros(app))
    app.after_request(_keep)
    compression.init_app(app)


class Macros:
    """Every public macro of templates/components/*.html under one name, loaded at its first use.

    A block rendered alone does not see the imports of its template; a global it sees (style.md, trap 1).
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._home: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._home:
            self._home = self._look()
        if name not in self._home:
            raise AttributeError(f"no macro {name!r} in templates/components; templates/README.md lists them")
        return getattr(self._app.jinja_env.get_template(self._home[name]).module, name)

    def _look(self) -> dict[str, str]:
        """Which file each macro is in. Two macros of one name are a mistake that shows at the first page."""
        home: dict[str, str] = {}
        for path in sorted(COMPONENTS.glob("[!_]*.html")):
            template = f"components/{path.name}"
            for name in vars(self._app.jinja_env.get_template(template).module):
                if name.startswith("_"):
                    continue
                if name in home:
                    raise RuntimeError(f"macro {name!r} is in {home[name]} and in {template}; rename one")
                home[name] = template
        return home


@lru_cache(maxsize=512)
def _digest(path: str, stamp: float) -> str:  # noqa: ARG001  the stamp makes a changed file a new entry
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=512)
def _settled(path: str) -> str:
    """The digest while the process lives: a deployment starts new processes, so a file is read once."""
    return _digest(path, 0)


def asset(path: str) -> str:
    """The address of a static file with its content's digest."""
    if path.startswith(FONTS):
        return f"{current_app.static_url_path}/{path}"
    watched = current_app.debug or current_app.testing
    digest = _digest(path, Path(STATIC / path).stat().st_mtime) if watched else _settled(path)
    return f"{current_app.static_url_path}/{path}?v={digest}"


def brand_href() -> str:
    """The acting tenant's stylesheet; its name is its content's digest."""
    return url_for("tenants.brand", digest=brand.digest(g.tenant.brand))


def _keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200:  # noqa: PLR2004
        path = (request.view_args or {}).get("filename", "")
        if request.args.get("v") or path.startswith(FONTS):
            response.headers["Cache-Control"] = YEAR
    return response
