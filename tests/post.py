"""A real mail server and the demo's SMS provider for tests: they keep what they take; mail is refused when told to."""

import re
import socket
import threading

import pytest
import waitress
from aiosmtpd.controller import Controller

from portal.embedded.sms import SmsProvider
from portal.embedded.telegram import TelegramServer
from portal.settings import settings


class Sink:
    """Takes mail over SMTP. `refuse` is answered to a recipient, `break_off` to the mail itself; a sender who is not
    `relays_for`, where that is set, is refused.
    """

    def __init__(self):
        self.mails, self.refuse, self.break_off, self.relays_for = [], None, None, None
        self.envelopes = []  # who is told when a mail bounces, in the order of `mails`

    async def handle_MAIL(self, _server, _session, envelope, address, _options):
        if self.relays_for and address != self.relays_for:
            return "553 Sender address rejected: not owned by user"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        from email import message_from_bytes, policy

        if self.break_off:
            return self.break_off
        self.envelopes.append(envelope.mail_from)
        self.mails.append(message_from_bytes(envelope.original_content, policy=policy.default))
        return "250 Kept"

    def to(self, person):
        """Mails to one person."""
        return self.at(person.email)

    def at(self, address):
        """Mails to one address."""
        return [mail for mail in self.mails if address in mail["To"]]


@pytest.fixture
def sink(app, monkeypatch):
    """SMTP_URL points at this server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    handler = Sink()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{port}")
    settings.cache_clear()
    yield handler
    controller.stop()
    settings.cache_clear()


@pytest.fixture
def dead_server(app, monkeypatch):
    """SMTP_URL points where nobody listens."""
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:1")
    settings.cache_clear()
    yield
    settings.cache_clear()


class Texts:
    """What the SMS provider took."""

    def __init__(self, provider):
        self.provider = provider

    def to(self, number):
        """Bodies of the messages to a number, the newest first."""
        return [message["body"] for message in self.provider.messages(number)]

    def code_to(self, number):
        """The code in the newest message to a number; None when there is none."""
        bodies = self.to(number)
        return code_in(bodies[0]) if bodies else None


def code_in(text):
    """The one-time code in a text."""
    return re.search(r"\b\d{6}\b", text)[0]


@pytest.fixture
def texts(app, monkeypatch, tmp_path):
    """SMS_URL points at the demo's own provider, which speaks the real protocol."""
    provider = SmsProvider(tmp_path / "sms")
    server = waitress.create_server(provider, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    monkeypatch.setenv("SMS_URL", f"http://krug:secret@127.0.0.1:{server.effective_port}?from=Krug")
    settings.cache_clear()
    yield Texts(provider)
    server.close()
    settings.cache_clear()


@pytest.fixture
def telegram(app, monkeypatch, tmp_path):
    """TELEGRAM_API_URL and the rest point at the demo's own Telegram, which speaks the real protocol."""
    standin = TelegramServer(tmp_path / "telegram")
    server = waitress.create_server(standin, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for name in ("API", "OAUTH", "LINK"):
        monkeypatch.setenv(f"TELEGRAM_{name}_URL", f"http://127.0.0.1:{server.effective_port}")
    settings.cache_clear()
    yield standin
    server.close()
    settings.cache_clear()
