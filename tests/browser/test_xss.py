"""B4: markup in every text that people and programs send, opened in a real browser by everybody who sees it.

0 dialogs, 0 violations of the policy, 0 calls to elsewhere, and not one script, handler or hx-attribute more than without.
"""

from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import String, Text

from portal.settings import settings
from portal.tenants import hosts
from tests.cast import ALICE, BOB, CAFE, CIRCLE, IRINA, OLGA, SAM
from tests.naughty import XSS
from tests.objects import objects
from tests.whole import in_full, tell

pytestmark = pytest.mark.browser
PAGES = {
    ALICE: [
        "/me",
        "/me/card",
        "/me/wallet",
        "/me/notifications",
        "/me/notifications/preferences",
        "/me/more",
        "/me/security",
        "/me/profile",
        "/me/why/tier",
    ],
    BOB: ["/till/cafe", f"/till/cafe/members/{ALICE.id}", "/till/cafe/members/new", "/till/cafe/shift"],
    IRINA: ["/desk/cafe", "/desk/cafe/purchases", "/desk/cafe/imports", "/desk/cafe/staff", "/desk/cafe/keys"],
    OLGA: [
        "/admin",
        "/admin/members",
        f"/admin/members/{ALICE.id}",
        "/admin/businesses",
        f"/admin/businesses/{CAFE.id}",
        "/admin/tiers",
        "/admin/audit",
        "/admin/outbox",
        "/admin/settings",
    ],
}
ROOM = {ALICE: "phone", BOB: "tablet", IRINA: "desk", OLGA: "desk"}
KEPT = {  # columns whose texts are chosen from a list, made by the portal or held to a form
    "locale", "timezone", "status", "kind", "type", "state", "purpose", "mime", "path", "slug", "currency", "action", "role", "code",
    "source", "email", "phone", "card_number", "search_text", "password_hash", "joined_via", "token_hash", "actor_kind", "subscriber",
    "aggregate_type", "host", "prefix", "secret_hash", "request_hash", "external_id", "hash", "public_key", "signature", "n",
    "dedupe_key", "handle", "country", "level", "document_kind", "number_blind", "default_locale", "queue", "word", "tenant_id",
    "spend_confirmation", "period", "end_rule", "downgrade", "bonus_expiry", "amr", "primary_name", "channel", "object_type", "object_id",
    "workflow", "category_code", "account", "owner_kind", "error_code", "credential_id", "form_key", "result",
}  # fmt: skip
KEPT_TABLES = {"device_sessions", "one_time_codes", "tenant_domains", "form_submissions", "currencies"}
SHAPE = """() => {
  const count = {};
  for (const one of document.querySelectorAll('*')) {
    for (const {name} of one.attributes)
      if (/^(data-)?hx-|^on|^srcdoc$|^formaction$|^style$|^autofocus$/.test(name)) count[name] = (count[name] || 0) + 1;
    if (/^(script|iframe|object|embed|base|link|meta|style|svg:script|marquee|xss|animate|math|video|audio|template|noscript)$/i.test(one.localName))
      count[one.localName] = (count[one.localName] || 0) + 1;
    for (const name of ['href', 'src', 'action', 'formaction'])
      if (/^\\s*(javascript|data:text)/i.test(one.getAttribute(name) || '')) count.running = (count.running || 0) + 1;
  }
  return {count, broken: window.broken || []};
}"""
WATCH = """addEventListener('securitypolicyviolation', e => {
  (window.broken = window.broken || []).push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample)
})"""
SEEN_BY = {
    ALICE: [*PAGES[ALICE], "/me/about", "/me/verification"],
    BOB: PAGES[BOB],
    IRINA: [*PAGES[IRINA], "/desk/cafe/purchases/{purchase_id}", "/desk/cafe/search?q=img"],
    SAM: [f"/admin/members/{ALICE.id}", "/admin/kyc", "/admin/kyc/{submission_id}"],
    OLGA: [*PAGES[OLGA], f"/admin/businesses/{CAFE.id}/edit", f"/admin/members/{ALICE.id}/contacts", "/admin/audit/{audit_id}", "/admin/search?q=script"],
}  # fmt: skip


def fill(app, typed):
    """Write this over every text that the tenant's rows hold and the column takes, past the services that would refuse it."""
    from portal.extensions import db

    written = set()
    with psycopg.connect(settings().database_url("portal_owner")) as owner:
        owner.execute("SELECT set_config('app.tenant_id', %s, false)", (str(CIRCLE.id),))
        for table in db.metadatas[None].sorted_tables:
            if "tenant_id" not in table.columns or table.name in KEPT_TABLES:
                continue
            for column in table.columns:
                if column.name in KEPT or column.foreign_keys:
                    continue
                if isinstance(column.type, String | Text):
                    value = "%(typed)s"
                elif column.name.endswith("_i18n"):
                    value = "jsonb_build_object('en', %(typed)s::text, 'ru', %(typed)s::text)"
                elif (table.name, column.name) == ("notifications", "data"):
                    value = "jsonb_build_object('title', %(typed)s::text, 'business', %(typed)s::text, 'reason', %(typed)s::text)"
                else:
                    continue
                try:
                    with owner.transaction():
                        done = owner.execute(
                            f'UPDATE "{table.name}" SET "{column.name}" = {value} WHERE tenant_id = %(tenant)s',
                            {"typed": typed, "tenant": CIRCLE.id},
                        )
                        if done.rowcount:
                            written.add(f"{table.name}.{column.name}")
                except psycopg.Error:  # a list, a form or the log's seal says no: then nobody can write it there
                    continue
        owner.execute("UPDATE tenants SET name = %s WHERE id = %s", (typed[:60], CIRCLE.id))
    hosts.forget()
    return written


@pytest.mark.parametrize(
    "order", [pytest.param(1, id="first to last"), pytest.param(-1, id="last to first", marks=in_full)]
)
def test_markup_stays_text_for_everybody_who_sees_it(app, seed, browse, order):
    things = objects(seed)
    known = {name: thing.own for name, thing in things.items()}
    windows, dialogs, elsewhere = {}, [], []
    for person in SEEN_BY:
        page = browse(person, ROOM.get(person, "desk"))
        page.on("dialog", lambda d: (dialogs.append(d.message), d.dismiss()))
        page.on("request", lambda r: elsewhere.append(r.url) if "evil" in urlsplit(r.url).netloc else None)
        page.add_init_script(WATCH)
        windows[person] = page
    seen, wrong = [], []
    written = fill(app, "Plain words")
    assert {"users.name", "businesses.name", "purchases.receipt_number"} <= written
    for text in ("Plain words", "\n".join(XSS[::order])):
        assert fill(app, text) == written or text == "Plain words"
        shapes = {}
        for person, page in windows.items():
            for path in SEEN_BY[person]:
                answer = page.goto(path.format(**known), wait_until="load")
                assert answer.status < 500, path
                shapes[person.name, path] = (answer.status, page.evaluate(SHAPE))
        seen.append(shapes)
    for where, (status, shape) in seen[1].items():
        if (status, shape) != seen[0][where]:
            wrong.append(f"{where}: {seen[0][where]} → {(status, shape)}")
    tell(sum(map(len, seen)), [*wrong, *dialogs, *elsewhere])
    assert (wrong, dialogs, elsewhere) == ([], [], [])
    assert not [shape for _, shape in seen[1].values() if shape["broken"]]
