"""The demo's mail server: takes every message and keeps it in a Maildir, readable in the browser.

`python -m portal.embedded.smtp PORT DIRECTORY [--pages PORT]`
"""

import argparse
import hashlib
import logging
import os
import threading
import time
from email import message_from_bytes
from pathlib import Path
from uuid import uuid4

import waitress
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from .mailbox_pages import MailboxPages
from .ports import LOOPBACK

LARGEST_MESSAGE = 30 << 20


class MaildirSink:
    """Keeps one file for each recipient.

    The file is named by Message-ID and recipient, so that a message delivered twice, as every sender at least once may do,
    is kept once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for folder in ("tmp", "new", "cur"):
            (directory / folder).mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self.keep(recipient, content)
        return "250 Message kept"

    def keep(self, recipient: str, content: bytes) -> bool:
        """False when this message to this recipient was here already."""
        message_id = (message_from_bytes(content)["Message-ID"] or uuid4().hex).strip()
        name = hashlib.sha256(f"{message_id}\n{recipient.lower()}".encode()).hexdigest()[:32]
        if any((self._directory / "cur").glob(f"{name}*")):
            return False
        unfinished = self._directory / "tmp" / f"{name}.{os.getpid()}.{threading.get_ident()}.{time.monotonic_ns()}"
        unfinished.write_bytes(b"Delivered-To: " + recipient.encode() + b"\r\n" + content)
        try:
            os.link(unfinished, self._directory / "new" / name)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink()
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description="A mail server that keeps everything")
    parser.add_argument("port", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--pages", type=int, help="port of the mailbox in the browser")
    options = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    controller = Controller(
        MaildirSink(options.directory),
        hostname=LOOPBACK,
        port=options.port,
        data_size_limit=LARGEST_MESSAGE,
        enable_SMTPUTF8=True,
        ident="Krug demo mail",
    )
    controller.start()
    try:
        if options.pages:
            waitress.serve(
                MailboxPages(options.directory), host=LOOPBACK, port=options.pages, threads=4, ident="mailbox"
            )
        else:
            threading.Event().wait()
    finally:
        controller.stop()


if __name__ == "__main__":
    main()
