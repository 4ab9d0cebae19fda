"""Verification of members: documents come in sealed, people decide, time ends it (KYC-1).

`none → pending → verified | rejected | resubmit`, `verified → review → verified | rejected`, `verified → expired`.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from io import BytesIO
from typing import IO, Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import func, select

from portal.extensions import db
from portal.files import pictures
from portal.files import service as files
from portal.files.kinds import kind_of
from portal.identity import contacts
from portal.identity.queries import whose
from portal.identity.service import OwnAccount, locked
from portal.kernel import clock, vault
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.reads import written_down
from portal.kyc.events import KycDecided, KycSubmitted
from portal.kyc.models import KycDocument, KycSubmission
from portal.kyc.rules import rules

log = logging.getLogger(__name__)
OPEN = ("pending", "review")
NEEDED: Mapping[str, tuple[str, ...]] = {"basic": ("front",), "full": ("front", "selfie", "address")}
REASONS = ("unreadable", "expired", "mismatch", "wrong_document", "incomplete", "suspicious")
LONGEST_SIDE = 2400  # pixels
SEALED = "application/octet-stream"
HELD_FOR = timedelta(hours=2)  # sealed files that no submission names yet
YOUNGEST, OLDEST = 14, 120


class KycRefused(PortalError):
    """The submission cannot be taken as it is; `field` says why."""

    code = "kyc.refused"


class AlreadyOpen(PortalError):
    """One submission is looked at already."""

    code, status = "kyc.already_open", 409


class AlreadyDecided(Conflict):
    """Somebody else decided a moment ago."""

    code = "kyc.already_decided"


def submit(
    member_id: UUID,
    *,
    level: str,
    legal_name: str,
    born_on: date,
    country: str,
    document_kind: str,
    document_number: str,
    documents: Mapping[str, IO[bytes]],
) -> UUID:
    """Send documents to be verified; returns the submission's id.

    Each file is drawn anew or, a PDF, kept as it is; then sealed under the member's own key. Raises `KycRefused`,
    `AlreadyOpen` and `files.FileRefused`; then nothing is kept.
    """
    missing = [kind for kind in NEEDED[level] if kind not in documents]
    if missing:
        raise KycRefused(gettext("A picture is missing."), field=missing[0])
    _refuse_age(born_on)
    _refuse_open(member_id)
    kept = {kind: _taken(kind, stream) for kind, stream in documents.items()}
    stored: list[tuple[UUID, str, str, UUID]] = []
    for kind, (mime, body) in kept.items():
        document_id = new_id()
        sealed = _sealed(document_id, member_id, body)
        until = clock.now() + HELD_FOR
        file_id = files.store(BytesIO(sealed), "document", "kyc", owner_id=member_id, mime=SEALED, expires_at=until)
        stored.append((document_id, kind, mime, file_id))
    return _submit(
        member_id,
        level=level,
        legal_name=contacts.clean_name(legal_name),
        born_on=born_on,
        country=country,
        document_kind=document_kind,
        document_number=_plain_number(document_number),
        stored=stored,
    )


@command("kyc.seal")
def _sealed(document_id: UUID, member_id: UUID, body: bytes) -> bytes:
    journal().about("member", member_id)
    return vault.seal(body, table="kyc_documents", column="body", row=document_id, subject=member_id)


@command("kyc.submit", emits=(KycSubmitted,))
def _submit(
    member_id: UUID,
    *,
    level: str,
    legal_name: str,
    born_on: date,
    country: str,
    document_kind: str,
    document_number: str,
    stored: list[tuple[UUID, str, str, UUID]],
) -> UUID:
    locked(member_id)
    _refuse_open(member_id)
    submission_id = new_id()
    last = select(func.coalesce(func.max(KycSubmission.version), 0)).where(whose(KycSubmission.member_id, member_id))
    sealed = {
        name: vault.seal(value, table="kyc_submissions", column=name, row=submission_id, subject=member_id)
        for name, value in (
            ("legal_name", legal_name),
            ("born_on", born_on.isoformat()),
            ("document_number", document_number),
        )
    }
    db.session.add(
        KycSubmission(
            id=submission_id,
            member_id=member_id,
            version=db.session.execute(last).scalar_one() + 1,
            level=level,
            number_blind=vault.blind(f"{country}/{document_kind}/{document_number}", "kyc"),
            document_kind=document_kind,
            country=country,
            submitted_at=clock.now(),
            **sealed,
        )
    )
    db.session.flush()
    for document_id, kind, mime, file_id in stored:
        db.session.add(KycDocument(id=document_id, submission_id=submission_id, file_id=file_id, kind=kind, mime=mime))
        files.keep_until(file_id, None)
    journal().about("member", member_id)
    emit(KycSubmitted(member_id=member_id, submission_id=submission_id, level=level))
    return submission_id


@command("kyc.approve")
def approve(submission_id: UUID, reviewer_id: UUID, *, valid_until: date | None = None, note: str = "") -> str:
    """Say that the documents are right; returns the state. Where the community wants four eyes, the first approval
    only leaves a mark and the second has to be another person's. Raises `AlreadyDecided` and `OwnAccount`.
    """
    submission = _open(submission_id, reviewer_id)
    own = rules()
    if own.four_eyes and submission.first_approver_id is None:
        submission.first_approver_id, submission.first_approved_at = reviewer_id, clock.now()
        submission.note = note.strip() or submission.note
        journal().about("member", submission.member_id)
        return submission.state
    if own.four_eyes and submission.first_approver_id == reviewer_id:
        raise KycRefused(gettext("You approved it already; somebody else has to look too."))
    today = clock.now().date()
    until = valid_until or _months_on(today, own.valid_months)
    if until <= today:
        raise KycRefused(gettext("The day must be in the future."), field="valid_until")
    _decide(submission, reviewer_id, "verified", note=note, valid_until=until)
    return submission.state


@command("kyc.reject", emits=(KycDecided,))
def reject(submission_id: UUID, reviewer_id: UUID, *, reasons: list[str], note: str = "", again: bool = False) -> None:
    """Refuse, or with `again` ask to send it anew; a reason has to be named. Raises `AlreadyDecided`, `KycRefused`."""
    chosen = [name for name in REASONS if name in reasons]
    if not chosen:
        raise KycRefused(gettext("Choose a reason; the member reads it."), field="reasons")
    submission = _open(submission_id, reviewer_id)
    _decide(submission, reviewer_id, "resubmit" if again else "rejected", note=note, reasons=chosen)


@command("kyc.review", emits=(KycDecided,))
def reopen(submission_id: UUID, reviewer_id: UUID, *, note: str) -> None:
    """Put a verified member under review again; the level is gone until it is decided."""
    submission = _locked(submission_id, reviewer_id)
    if submission.state != "verified":
        raise AlreadyDecided(gettext("Only a verified submission can be reviewed again."))
    if not note.strip():
        raise KycRefused(gettext("Say why."), field="note")
    _refuse_open(submission.member_id)
    submission.first_approver_id = submission.first_approved_at = None
    _decide(submission, reviewer_id, "review", note=note, valid_until=submission.valid_until, purge=False)


def expire_due() -> int:
    """Verified submissions of the acting tenant whose last day is over; returns how many."""
    due = select(KycSubmission.id).where(
        KycSubmission.state == "verified", KycSubmission.valid_until < clock.now().date()
    )
    found = list(db.session.scalars(due.limit(500)))
    for submission_id in found:
        _expire(submission_id)
    return len(found)


@command("kyc.expire")
def _expire(submission_id: UUID) -> None:
    submission = _row(submission_id)
    if submission.state != "verified":
        journal().unchanged()
        return
    submission.state = "expired"
    journal().about("member", submission.member_id)
    emit(
        KycDecided(member_id=submission.member_id, submission_id=submission.id, level=submission.level, state="expired")
    )


def purge_due() -> int:
    """Documents and sealed data whose time after the decision is over; returns how many submissions."""
    due = select(KycSubmission.id).where(
        KycSubmission.purge_at <= clock.now(), KycSubmission.purged_at.is_(None), KycSubmission.state.not_in(OPEN)
    )
    found = list(db.session.scalars(due.limit(500)))
    for submission_id in found:
        _purge(submission_id)
    return len(found)


@command("kyc.purge")
def _purge(submission_id: UUID) -> None:
    submission = _row(submission_id)
    if submission.purged_at is not None or submission.state in OPEN:
        journal().unchanged()
        return
    submission.legal_name = submission.born_on = submission.document_number = None
    submission.purged_at = clock.now()
    for file_id in db.session.scalars(select(KycDocument.file_id).where(KycDocument.submission_id == submission_id)):
        files.discard(file_id)
    journal().about("member", submission.member_id)


def opened(submission_id: UUID) -> dict[str, str]:
    """The sealed words of a submission, for a reviewer; the read is audited (AUD-2). Empty after the purge."""
    sealed = (KycSubmission.legal_name, KycSubmission.born_on, KycSubmission.document_number)
    found = select(KycSubmission.member_id, *sealed).where(KycSubmission.id == submission_id)
    row = db.session.execute(found).one_or_none()
    if row is None:
        raise NotFound
    written_down("kyc.read", about=("member", row.member_id))
    return {
        column.key: vault.unseal(value, table="kyc_submissions", column=column.key, row=submission_id).decode()
        for column in sealed
        if (value := row._mapping[column]) is not None
    }


def document(submission_id: UUID, document_id: UUID) -> tuple[str, bytes]:
    """A document's type and bytes; the read is audited (AUD-2). Raises `NotFound` and `vault.Unreadable`."""
    found = select(KycDocument.file_id, KycDocument.kind, KycDocument.mime, KycSubmission.member_id).join(
        KycSubmission,
        (KycSubmission.tenant_id == KycDocument.tenant_id) & (KycSubmission.id == KycDocument.submission_id),
    )
    row = db.session.execute(
        found.where(KycDocument.id == document_id, KycDocument.submission_id == submission_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    written_down("kyc.read_document", row.kind, about=("member", row.member_id))
    return row.mime, _unsealed(document_id, row.file_id)


def _unsealed(document_id: UUID, file_id: UUID) -> bytes:
    with files.open_file(file_id) as stream:
        return vault.unseal(stream.read(), table="kyc_documents", column="body", row=document_id)


def own_documents(member_id: UUID) -> Iterator[tuple[str, bytes]]:
    """What a member sent and is still kept, unsealed for themselves: a path such as `documents/2-front.jpg` (the second
    try's front side) and the bytes, one at a time; a text in place of one that opens no more.
    """
    joined = (KycSubmission.tenant_id == KycDocument.tenant_id) & (KycSubmission.id == KycDocument.submission_id)
    statement = (
        select(KycDocument.id, KycDocument.file_id, KycDocument.kind, KycDocument.mime, KycSubmission.version)
        .join(KycSubmission, joined)
        .where(whose(KycSubmission.member_id, member_id), KycSubmission.purged_at.is_(None))
        .order_by(KycSubmission.version, KycSubmission.id, KycDocument.kind)
    )
    taken: set[str] = set()
    for row in db.session.execute(statement).all():
        name = f"documents/{row.version}-{row.kind}"
        if name in taken:  # the same try of an account that was merged into theirs (D28)
            name += f"-{row.id}"
        taken.add(name)
        try:
            body = _unsealed(row.id, row.file_id)
        except (vault.Unreadable, NotFound) as error:
            log.warning("document %s opens no more: %s", row.id, type(error).__name__)
            yield f"{name}.txt", gettext("This document could not be opened. Ask the staff.").encode()
            continue
        yield f"{name}.{'pdf' if row.mime == 'application/pdf' else 'jpg'}", body


@command("kyc.set_rules")
def set_rules(value: dict[str, Any]) -> None:
    """The community's rules; the caller drops the tenants' memory after the commit."""
    from portal.tenants.change import put_setting

    put_setting("kyc", value)
    journal().about("tenant", g.tenant_id)


def _open(submission_id: UUID, reviewer_id: UUID) -> KycSubmission:
    submission = _locked(submission_id, reviewer_id)
    if submission.state not in OPEN:
        raise AlreadyDecided(gettext("This was decided already; look at it again."))
    return submission


def _locked(submission_id: UUID, reviewer_id: UUID) -> KycSubmission:
    submission = _row(submission_id)
    if submission.member_id == reviewer_id:
        raise OwnAccount(gettext("Nobody verifies themselves."))
    return submission


def _row(submission_id: UUID) -> KycSubmission:
    statement = select(KycSubmission).where(KycSubmission.id == submission_id).with_for_update()
    row = db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound
    return row


def _decide(
    submission: KycSubmission,
    reviewer_id: UUID,
    state: str,
    *,
    note: str,
    reasons: list[str] | None = None,
    valid_until: date | None = None,
    purge: bool = True,
) -> None:
    now = clock.now()
    submission.state, submission.reasons = state, reasons or []
    submission.note, submission.decided_by, submission.decided_at = note.strip(), reviewer_id, now
    submission.valid_until = valid_until
    submission.purge_at = now + timedelta(days=rules().purge_days) if purge else None
    journal().about("member", submission.member_id)
    if note.strip():
        journal().reason(note.strip())
    emit(KycDecided(member_id=submission.member_id, submission_id=submission.id, level=submission.level, state=state))


def _taken(kind: str, stream: IO[bytes]) -> tuple[str, bytes]:
    data = pictures.read(stream)
    if kind in {"front", "back", "address"} and kind_of(data[:4096]) == "application/pdf":
        return "application/pdf", data
    return "image/jpeg", pictures.redrawn(data, LONGEST_SIDE)


def _refuse_open(member_id: UUID) -> None:
    open_one = select(KycSubmission.id).where(whose(KycSubmission.member_id, member_id), KycSubmission.state.in_(OPEN))
    if db.session.scalar(open_one) is not None:
        raise AlreadyOpen(gettext("Your documents are being looked at already."))


def _refuse_age(born_on: date) -> None:
    years = (clock.now().date() - born_on).days / 365.2425
    if not YOUNGEST <= years <= OLDEST:
        raise KycRefused(gettext("Check the date of birth."), field="born_on")


def _plain_number(text: str) -> str:
    plain = "".join(c for c in text.upper() if c.isalnum())
    if not 4 <= len(plain) <= 32:  # noqa: PLR2004  the shortest and longest of ICAO 9303 and national cards
        raise KycRefused(gettext("Type the number as it stands in the document."), field="document_number")
    return plain


def _months_on(day: date, months: int) -> date:
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    for last in range(day.day, 27, -1):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    return date(year, month, day.day)


def same_document(submission: KycSubmission) -> list[Any]:
    """Other members who sent the same document."""
    from portal.identity.models import User

    return list(
        db.session.execute(
            select(User.id, User.name)
            .join(KycSubmission, (KycSubmission.tenant_id == User.tenant_id) & (KycSubmission.member_id == User.id))
            .where(
                KycSubmission.number_blind == submission.number_blind,
                KycSubmission.member_id != submission.member_id,
            )
            .distinct()
        )
    )
