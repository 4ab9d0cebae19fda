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
from portal.messages.texts import Text, text_of
from portal.settings import settings
from portal.tenants import brand, domains, icons
from portal.web.locale import locale_of

_PAGE = Markup("""\
<!doctype html>
<html lang="{locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body style="margin:0;padding:24px 12px;background:{page};color:{ink};font:16px/24px Onest,Arial,sans-serif">
<div style="max-width:480px;margin:0 auto;background:{paper};border-radius:20px;overflow:hidden">
<p style="margin:0;padding:16px 24px;background:{primary};color:{on_primary};font-weight:600">{logo}{tenant}</p>
<div style="padding:24px"><h1 style="margin:0 0 12px;font-size:28px;line-height:32px">{title}</h1>
<p style="margin:0 0 24px">{body}</p>
<p style="margin:0"><a href="{link}" style="display:inline-block;padding:12px 20px;border-radius:14px;background:{primary};color:{on_primary};font-weight:600;text-decoration:none">{open}</a></p>
</div></div>
<p style="max-width:480px;margin:16px auto 0;font-size:12px;line-height:16px">{why}{way_out}</p>
</body></html>
""")


_LOGO = Markup(
    '<img src="{src}" alt="" width="{width}" height="28" style="display:inline-block;vertical-align:middle;height:28px;'
    'margin-inline-end:10px;background:{plate};border-radius:6px">'
)
_WAY_OUT = Markup(' <a href="{stop}">{end}</a>')


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
    with locale_of(member, tenant) as locale:
        mail = write(
            text_of(row["kind"], row["data"]),
            to=_address(member),
            locale=locale,
            why=gettext("You get this mail as a member of %(tenant)s.", tenant=tenant.name),
            stop=f"{tenant.base_url}/unsubscribe/{unsubscribe_token(member.id)}",
        )
    mail["Date"] = format_datetime(message.recorded_at)
    mail["Message-ID"] = message_id(message, member)
    return mail


def write(
    said: Text, *, to: Address, locale: str, why: str, button: str = "", link: str = "", stop: str = ""
) -> EmailMessage:
    """A mail in the language being spoken; `link` of the button (the tenant's page of `said` unless given), `stop` is
    the way out of further ones. Date and Message-ID are the caller's. Head and envelope come from the tenant's own address while the
    proof of its domain holds (so SPF aligns, RFC 7489), else from the portal's, with answers to the tenant's.
    """
    tenant = g.tenant
    words = {
        "title": said.title,
        "body": said.body,
        "link": link or tenant.base_url + said.path,
        "open": button or gettext("Open %(tenant)s", tenant=tenant.name),
        "why": why,
        "tenant": tenant.name,
        "locale": locale,
    }
    end = gettext("Stop these mails")
    own: Mapping[str, str] = tenant.settings.get("mail") or {}
    mail = EmailMessage()
    mail["Subject"] = _line(said.title)
    theirs = own.get("from_address") or ""
    domain = domains.ascii_domain(theirs)
    ascii_own = f"{theirs.rpartition('@')[0]}@{domain}" if theirs else ""
    proved = bool(theirs) and domains.proved(domain) is not None
    mail["From"] = address(ascii_own if proved else platform_address(), own.get("from_name") or tenant.name)
    if answers := own.get("reply_to") or ("" if proved else ascii_own):
        mail["Reply-To"] = address(answers)
    mail["To"] = to
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    if stop:
        mail["List-Unsubscribe"] = f"<{stop}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    plain = "{title}\n\n{body}\n\n{open}: {link}\n\n-- \n{why}\n".format(**words) + (f"{end}: {stop}\n" if stop else "")
    mail.set_content(plain, cte="quoted-printable")
    page = _PAGE.format(
        **words, **_colours(), logo=_logo(), way_out=_WAY_OUT.format(stop=stop, end=end) if stop else ""
    )
    mail.add_alternative(str(page), subtype="html", cte="quoted-printable")
    mail["Content-Language"] = locale  # last: setting the content takes headers of this family away
    return mail


def platform_address() -> str:
    """The portal's own address, for a tenant that has none that is proved."""
    return parseaddr(settings().MAIL_FROM)[1]


def address(email: str, name: str = "") -> Address:
    """Where a mail goes. Raises `AddressUnusable`."""
    try:
        return Address(display_name=_line(name), addr_spec=email)
    except (ValueError, IndexError, HeaderParseError) as error:
        raise AddressUnusable from error


def _address(member: Any) -> Address:
    return address(member.email, member.name)


def _logo() -> str:
    """The tenant's logo at the head; nothing where it has none."""
    own = g.tenant.brand.get("logo")
    if not own:
        return ""
    src = g.tenant.base_url + f"/brand/pictures/{own['file']}/{own['digest']}.png"
    width = max(1, round(own["width"] * 28 / own["height"]))
    return _LOGO.format(src=src, width=width, plate=icons.PLATES[own["plate"]])


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
    """One line of a header: nothing typed into a name can begin another, or is read as an encoded word (B5)."""
    return " ".join(text.split()).replace("=?", "= ?")
