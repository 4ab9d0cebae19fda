"""A notice as a mail, in the recipient's language; its links stand on the tenant's stored host (T5, G15)."""

from collections.abc import Mapping
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from flask import g
from flask_babel import gettext
from markupsafe import Markup

from portal.kernel.outbox import Message
from portal.messages.preferences import unsubscribe_token
from portal.messages.texts import text_of
from portal.settings import settings
from portal.tenants import brand
from portal.web.locale import locale_of

_PAGE = Markup("""\
<!doctype html>
<html lang="{locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body style="margin:0;padding:24px 12px;background:{page};color:{ink};font:16px/24px Onest,Arial,sans-serif">
<div style="max-width:480px;margin:0 auto;background:{paper};border-radius:20px;overflow:hidden">
<p style="margin:0;padding:16px 24px;background:{primary};color:{on_primary};font-weight:600">{tenant}</p>
<div style="padding:24px"><h1 style="margin:0 0 12px;font-size:28px;line-height:32px">{title}</h1>
<p style="margin:0 0 24px">{body}</p>
<p style="margin:0"><a href="{link}" style="display:inline-block;padding:12px 20px;border-radius:14px;background:{primary};color:{on_primary};font-weight:600;text-decoration:none">{open}</a></p>
</div></div>
<p style="max-width:480px;margin:16px auto 0;font-size:12px;line-height:16px">{why} <a href="{stop}" style="color:{ink}">{end}</a></p>
</body></html>
""")


class AddressUnusable(ValueError):
    """No mail can carry this address; the member has to give another."""


def message_id(message: Message, member: Any) -> str:
    """The same at every try, so that a mail sent twice is known for one (NTF-3)."""
    return f"<{message.id}.{member.id}@{g.tenant.host}>"


def compose(message: Message, row: Mapping[str, Any], member: Any) -> EmailMessage:
    """The mail to `member` (`id, name, email, locale`) about a notice (`kind, data`).

    Raises `AddressUnusable`.
    """
    tenant = g.tenant
    to = _address(member)
    with locale_of(member, tenant) as locale:
        said = text_of(row["kind"], row["data"])
        stop = f"{tenant.base_url}/unsubscribe/{unsubscribe_token(member.id)}"
        words = {
            "title": said.title,
            "body": said.body,
            "link": tenant.base_url + said.path,
            "open": gettext("Open %(tenant)s", tenant=tenant.name),
            "why": gettext("You get this mail as a member of %(tenant)s.", tenant=tenant.name),
            "end": gettext("Stop these mails"),
            "stop": stop,
            "tenant": tenant.name,
            "locale": locale,
        }
    mail = EmailMessage()
    mail["Subject"] = _line(said.title)
    mail["From"] = Address(display_name=_line(tenant.name), addr_spec=parseaddr(settings().MAIL_FROM)[1])
    mail["To"] = to
    mail["Date"] = format_datetime(message.recorded_at)
    mail["Message-ID"] = message_id(message, member)
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    mail["List-Unsubscribe"] = f"<{stop}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    mail.set_content(
        "{title}\n\n{body}\n\n{open}: {link}\n\n-- \n{why}\n{end}: {stop}\n".format(**words), cte="quoted-printable"
    )
    mail.add_alternative(str(_PAGE.format(**words, **_colours())), subtype="html", cte="quoted-printable")
    mail["Content-Language"] = locale  # last: setting the content takes headers of this family away
    return mail


def _address(member: Any) -> Address:
    try:
        return Address(display_name=_line(member.name), addr_spec=member.email)
    except (ValueError, IndexError, HeaderParseError) as error:
        raise AddressUnusable from error


def _colours() -> dict[str, str]:
    roles = brand.themes(brand.of(g.tenant.brand))["light"]
    return {
        "page": roles["base-200"].hex(),
        "paper": roles["base-100"].hex(),
        "ink": roles["base-content"].hex(),
        "primary": roles["primary"].hex(),
        "on_primary": roles["primary-content"].hex(),
    }


def _line(text: str) -> str:
    """One line of a header: nothing typed into a name can begin another (B5)."""
    return " ".join(text.split())
