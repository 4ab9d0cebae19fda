"""Committed events become notices and mails. History notifies nobody (D27)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from portal.identity.events import (
    CodeRequested,
    ContactChanged,
    FactorAdded,
    FactorRemoved,
    IdentityLinked,
    IdentityUnlinked,
    MemberLookedAt,
    MemberRegistered,
    MembersMerged,
    MembersParted,
    PasswordChanged,
    RecoveryCodeUsed,
    ResetRequested,
    RoleChanged,
)
from portal.invitations.events import InvitationAsked
from portal.kernel.outbox import Message, subscriber
from portal.kyc.events import KycDecided
from portal.loyalty.events import TierChanged
from portal.messages import mail
from portal.messages.codes import send_codes, send_links, tell_old_contacts
from portal.messages.facts import kyc_notices, purchase_notices, safety_notices, tier_notices, welcome_notices
from portal.messages.inbox import tell
from portal.messages.invitations import send_guests
from portal.purchases.events import PurchaseRecorded, PurchaseRefunded
from portal.tenants.events import SenderLost

SAFETY = (
    PasswordChanged,
    ContactChanged,
    IdentityLinked,
    IdentityUnlinked,
    MembersMerged,
    MembersParted,
    RoleChanged,
    SenderLost,
)


@subscriber("messages.notify_purchase", events=(PurchaseRecorded, PurchaseRefunded))
def notify_purchase(messages: Sequence[Message]) -> None:
    """A line in the inbox for each purchase and refund."""
    tell(purchase_notices(messages))


@subscriber("messages.notify_tier", events=(TierChanged,))
def notify_tier(messages: Sequence[Message]) -> None:
    """A line in the inbox for each change of tier."""
    tell(tier_notices(messages))


@subscriber("messages.welcome", events=(MemberRegistered,))
def welcome(messages: Sequence[Message]) -> None:
    """The first line of a new member's inbox."""
    tell(welcome_notices(messages))


@subscriber("messages.email_purchase", events=(PurchaseRecorded, PurchaseRefunded), transactional=False)
def email_purchase(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail for each purchase and refund."""
    return mail.send(messages, purchase_notices)


@subscriber("messages.email_tier", events=(TierChanged,), transactional=False)
def email_tier(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail for each change of tier."""
    return mail.send(messages, tier_notices)


@subscriber("messages.email_welcome", events=(MemberRegistered,), transactional=False)
def email_welcome(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail for each new member."""
    return mail.send(messages, welcome_notices)


@subscriber("messages.send_code", events=(CodeRequested,), transactional=False)
def send_code(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A one-time code to whoever is to get it."""
    return send_codes(messages)


@subscriber("messages.notify_kyc", events=(KycDecided,))
def notify_kyc(messages: Sequence[Message]) -> None:
    """A line in the inbox for each decision on a proof of identity."""
    tell(kyc_notices(messages))


@subscriber("messages.email_kyc", events=(KycDecided,), transactional=False)
def email_kyc(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail for each decision on a proof of identity."""
    return mail.send(messages, kyc_notices)


@subscriber("messages.notify_factor", events=(FactorAdded, FactorRemoved, RecoveryCodeUsed, MemberLookedAt))
def notify_factor(messages: Sequence[Message]) -> None:
    """A line in the inbox for each second factor that came, went or was replaced, and for each look of support."""
    tell(safety_notices(messages))


@subscriber(
    "messages.email_factor", events=(FactorAdded, FactorRemoved, RecoveryCodeUsed, MemberLookedAt), transactional=False
)
def email_factor(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail for the same: whoever lost the account hears of it."""
    return mail.send(messages, safety_notices)


@subscriber("messages.send_reset", events=(ResetRequested,), transactional=False)
def send_reset(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A link to a new password to whoever is to get it."""
    return send_links(messages)


@subscriber("messages.notify_safety", events=SAFETY)
def notify_safety(messages: Sequence[Message]) -> None:
    """A line in the inbox when what one signs in with changes, what one may do, or whom one's mails come from."""
    tell(safety_notices(messages))


@subscriber(
    "messages.email_safety",
    events=SAFETY,
    transactional=False,
)
def email_safety(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """The same as a mail, which cannot be switched off."""
    return mail.send(messages, safety_notices)


@subscriber("messages.tell_old_contact", events=(ContactChanged,), transactional=False)
def tell_old_contact(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """The e-mail or phone that was replaced hears of it."""
    return tell_old_contacts(messages)


@subscriber("messages.send_invitation", events=(InvitationAsked,), transactional=False)
def send_invitation(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A link to whoever is asked to come."""
    return send_guests(messages)
