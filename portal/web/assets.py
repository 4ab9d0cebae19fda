"""Static files under names that change with their content, and the component macros as the global `ui`."""

import hashlib
from functools import lru_cache
from typing import Any

from flask import Flask, Response, current_app, g, request, url_for
from markupsafe import Markup

from portal.settings import ROOT
from portal.tenants import brand, icons, legal
from portal.web import compression

STATIC = ROOT / "static"
COMPONENTS = ROOT / "templates" / "components"
YEAR = "public, max-age=31536000, immutable"
FONTS = "fonts/"  # the stylesheet names them itself, so they carry no digest: a changed font gets a new file name


def init_app(app: Flask) -> None:
    """Give the templates `asset`, `brand_href` and `ui`; let browsers keep what cannot change."""
    app.jinja_env.globals.update(
        legal_pages=legal_pages,
        announced=announced,
        asset=asset,
        brand_href=brand_href,
        brand_icon=brand_icon,
        brand_logo=icons.logo_href,
        brand_ground=brand_ground,
        icon=icon,
        ui=Macros(app),
    )
    app.after_request(_keep)
    compression.init_app(app)


class Macros:
    """Every public macro of templates/components/*.html under one name, loaded at its first use.

    A block rendered alone does not see the imports of its template; a global it sees (style.md, trap 1).
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._home: dict[str, str] = {}
        self.icon = icon

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._home:
            self._home = self._look()
        if name not in self._home:
            raise AttributeError(f"no macro {name!r} in templates/components; templates/README.md lists them")
        found = getattr(self._app.jinja_env.get_template(self._home[name]).module, name)
        if not self._app.jinja_env.auto_reload:
            setattr(self, name, found)
        return found

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
    """The address while the process lives: a deployment starts new processes, so a file is read once."""
    return _address(path, 0)


def _address(path: str, stamp: float) -> str:
    if path.startswith(FONTS):
        return f"{current_app.static_url_path}/{path}"
    return f"{current_app.static_url_path}/{path}?v={_digest(path, stamp)}"


def asset(path: str) -> str:
    """The address of a static file with its content's digest."""
    if current_app.debug or current_app.testing:
        return _address(path, (STATIC / path).stat().st_mtime)
    return _settled(path)


def icon(name: str, cls: str = "") -> Markup:
    """A sign of static/icons.svg. No macro, since a page has fifty of them."""
    return _drawn(asset("icons.svg"), name, cls)


@lru_cache(maxsize=2048)
def _drawn(sheet: str, name: str, cls: str) -> Markup:
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#i-{}"></use></svg>').format(cls, sheet, name)


def brand_href() -> str:
    """The acting tenant's stylesheet; its name is its content's digest."""
    return url_for("tenants.brand", digest=brand.digest(g.tenant.brand))


def _keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200:  # noqa: PLR2004
        path = (request.view_args or {}).get("filename", "")
        if request.args.get("v") or path.startswith(FONTS):
            response.headers["Cache-Control"] = YEAR
    return response


def announced(room: str) -> dict[str, str] | None:
    """The announcement on top of this room's pages."""
    from portal.tenants.announce import banner

    return banner(room)


def legal_pages() -> list[tuple[str, str]]:
    """The acting tenant's published legal pages and their names."""
    return [(page, legal.page_name(page)) for page in legal.links()]


def brand_icon(filename: str) -> str:
    """The address of one of the acting tenant's pictures (portal/tenants/icons.py)."""
    return icons.href(g.tenant.brand, filename)


def brand_ground(theme: str) -> str:
    """The field's colour of the acting tenant, for the frame that a phone draws around the page."""
    return brand.grounds(brand.of(g.tenant.brand))[theme]
