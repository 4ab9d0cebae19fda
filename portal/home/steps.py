"""The first steps of a new member, and of whoever runs a new tenant: what is done is read from what is there.

One statement each, and none for members who put them away or joined more than a month ago, nor for a tenant whose
`settings["first_steps"]` is not `open`.
"""

from dataclasses import dataclass
from typing import Any

from flask import g, url_for
from flask_babel import gettext
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id
from portal.tenants.service import BRAND

SETTING, OPEN, AWAY = "first_steps", "open", "away"
_MEMBER = text("""
SELECT u.email_confirmed_at IS NOT NULL OR u.phone_confirmed_at IS NOT NULL AS confirmed,
       p.born_on IS NOT NULL AS born,
       EXISTS (SELECT 1 FROM purchases b WHERE b.tenant_id = u.tenant_id AND b.member_id = u.id) AS bought,
       EXISTS (SELECT 1 FROM two_factor_methods m
                WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id AND m.confirmed_at IS NOT NULL) AS guarded,
       EXISTS (SELECT 1 FROM identities i WHERE i.tenant_id = u.tenant_id AND i.user_id = u.id) AS linked,
       EXISTS (SELECT 1 FROM telegram_bots b WHERE b.tenant_id = u.tenant_id) AS bot
  FROM users u LEFT JOIN profiles p ON p.tenant_id = u.tenant_id AND p.id = u.id
 WHERE u.tenant_id = :tenant AND u.id = :id
""")
_TENANT = text("""
SELECT EXISTS (SELECT 1 FROM businesses WHERE tenant_id = :tenant AND archived_at IS NULL) AS business,
       EXISTS (SELECT 1 FROM invitations WHERE tenant_id = :tenant AND kind = 'staff')
         OR (SELECT count(*) FROM (SELECT user_id FROM tenant_roles WHERE tenant_id = :tenant
                                    UNION SELECT user_id FROM business_staff
                                           WHERE tenant_id = :tenant AND archived_at IS NULL) s) > 1 AS staff,
       EXISTS (SELECT 1 FROM purchases WHERE tenant_id = :tenant)
         OR EXISTS (SELECT 1 FROM tier_programs p JOIN audit_entries a
                      ON a.tenant_id = p.tenant_id AND a.object_type = 'tier_program' AND a.object_id = p.id
                     WHERE p.tenant_id = :tenant AND a.action = 'loyalty.update_program') AS tiers,
       EXISTS (SELECT 1 FROM legal_texts WHERE tenant_id = :tenant) AS legal
""")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the list: whether it is done, what it is, why, and where it is done."""

    done: bool
    label: str
    note: str
    url: str


def of_member(person: Any) -> list[Step]:
    """A newcomer's first steps; empty once all are done or put away."""
    if not person.newcomer:
        return []
    row = db.session.execute(_MEMBER, {"tenant": current_tenant_id(), "id": person.id}).one()
    steps = [
        Step(
            row.confirmed,
            gettext("Confirm your e-mail or phone"),
            gettext("So that you can always come in by a code."),
            url_for("identity.contacts"),
        ),
        Step(
            row.born,
            gettext("Say who you are"),
            gettext("Your name and, if you like, your birthday."),
            url_for("profiles.about"),
        ),
        Step(
            row.bought,
            gettext("Show your card at the till"),
            gettext("The first purchase brings the first bonus."),
            url_for("identity.card"),
        ),
        Step(
            row.guarded,
            gettext("Protect the account"),
            gettext("A passkey opens it with your finger or face, and for nobody else."),
            url_for("identity.security"),
        ),
    ]
    if row.bot:
        steps.append(
            Step(
                row.linked,
                gettext("Link Telegram"),
                gettext("Sign in with one tap and hear of bonus there."),
                url_for("identity.security"),
            )
        )
    return _unfinished(steps)


def of_tenant() -> list[Step]:
    """What is left to do in a new tenant; empty once all is done or put away."""
    if g.tenant.settings.get(SETTING) != OPEN:
        return []
    row = db.session.execute(_TENANT, {"tenant": current_tenant_id()}).one()
    return _unfinished(
        [
            Step(
                g.tenant.brand != BRAND,
                gettext("Make it look like yours"),
                gettext("Name, colours and mark, as members see them."),
                url_for("tenants_admin.settings"),
            ),
            Step(
                row.business,
                gettext("Open the first business"),
                gettext("A shop with its till and its desk."),
                url_for("partners_admin.businesses"),
            ),
            Step(
                row.staff,
                gettext("Invite those who work with you"),
                gettext("Cashiers, owners of shops, support: each gets a link."),
                url_for("invitations_admin.staff"),
            ),
            Step(
                row.tiers,
                gettext("Look through the tiers"),
                gettext("From which sum, and how much of a purchase comes back."),
                url_for("loyalty_admin.tiers"),
            ),
            Step(
                row.legal,
                gettext("Publish the legal texts"),
                gettext("Terms and privacy, which every newcomer agrees to."),
                url_for("legal_admin.edit"),
            ),
        ]
    )


def _unfinished(steps: list[Step]) -> list[Step]:
    return [] if all(step.done for step in steps) else steps
