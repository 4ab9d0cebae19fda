"""Headers of every answer, and the second net against forged requests (D39, security.md 4, 5)."""

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request

from portal.settings import settings

SAFE = {"GET", "HEAD", "OPTIONS"}
FORM = "application/x-www-form-urlencoded"
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; worker-src 'self'; manifest-src 'self'; style-src 'self';"
    " img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
EXCEPTIONS = {  # endpoint → policy; a test holds the list against decisions.md
    "telegram.mini_app": POLICY.replace("frame-ancestors 'none'", "frame-ancestors https://web.telegram.org"),
}


def init_app(app: Flask) -> None:
    """Guard every answer of the app."""
    app.before_request_funcs.setdefault(None, []).insert(0, _limit_forms)  # before CSRFProtect reads the form
    app.before_request(refuse_cross_site)
    app.after_request(_headers)
    app.jinja_env.globals["csp_nonce"] = csp_nonce


def csp_nonce() -> str:
    """This answer's nonce, for the script tags of the layouts."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = g.csp_nonce
    return nonce


def reading() -> bool:
    """Whether this call only asks: HEAD is answered by GET's own code, so a view that told GET from the rest would write."""
    return request.method in {"GET", "HEAD"}


def refuse_cross_site() -> None:
    """Another site's page cannot make this browser write here, whatever token it carries."""
    if request.method in SAFE or request.endpoint == "static":
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(403)
    origin = request.headers.get("Origin")
    if origin and origin != "null" and host_of(origin) != request.host.lower():
        abort(403)
    if request.mimetype == FORM and sum(map(len, request.form.listvalues())) > current_app.config["MAX_FORM_PARTS"]:
        abort(413)  # Werkzeug counts the parts of multipart forms only (B10)


def _limit_forms() -> None:
    """Werkzeug's MAX_FORM_MEMORY_SIZE is for multipart forms only: other ones would be read whole (B10)."""
    if request.mimetype == FORM:
        request.max_content_length = current_app.config["MAX_FORM_MEMORY_SIZE"]


def host_of(address: str) -> str:
    """`example.org:8000` of an address that somebody sent; '' where it is none."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _headers(response: Response) -> Response:
    policy = EXCEPTIONS.get(request.endpoint or "", POLICY)
    response.headers.setdefault("Content-Security-Policy", policy.format(nonce=csp_nonce()))
    if request.endpoint not in EXCEPTIONS:
        response.headers["X-Frame-Options"] = (
            "DENY"  # says what frame-ancestors says, to browsers and scanners that are older
        )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(self), geolocation=(), microphone=()"
    if settings().secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000"
    _caching(response)
    return response


def _caching(response: Response) -> None:
    """What was made for somebody is kept nowhere; what was made for anybody is asked for anew (T6)."""
    if request.endpoint == "static":
        return
    known = g.get("person") or g.get("half") or g.get("api_key")
    response.headers.setdefault("Cache-Control", "no-store" if known else "private, no-cache")
    if "public" not in response.headers["Cache-Control"]:
        response.vary.update(("Cookie", "HX-Request"))
