"""Reads the Maildir of the demo's mail server."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any

ID = re.compile(r"[0-9a-f]{32}")


class Mail:
    """One kept message to one recipient."""

    def __init__(self, file: Path) -> None:
        self.id = file.name[:32]
        self.received_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        self.source = file.read_bytes()

    @cached_property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.source, policy=policy.default)

    def header(self, name: str) -> str:
        return str(self.message[name] or "")

    @property
    def recipient(self) -> str:
        return self.header("Delivered-To")

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def text(self) -> str:
        """The plain part; the source of the HTML part where there is no other."""
        return self._part("plain") or self._part("html") or ""

    @property
    def html(self) -> str | None:
        return self._part("html")

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "to": self.recipient,
            "from": self.header("From"),
            "subject": self.subject,
            "message_id": self.header("Message-ID"),
            "received_at": self.received_at.isoformat(),
            "text": self.text,
            "html": self.html,
        }

    def _part(self, kind: str) -> str | None:
        part = self.message.get_body((kind,))
        if part is None:
            return None
        try:
            return str(part.get_content())
        except LookupError:  # a character set nobody knows
            return bytes(part.get_payload(decode=True)).decode(errors="replace")


class Mailbox:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def mails(self, recipient: str = "") -> list[Mail]:
        """Newest first; of one recipient when given, whatever the case of its letters."""
        mails = [Mail(file) for file in self._files()]
        wanted = [mail for mail in mails if not recipient or mail.recipient.lower() == recipient.strip().lower()]
        return sorted(wanted, key=lambda mail: mail.received_at, reverse=True)

    def recipients(self) -> list[str]:
        return sorted({mail.recipient for mail in self.mails()})

    def find(self, mail_id: str) -> Mail | None:
        if not ID.fullmatch(mail_id):
            return None
        return next((Mail(file) for file in self._files() if file.name.startswith(mail_id)), None)

    def _files(self) -> Iterator[Path]:
        for folder in ("new", "cur"):
            yield from (self._directory / folder).glob("*")
