"""What a change of the ladder means for members, said before it is saved."""

from collections.abc import Sequence

from flask_babel import gettext, ngettext
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock, money
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import labels
from portal.loyalty.queries import Program
from portal.loyalty.service import TierDraft
from portal.web.locale import current as locale


def changes(
    program: Program, drafts: Sequence[TierDraft], *, bonus_expiry: str, period: str, end_rule: str, downgrade: str
) -> list[str]:
    """One sentence a change, in the reader's language; empty when nothing would change."""
    found: list[str] = []
    moved = False
    for tier, draft in zip(program.rules.tiers, drafts, strict=True):
        name = tier.name_i18n.in_(locale())
        if dict(draft.name) != dict(tier.name_i18n) and (new := draft.name.get(locale(), name)) != name:
            found.append(gettext("%(old)s will be called %(new)s.", old=name, new=new))
        if draft.threshold != tier.threshold:
            moved = True
            found.append(
                gettext(
                    "%(tier)s begins at %(new)s instead of %(old)s.",
                    tier=name,
                    new=money.format_amount(draft.threshold, program.currency, locale()),
                    old=money.format_amount(tier.threshold, program.currency, locale()),
                )
            )
        if draft.rate != tier.rate:
            found.append(
                gettext(
                    "%(tier)s earns %(new)s instead of %(old)s from the next purchase on.",
                    tier=name,
                    new=labels.rate(draft.rate),
                    old=labels.rate(tier.rate),
                )
            )
    if bonus_expiry != program.bonus_expiry:
        found.append(
            gettext(
                "Bonus given from now on %(how)s; what was given before keeps its date.",
                how=labels.expiry(bonus_expiry),
            )
        )
    if period != program.rules.calendar.period:
        found.append(
            gettext(
                "What counts is %(period)s: everybody's progress is counted again from their purchases.",
                period=dict(labels.periods())[period],
            )
        )
    elif moved:
        found += _who_moves(program, drafts)
    if end_rule != program.rules.end_rule:
        found.append(gettext("A tier reached from now on is kept %(rule)s.", rule=dict(labels.end_rules())[end_rule]))
    if downgrade != program.rules.downgrade:
        found.append(
            gettext("Who does not reach a tier again goes %(rule)s.", rule=dict(labels.downgrades())[downgrade])
        )
    return found


def _who_moves(program: Program, drafts: Sequence[TierDraft]) -> list[str]:
    """How many members the new amounts lift, and how many hold a tier that they would not reach any more."""
    row = db.session.execute(
        text("""
        SELECT count(*) FILTER (WHERE reached > held) AS rise, count(*) FILTER (WHERE reached < held) AS stay
          FROM (SELECT (SELECT max(n) - 1 FROM unnest(cast(:thresholds AS bigint[])) WITH ORDINALITY AS u (t, n)
                         WHERE u.t <= coalesce(p.qualifying, 0)) AS reached, coalesce(t.rank, 0) AS held
                  FROM (SELECT member_id, qualifying FROM tier_progress
                         WHERE tenant_id = :tenant AND program_id = :program AND window_start = :start) p
                  FULL JOIN (SELECT s.* FROM tier_memberships s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.id
                              WHERE s.tenant_id = :tenant AND u.merged_into IS NULL) m ON m.id = p.member_id
                  LEFT JOIN status_tiers t ON t.tenant_id = :tenant AND t.id = m.tier_id) x"""),
        {
            "tenant": current_tenant_id(),
            "program": program.id,
            "start": program.rules.calendar.start(clock.now()),
            "thresholds": [draft.threshold for draft in drafts],
        },
    ).one()
    found = []
    if row.rise:
        found.append(
            ngettext(
                "%(num)s member has spent enough for a higher tier and rises with the next purchase.",
                "%(num)s members have spent enough for a higher tier and rise with their next purchase.",
                row.rise,
            )
        )
    if row.stay:
        found.append(
            ngettext(
                "%(num)s member holds a tier above what they have spent, and keeps it until its date.",
                "%(num)s members hold a tier above what they have spent, and keep it until its date.",
                row.stay,
            )
        )
    return [*found, gettext("Nobody falls because of this change.")]
