"""What a file is, told by its first bytes and never by its name (B9)."""

MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xff\xfe", "text/plain; charset=utf-16"),
    (b"\xfe\xff", "text/plain; charset=utf-16"),
)
TEXT = "text/plain"
UNKNOWN = "application/octet-stream"
WINDOW = 4096
MARKUP = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script")
CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1b\x00")


def kind_of(head: bytes) -> str:
    """The media type of what begins like this; text is whatever holds no control characters but a stray NUL.

    A table with a few NULs in it is still a table (B13): the import reports those lines.
    """
    for magic, mime in MAGIC:
        if head.startswith(magic):
            return mime
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if start.startswith(MARKUP):
        return "text/html" if b"html" in start or b"script" in start else "text/xml"
    if head.translate(None, CONTROLS) != head or head.count(0) * 100 > len(head):
        return UNKNOWN
    return TEXT
