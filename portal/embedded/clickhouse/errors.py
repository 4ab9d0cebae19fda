"""Errors in ClickHouse's words: number, text, HTTP status."""

import re
from typing import Self

CANNOT_READ_ALL_DATA = 33
UNKNOWN_ELEMENT = 36  # BAD_ARGUMENTS
CHECKSUM_DOESNT_MATCH = 40
SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
READONLY = 164
REQUIRED_PASSWORD = 194
SAME_QUERY_ID = 216
TOO_LARGE_SIZE_COMPRESSED = 261
CANNOT_DECOMPRESS = 271
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
INVALID_SESSION_TIMEOUT = 374
UNKNOWN_ROLE = 511
AUTHENTICATION_FAILED = 516
UNKNOWN_CODEC = 432

NAMES = {
    CANNOT_READ_ALL_DATA: "CANNOT_READ_ALL_DATA",
    UNKNOWN_ELEMENT: "BAD_ARGUMENTS",
    CHECKSUM_DOESNT_MATCH: "CHECKSUM_DOESNT_MATCH",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    READONLY: "READONLY",
    REQUIRED_PASSWORD: "REQUIRED_PASSWORD",
    SAME_QUERY_ID: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    TOO_LARGE_SIZE_COMPRESSED: "TOO_LARGE_SIZE_COMPRESSED",
    UNKNOWN_CODEC: "UNKNOWN_CODEC",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    UNKNOWN_ROLE: "UNKNOWN_ROLE",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
}

# As in ClickHouse's exceptionCodeToHTTPStatus.
STATUSES = {
    401: {REQUIRED_PASSWORD},
    403: {192, 193, UNKNOWN_ROLE, AUTHENTICATION_FAILED, 497},
    400: {6, 15, 25, 26, 27, 38, 41, 43, 44, 53, 62, 69, 72, 117, 130, 131, 167, 168, 376, 441, 675, 676},
    404: {46, 47, 50, 56, 60, 63, 73, 81, 115, 133, 139, 181, 336},
    408: {159},
    411: {381},
    413: {166},
    501: {48},
    503: {74, 76, 209, 210, 439},
}
STATUS_OF = {code: status for status, codes in STATUSES.items() for code in codes}
CODE = re.compile(r"Code: (\d+)\.")
TRAILING_VERSION = re.compile(r" \(version [\d.]+(?: \(official build\))?\)\s*$")


class ClickHouseError(Exception):
    """What ClickHouse would refuse or fail at, with its number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @classmethod
    def of_ours(cls, code: int, text: str) -> Self:
        return cls(code, f"Code: {code}. DB::Exception: {text}. ({NAMES[code]})")

    @classmethod
    def of_engine(cls, error: Exception) -> Self:
        """The engine's own exception; 1001 (STD_EXCEPTION) when it names no code."""
        text = TRAILING_VERSION.sub("", str(error).removeprefix("Streaming query failed: ").strip())
        found = CODE.search(text)
        if found:
            return cls(int(found[1]), text[found.start() :])
        return cls(1001, f"Code: 1001. DB::Exception: {text}. (STD_EXCEPTION)")

    @property
    def status(self) -> int:
        return STATUS_OF.get(self.code, 500)
