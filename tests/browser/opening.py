"""From the operator's "New tenant" to the first sale, by four people with a browser each; a test and a proof use it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from tests.post import code_in

WORDS = "lantern orchard seventeen"


@dataclass(frozen=True)
class People:
    """How they are reached: `window(host, size)` opens a page there, `mail(address)` waits for its newest mail."""

    window: Callable[[str, str], Any]
    mail: Callable[[str], EmailMessage]


def path_in(mail: EmailMessage, page: str) -> str:
    return re.search(rf"/{page}/[\w.-]+", mail.get_body(("plain",)).get_content())[0]


def open_and_sell(people: People, *, ops: str, email: str, password: str, slug: str, base: str) -> dict[str, float]:
    """Open the tenant from a template, let its owner, a cashier and a member in, sell to the member.

    Returns the seconds from the press of "Open the tenant" to each moment: open, owner, cashier, member, sold.
    """
    host, moments = f"{slug}.{base}", {}
    operator = people.window(ops, "desk")
    operator.goto("/login?next=/tenants/new")
    operator.fill("#sign-in [name=email]", email)
    operator.fill("#sign-in [name=password]", password)
    operator.press("#sign-in [name=password]", "Enter")
    operator.wait_for_selector("#tenant-form")
    operator.fill("#tenant-form [name=name]", "Bistro Nord")
    operator.fill("#tenant-form [name=slug]", slug)
    operator.check("#tenant-form [name=starter][value=shops]")
    operator.fill("#tenant-form [name=admin]", f"ada@{slug}.example")
    began = time.monotonic()

    def now(moment: str) -> None:
        moments[moment] = time.monotonic() - began

    operator.click("#tenant-form button[type=submit]")
    operator.wait_for_selector("#owner-form")
    now("open")

    owner = people.window(host, "desk")
    owner.goto(path_in(people.mail(f"ada@{slug}.example"), "invite"))
    owner.fill("#accept [name=password]", WORDS)
    owner.check("#accept [name=agreed]")
    owner.click("#accept button[type=submit]")
    owner.wait_for_url(re.compile("/admin$"))
    now("owner")

    owner.goto("/desk/main/invitations")
    owner.fill("#invite [name=contact]", f"carl@{slug}.example")
    owner.fill("#invite [name=name]", "Carl Cashier")
    owner.select_option("#invite [name=role]", "cashier")
    owner.click("#invite button[type=submit]")
    owner.wait_for_selector("#invitations-list tbody tr")
    till = people.window(host, "tablet")
    till.goto(path_in(people.mail(f"carl@{slug}.example"), "invite"))
    till.fill("#accept [name=password]", WORDS)
    till.check("#accept [name=agreed]")
    till.click("#accept button[type=submit]")
    till.wait_for_url(lambda url: "/invite/" not in url)
    till.goto("/till/main")
    till.wait_for_selector("#q")
    now("cashier")

    phone = people.window(host, "phone")
    phone.goto("/join")
    phone.fill("#join [name=name]", "Mia Member")
    phone.fill("#join [name=contact]", f"mia@{slug}.example")
    phone.check("#join [name=agreed]")
    phone.click("#join button[type=submit]")
    phone.wait_for_selector("[name=code]")
    phone.fill("[name=code]", code_in(people.mail(f"mia@{slug}.example")["Subject"]))
    phone.press("[name=code]", "Enter")
    phone.wait_for_url(re.compile("/me$"))
    now("member")

    till.fill("#q", "Mia Member")
    till.press("#q", "Enter")
    till.wait_for_selector("#amount, a[href*='/members/']")
    if "/members/" not in till.url:
        till.get_by_role("link", name=re.compile("Mia")).first.click()
    till.wait_for_selector("#amount")
    till.fill("#amount", "40.00")
    till.click("#till-pay")
    till.wait_for_selector("h1:has-text('Paid')")
    now("sold")
    return moments
