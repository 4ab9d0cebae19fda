"""A real mail server for tests: it keeps what it takes, and refuses when told to."""

import socket

import pytest
from aiosmtpd.controller import Controller

from portal.settings import settings


class Sink:
    """Takes mail over SMTP. `refuse` is answered to a recipient, `break_off` to the mail itself."""

    def __init__(self):
        self.mails, self.refuse, self.break_off = [], None, None

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        from email import message_from_bytes, policy

        if self.break_off:
            return self.break_off
        self.mails.append(message_from_bytes(envelope.original_content, policy=policy.default))
        return "250 Kept"

    def to(self, person):
        """Mails to one person."""
        return [mail for mail in self.mails if person.email in mail["To"]]


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
