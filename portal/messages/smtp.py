"""The mail server of `SMTP_URL`: smtp://, smtp+tls:// (STARTTLS) or smtps://, with user and password if it asks."""

import logging
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Self
from urllib.parse import unquote, urlsplit

from portal.messages.letter import platform_address
from portal.settings import settings

PATIENCE_S = 10
PERMANENT = 500  # SMTP's 5xx: the same mail will be refused again
log = logging.getLogger(__name__)
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class MailServer:
    """Connected at the first mail of a batch. Once it cannot be reached, the rest of the batch does not wait for it."""

    def __init__(self) -> None:
        self._open: smtplib.SMTP | None = None
        self._unreachable: OSError | None = None

    def send(self, mail: EmailMessage) -> None:
        """Hand the mail over; raises OSError or smtplib.SMTPException when the server did not take it.

        A server that does not let a tenant's own address send gets the mail once more from the portal's (RFC 5321, 4.2).
        """
        try:
            self._hand_over(mail)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refused:
            theirs = mail["From"].addresses[0]
            if refused.smtp_code < PERMANENT or theirs.addr_spec == platform_address():
                raise
            log.warning("the mail server does not take mails from %s: %s", theirs.addr_spec, refused)
            del mail["From"]
            mail["From"] = Address(theirs.display_name, addr_spec=platform_address())
            if "Reply-To" not in mail:
                mail["Reply-To"] = Address(addr_spec=theirs.addr_spec)
            self._hand_over(mail)

    def _hand_over(self, mail: EmailMessage) -> None:
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
