"""The mail server of `SMTP_URL`: smtp://, smtp+tls:// (STARTTLS) or smtps://, with user and password if it asks."""

import smtplib
import ssl
from email.message import EmailMessage
from typing import Self
from urllib.parse import unquote, urlsplit

from portal.settings import settings

PATIENCE_S = 10
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class MailServer:
    """Connected at the first mail of a batch. Once it cannot be reached, the rest of the batch does not wait for it."""

    def __init__(self) -> None:
        self._open: smtplib.SMTP | None = None
        self._unreachable: OSError | None = None

    def send(self, mail: EmailMessage) -> None:
        """Hand the mail over; raises OSError or smtplib.SMTPException when the server did not take it."""
        if self._unreachable:
            raise self._unreachable
        try:
            self._open = self._open or _connected()
        except OSError as error:  # smtplib's own are among them
            self._unreachable = error
            raise
        try:
            self._open.send_message(mail)
        except smtplib.SMTPRecipientsRefused:
            raise  # the connection is as good as before
        except (OSError, smtplib.SMTPException):
            self._drop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._open is None:
            return
        try:
            self._open.quit()
        except (OSError, smtplib.SMTPException):
            self._open.close()
        self._open = None


def _connected() -> smtplib.SMTP:
    parts = urlsplit(settings().SMTP_URL)
    host, port = parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme]
    own_name = settings().BASE_DOMAIN  # given, so that nobody asks the DNS for it
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, port, own_name, timeout=PATIENCE_S, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(host, port, own_name, timeout=PATIENCE_S)
        if parts.scheme == "smtp+tls":
            server.starttls(context=ssl.create_default_context())
    if parts.username:
        server.login(unquote(parts.username), unquote(parts.password or ""))
    return server
