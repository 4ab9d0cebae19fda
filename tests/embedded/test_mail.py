"""The demo's mail: taken over SMTP, kept once, shown harmlessly."""

import smtplib
import sys
from email.message import EmailMessage

import pytest
from werkzeug.test import Client

from portal.embedded.mailbox_pages import MailboxPages, linked
from portal.embedded.ports import accepts
from portal.embedded.process import Guarded
from portal.embedded.smtp import MaildirSink


def letter(
    to="anna@example.org",
    subject="Здравствуйте",
    text="Your code is 123456\nhttps://krug.example/login?a=1&b=2.",
    *,
    id="<1@k>",
):
    message = EmailMessage()
    message["From"] = "Круг <portal@example.org>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = id
    message.set_content(text)
    return message


@pytest.fixture
def sink(tmp_path):
    return MaildirSink(tmp_path)


@pytest.fixture
def pages(tmp_path, sink):
    return Client(MailboxPages(tmp_path))


def subjects(pages, query=""):
    return [mail["subject"] for mail in pages.get(f"/messages.json{query}").json]


def test_a_message_travels_over_smtp_to_the_page(tmp_path, free_port, eventually):
    with (tmp_path / "log").open("wb") as log:
        server = Guarded(
            "mail", [sys.executable, "-m", "portal.embedded.smtp", str(free_port), str(tmp_path / "mail")], output=log
        )
    try:
        eventually(lambda: accepts(free_port))
        with smtplib.SMTP("127.0.0.1", free_port) as client:
            for _ in range(2):  # the sender did not hear our answer the first time
                client.send_message(letter(to="anna@example.org, ivan@example.org"))
            client.send_message(letter(to="anna@example.org", subject="Second", id="<2@k>"))
    finally:
        server.stop()
    mails = Client(MailboxPages(tmp_path / "mail")).get("/messages.json").json
    assert sorted((mail["to"], mail["subject"]) for mail in mails) == [
        ("anna@example.org", "Second"),
        ("anna@example.org", "Здравствуйте"),
        ("ivan@example.org", "Здравствуйте"),
    ]
    assert "Your code is 123456" in mails[0]["text"]


def test_the_same_message_to_the_same_recipient_is_kept_once(sink, pages):
    content = bytes(letter())
    assert [sink.keep(to, content) for to in ("anna@example.org", "Anna@example.org", "ivan@example.org")] == [
        True,
        False,
        True,
    ]
    assert len(subjects(pages)) == 2


def test_messages_without_an_id_are_all_kept(sink, pages):
    for _ in range(2):
        sink.keep("anna@example.org", b"Subject: none\r\n\r\nhello\r\n")
    assert subjects(pages) == ["none", "none"]


def test_the_newest_stands_first_and_a_recipient_can_be_chosen(sink, pages):
    for number, to in enumerate(["anna@example.org", "ivan@example.org", "anna@example.org"]):
        sink.keep(to, bytes(letter(to=to, subject=f"letter {number}", id=f"<{number}@k>")))
    assert subjects(pages) == ["letter 2", "letter 1", "letter 0"]
    assert subjects(pages, "?to=ANNA@example.org") == ["letter 2", "letter 0"]
    page = pages.get("/?to=ivan@example.org").text
    assert "letter 1" in page
    assert "letter 2" not in page


def test_what_a_letter_says_is_text_and_never_markup(sink, pages):
    attack = "<script>alert(1)</script>"
    sink.keep("anna@example.org", bytes(letter(subject=attack, text=attack)))
    number = pages.get("/messages.json").json[0]["id"]
    for path in ("/", f"/messages/{number}", f"/?to={attack}"):
        answer = pages.get(path)
        assert attack not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_letter_in_html_is_shown_in_a_sandbox(sink, pages):
    message = letter()
    message.add_alternative("<p>Hello <script>alert(1)</script></p>", subtype="html")
    sink.keep("anna@example.org", bytes(message))
    number = pages.get("/messages.json").json[0]["id"]
    assert f'src="/messages/{number}/html"' in pages.get(f"/messages/{number}").text
    policy = pages.get(f"/messages/{number}/html").headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert pages.get(f"/messages/{number}/source").mimetype == "text/plain"


def test_links_end_where_the_address_ends():
    assert linked('see https://a.example/x?b=1&c="2", (http://b.example).') == (
        'see <a href="https://a.example/x?b=1&amp;c=" target="_blank" rel="noreferrer noopener">https://a.example/x?b=1&amp;c=</a>'
        '&#34;2&#34;, (<a href="http://b.example" target="_blank" rel="noreferrer noopener">http://b.example</a>).'
    )


@pytest.mark.parametrize("path", ["/messages/..%2f..%2fetc", "/messages/" + "0" * 32, "/messages/x/html", "/nothing"])
def test_what_is_not_there_is_not_found(pages, path):
    assert pages.get(path).status_code == 404
