"""Answers are sent gzipped to whoever can read it: a member's first page has to fit into 100 kB (ui.md, budgets)."""

import gzip
import io
import secrets
from functools import lru_cache

from flask import Flask, Response, request

TEXT = {
    "text/html",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/json",
    "application/problem+json",
    "application/manifest+json",
    "image/svg+xml",
}
SMALLEST = 860  # below this the wrapping costs more than it saves
LARGEST = 4 * 1024 * 1024
LONGEST_PADDING = 100


def init_app(app: Flask) -> None:
    """Compress what is text. Streams (CSV, server-sent events, large files) pass as they are."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    if (
        response.mimetype not in TEXT
        or response.status_code in {204, 206, 304}
        or "Content-Encoding" in response.headers
    ):
        return response
    fixed = request.endpoint == "static"
    if response.is_streamed and not fixed:
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"] or request.method == "HEAD":
        return response
    if fixed:
        response.direct_passthrough = False
    plain = response.get_data()
    if not SMALLEST <= len(plain) <= LARGEST:
        return response
    packed = _kept(plain) if fixed else _padded(plain)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    if etag := response.get_etag()[0]:
        response.set_etag(etag, weak=True)
    return response


@lru_cache(maxsize=64)
def _kept(plain: bytes) -> bytes:
    """A static file, packed once as tightly as can be."""
    return gzip.compress(plain, 9, mtime=0)


def _padded(plain: bytes) -> bytes:
    """A page, with a random length in the gzip header, so that its size does not betray the tokens in it (BREACH)."""
    out = io.BytesIO()
    padding = secrets.token_hex(LONGEST_PADDING)[: secrets.randbelow(LONGEST_PADDING) + 1]
    with gzip.GzipFile(filename=padding, mode="wb", compresslevel=6, fileobj=out, mtime=0) as archive:
        archive.write(plain)
    return out.getvalue()
