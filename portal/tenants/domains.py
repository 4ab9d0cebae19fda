"""A tenant's own addresses: claimed, proved by DNS, put into service, made the first one, retired (D10, D44).

A claim is the tenant's own row and stops nobody: two tenants may claim one host, and the one whose token its DNS carries
gets it. Only `platform.activate_domain` makes a host answer, and it looks at the proof itself.
"""

import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID

import idna
from flask import g
from flask_babel import gettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.tenancy import current_tenant_id
from portal.settings import settings
from portal.tenants import dns, hosts
from portal.tenants.events import SenderLost
from portal.tenants.models import DomainClaim, TenantDomain

MOST = 20  # claims of one tenant


class DomainRefused(PortalError):
    """Not a host name, not one's own, or not proved; the text says which."""

    code = "domain.refused"


def canonical(typed: str) -> str:
    """A host as the table holds it, in punycode. Raises `DomainRefused`."""
    name = typed.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/.")
    try:
        host = idna.encode(name, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise DomainRefused(gettext("This is no host name. Write it like club.example.com.")) from error
    if "." not in host or host.rpartition(".")[2].isdigit():
        raise DomainRefused(gettext("This is no host name. Write it like club.example.com."))
    for own in filter(None, (settings().BASE_DOMAIN, settings().PUBLIC_HOST)):
        if host == own or host.endswith("." + own):
            raise DomainRefused(gettext("Addresses under %(base)s are given by the operator.", base=own))
    return host


def shown(host: str) -> str:
    """As people write it."""
    try:
        return idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host


def said(failure: str) -> str:
    """What the DNS answered, in words; '' is a proof."""
    return {
        "": gettext("Proved: the domain is yours. You can put it into service."),
        "none": gettext("The record is not there yet. A change of DNS can take an hour to be seen."),
        "other": gettext("There is a record, but with another text. Compare every letter."),
        "unreachable": gettext("The name servers of this domain do not answer. Try again later."),
    }[failure]


@command("domain.claim")
def claim(typed: str) -> UUID:
    """Say that a host is one's own; the token to put into its DNS stands in the row. Raises `DomainRefused`."""
    host = canonical(typed)
    known = db.session.scalars(select(DomainClaim)).all()
    for row in known:
        if row.host == host:
            journal().unchanged()
            return row.id
    if len(known) >= MOST:
        raise DomainRefused(gettext("A community can have %(most)s addresses of its own.", most=MOST))
    row = DomainClaim(host=host, token=secrets.token_hex(16), created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    journal().about("domain", row.id)
    return row.id


def verify(claim_id: UUID) -> str:
    """Ask the DNS now; returns '' when the claim is proved, else why not. No transaction is open meanwhile."""
    row = db.session.execute(
        select(DomainClaim.host, DomainClaim.token).where(DomainClaim.id == claim_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    db.session.rollback()
    failure = dns.carries(row.host, row.token)
    _looked(claim_id, failure)
    return failure


@command("domain.verify")
def _looked(claim_id: UUID, failure: str) -> None:
    row, held = _locked(claim_id), _sends()
    row.checked_at = clock.now()
    if failure != "unreachable" or row.state == "pending" or row.failure is None:  # silence brings no lost proof back
        row.failure = failure or None
    if not failure and row.state == "pending":
        row.state, row.verified_at = "verified", clock.now()
    journal().about("domain", row.id)
    _tell_if_lost(row.host, held=held)


def _sends() -> bool:
    """Whether mails come from the tenant's own address now."""
    own = sender()
    return bool(own) and proved(ascii_domain(own)) is not None


def _tell_if_lost(host: str, *, held: bool) -> None:
    from portal.identity.queries import admins

    db.session.flush()
    if held and not _sends():
        for member_id in admins():
            emit(SenderLost(member_id=member_id, host=shown(host)))


@command("domain.activate")
def activate(claim_id: UUID) -> None:
    """Let a proved host answer. Raises `DomainRefused`."""
    row = _locked(claim_id)
    _call("activate_domain", row.host, gettext("This address is not proved yet, or another community uses it."))
    journal().about("domain", row.id)


@command("domain.make_primary")
def make_primary(host: str) -> None:
    """The address in mails and codes; the one before leads there. Raises `DomainRefused`."""
    _call("make_domain_primary", host, gettext("Only an address that answers can be the first one."))
    journal().about("tenant", current_tenant_id())


@command("domain.retire")
def retire(host: str) -> None:
    """An address only leads to the first one from now on. Raises `DomainRefused` for the first one itself."""
    _call("retire_domain", host, gettext("The first address stays. Make another one the first before."))
    journal().about("tenant", current_tenant_id())


@command("domain.drop")
def drop(claim_id: UUID) -> None:
    """Give up a claim that is not in service."""
    row, held = _locked(claim_id), _sends()
    db.session.delete(row)
    journal().about("domain", claim_id)
    _tell_if_lost(row.host, held=held)


def all_of_tenant() -> list[dict[str, Any]]:
    """Every address with its state: pending, verified, active or retired; the first one first."""
    served = {
        row.host: row
        for row in db.session.execute(
            select(TenantDomain.host, TenantDomain.status, TenantDomain.primary)
            .where(TenantDomain.tenant_id == g.tenant_id)
            .order_by(TenantDomain.primary.desc(), TenantDomain.host)
        )
    }
    claims = {row.host: row for row in db.session.scalars(select(DomainClaim).order_by(DomainClaim.host))}
    return [
        {
            "host": host,
            "shown": shown(host),
            "claim": claims.get(host),
            "primary": host in served and served[host].primary,
            "state": served[host].status if host in served else claims[host].state,
            "name": dns.record_name(host),
            "text": dns.record_text(claims[host].token) if host in claims else "",
        }
        for host in [*served, *(h for h in claims if h not in served)]
    ]


def proved(domain: str) -> str | None:
    """The host of the acting tenant by which a domain is its own: itself, or one above it; None where none is proved now.

    A proof ends when its claim is given up, and when the DNS was asked once more and did not carry it; name servers that
    did not answer end nothing. `domain` is in ASCII, in lower case.
    """
    holds = DomainClaim.failure.is_(None) | (DomainClaim.failure == "unreachable")
    found = db.session.execute(_covering(domain).where(holds).limit(1)).one_or_none()
    return found.host if found else None


def _covering(domain: str) -> Any:
    labels = domain.split(".")
    above = [".".join(labels[n:]) for n in range(len(labels) - 1)]
    return select(DomainClaim.id, DomainClaim.host).where(DomainClaim.host.in_(above), DomainClaim.state == "verified")


def mail_names() -> list[str]:
    """The hosts that mails may come from, as people write them."""
    claims = select(DomainClaim.host).where(DomainClaim.state == "verified").order_by(DomainClaim.host)
    return [shown(host) for host in db.session.scalars(claims) if proved(host)]


def recheck(address: str) -> None:
    """Ask the DNS again about the proved domain that a mail address is of; '' asks nothing."""
    for claim_id in db.session.scalars(_covering(ascii_domain(address))).all() if address else ():
        verify(claim_id)


def sender() -> str:
    """The address of its own that the acting tenant's mails are to come from; '' for the portal's."""
    return (g.tenant.settings.get("mail") or {}).get("from_address") or ""


def ascii_domain(address: str) -> str:
    """The domain of a mail address as the DNS and a mail's head have it."""
    domain = address.rpartition("@")[2]
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return domain


def _locked(claim_id: UUID) -> DomainClaim:
    row = db.session.scalars(select(DomainClaim).where(DomainClaim.id == claim_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such address."))
    return row


def _call(function: str, host: str, refusal: str) -> None:
    done = db.session.scalar(text(f"SELECT platform.{function}(:host)"), {"host": host})
    if not done:
        raise DomainRefused(refusal)
    journal().note("tenant_domains", host, [function])


def then(act: Callable[..., Any], *values: Any) -> None:
    """Do it, and let every look-up of this process be new."""
    act(*values)
    hosts.forget()
