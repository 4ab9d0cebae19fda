"""People of a tenant: one row each, member and staff alike (G1)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import I18n, Model, TenantOwned, in_words, pii, recorded_at, tenant_fk
from portal.web.locale import current as locale
from portal.web.locale import first_locale


class User(TenantOwned, Model):
    """An account in one tenant. Contacts are nullable (D28): a member may exist by card alone."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("tenant_id", "email"),
        UniqueConstraint("tenant_id", "phone"),
        UniqueConstraint("tenant_id", "username"),
        UniqueConstraint("tenant_id", "card_number"),
        tenant_fk("users", "merged_into"),
        Index(None, "tenant_id", "search_text", "id"),
        Index(None, "tenant_id", "joined_at", "id"),
        Index(None, "tenant_id", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        CheckConstraint("card_number ~ '^[0-9]{12}$'", name="card_number"),
    )

    name: Mapped[str] = mapped_column(info=pii("erase"))
    email: Mapped[str | None] = mapped_column(info=pii("erase"))
    email_confirmed_at: Mapped[datetime | None]
    phone: Mapped[str | None] = mapped_column(info=pii("erase"))
    phone_confirmed_at: Mapped[datetime | None]
    username: Mapped[str | None] = mapped_column(info=pii("erase"))
    password_hash: Mapped[str | None] = mapped_column(info=pii("erase"))
    search_text: Mapped[str] = mapped_column(info=pii("erase"))
    locale: Mapped[str | None] = mapped_column(info=pii("export"))
    timezone: Mapped[str | None] = mapped_column(info=pii("export"))
    card_number: Mapped[str] = mapped_column(info=pii("erase"))
    joined_at: Mapped[datetime]
    joined_via: Mapped[str] = mapped_column(info=pii("export"))
    welcomed_at: Mapped[datetime | None]
    auth_epoch: Mapped[int] = mapped_column(server_default="0")
    suspended_at: Mapped[datetime | None]
    suspended_reason: Mapped[str | None] = mapped_column(info=pii("export"))
    merged_into: Mapped[UUID | None]
    archived_at: Mapped[datetime | None]
    archived_by: Mapped[UUID | None]
    recorded_at: Mapped[datetime] = recorded_at()


class MemberWord(TenantOwned, Model):
    """A word by whose beginning a member is found (D6)."""

    __tablename__ = "member_words"
    __table_args__ = (
        tenant_fk("users", "member_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "member_id"),
        Index("ix_member_words_prefix", "tenant_id", text("word text_pattern_ops")),
    )

    id = None  # type: ignore[assignment]  # the key is the word
    word: Mapped[str] = mapped_column(primary_key=True, info=pii("erase"))
    member_id: Mapped[UUID] = mapped_column(primary_key=True)


class TenantRole(TenantOwned, Model):
    """A role over the whole tenant: editor, support, finance, admin (G2)."""

    __tablename__ = "tenant_roles"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "role"),
        tenant_fk("users", "user_id"),
        CheckConstraint("role IN ('editor','support','finance','admin')", name="role"),
    )

    user_id: Mapped[UUID]
    role: Mapped[str] = mapped_column(info=pii("keep:name of a role"))


class CustomRole(TenantOwned, Model):
    """A set of permissions with a name, on top of the frozen roles (G2); `reach`: over the tenant, or at one business.

    `name` is the one in the reader's language, in Python and in a query (ACH-7).
    """

    __tablename__ = "custom_roles"
    __table_args__ = (CheckConstraint("reach IN ('tenant','business')", name="reach"),)

    name_i18n: Mapped[I18n] = mapped_column(info=pii("keep:name of a role"))
    reach: Mapped[str] = mapped_column(info=pii("keep:technical"))
    permissions: Mapped[list[str]] = mapped_column(ARRAY(Text), info=pii("keep:technical"))
    recorded_at: Mapped[datetime] = recorded_at()

    @hybrid_property
    def name(self) -> str:
        return self.name_i18n.in_(locale(), first_locale())

    @name.inplace.expression
    @classmethod
    def _name_in_a_query(cls) -> ColumnElement[str]:
        return in_words(cls.name_i18n, locale(), first_locale())


class RoleAssignment(TenantOwned, Model):
    """Who has a custom role; `business_id` where it reaches one business, `location_id` where they work at one place of it."""

    __tablename__ = "role_assignments"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "role_id", "business_id", postgresql_nulls_not_distinct=True),
        tenant_fk("custom_roles", "role_id"),
        tenant_fk("users", "user_id"),
        tenant_fk("businesses", "business_id"),
        tenant_fk("business_locations", "location_id"),
    )

    role_id: Mapped[UUID]
    user_id: Mapped[UUID]
    business_id: Mapped[UUID | None]
    location_id: Mapped[UUID | None]
    recorded_at: Mapped[datetime] = recorded_at()


class DeviceSession(TenantOwned, Model):
    """A signed-in browser. `token_hash` is SHA-256 of the cookie; the cookie itself is stored nowhere (D38).

    `state` half: the first factor is shown, the second is not yet. `proved_at`: when the person last showed a factor.
    `impersonator_id`: the member of support who looks through this member's eyes.
    """

    __tablename__ = "device_sessions"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        tenant_fk("users", "user_id"),
        Index(None, "tenant_id", "user_id"),
        CheckConstraint("state IN ('half','full')", name="state"),
    )

    token_hash: Mapped[str] = mapped_column(info=pii("keep:secret"))
    user_id: Mapped[UUID]
    auth_epoch: Mapped[int]
    amr: Mapped[str] = mapped_column(server_default="pwd", info=pii("keep:technical"))
    data: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("erase"))
    user_agent: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    ip: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    idle_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="full", info=pii("keep:technical"))
    proved_at: Mapped[datetime | None]
    impersonator_id: Mapped[UUID | None]


class LoginFailure(TenantOwned, Model):
    """A failed sign-in, counted in PostgreSQL so that losing Redis does not reset the count (security.md 14)."""

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "tenant_id", "kind", "key", "at"),)

    kind: Mapped[str] = mapped_column(info=pii("keep:account or address"))
    key: Mapped[str] = mapped_column(info=pii("keep:hash"))
    at: Mapped[datetime]


class OneTimeCode(TenantOwned, Model):
    """A one-time code on its way or just arrived: whom it was sent to, how often it was tried (S6).

    Written for unknown people too; `code_hash` is made when the code is sent, and the code itself is kept nowhere.
    `data`: what the code lets through, for instance the form of somebody who joins; emptied when it is used.
    """

    __tablename__ = "one_time_codes"
    __table_args__ = (
        tenant_fk("users", "member_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "target_key", "created_at"),
        Index(None, "tenant_id", "expires_at"),
    )

    purpose: Mapped[str] = mapped_column(info=pii("keep:technical"))
    channel: Mapped[str] = mapped_column(info=pii("keep:technical"))
    target: Mapped[str] = mapped_column(info=pii("erase"))
    target_key: Mapped[str] = mapped_column(info=pii("keep:hash"))
    member_id: Mapped[UUID | None]
    code_hash: Mapped[str | None] = mapped_column(info=pii("keep:secret"))
    tries: Mapped[int] = mapped_column(server_default="0")
    data: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("erase"))
    locale: Mapped[str] = mapped_column(info=pii("keep:technical"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class PasswordReset(TenantOwned, Model):
    """A link to a new password, asked for by whoever typed `target`; half an hour, once (security.md 8)."""

    __tablename__ = "password_resets"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        tenant_fk("users", "member_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "target_key", "created_at"),
        Index(None, "tenant_id", "expires_at"),
    )

    channel: Mapped[str] = mapped_column(info=pii("keep:technical"))
    target: Mapped[str] = mapped_column(info=pii("erase"))
    target_key: Mapped[str] = mapped_column(info=pii("keep:hash"))
    member_id: Mapped[UUID | None]
    token_hash: Mapped[str | None] = mapped_column(info=pii("keep:secret"))
    locale: Mapped[str] = mapped_column(info=pii("keep:technical"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class ContactChange(TenantOwned, Model):
    """An e-mail or phone that was replaced, so that the old one can be told."""

    __tablename__ = "contact_changes"
    __table_args__ = (
        tenant_fk("users", "member_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "member_id"),
        CheckConstraint("kind IN ('email','phone')", name="kind"),
    )

    member_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(info=pii("keep:name of a field"))
    old: Mapped[str | None] = mapped_column(info=pii("erase"))
    new: Mapped[str | None] = mapped_column(info=pii("erase"))
    changed_at: Mapped[datetime]


class Consent(TenantOwned, Model):
    """What a member agreed to: the purpose, the version of its text, the language they read it in."""

    __tablename__ = "consents"
    __table_args__ = (
        tenant_fk("users", "member_id"),
        Index(None, "tenant_id", "member_id", "purpose"),
        CheckConstraint("purpose IN ('terms','privacy','marketing')", name="purpose"),
    )

    member_id: Mapped[UUID]
    purpose: Mapped[str] = mapped_column(info=pii("export"))
    version: Mapped[int]
    locale: Mapped[str] = mapped_column(info=pii("export"))
    agreed_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class ReferralCode(TenantOwned, Model):
    """The code by which a member brings others; one each."""

    __tablename__ = "referral_codes"
    __table_args__ = (
        UniqueConstraint("tenant_id", "member_id"),
        UniqueConstraint("tenant_id", "code"),
        tenant_fk("users", "member_id"),
    )

    member_id: Mapped[UUID]
    code: Mapped[str] = mapped_column(info=pii("export"))
    created_at: Mapped[datetime]


class Referral(TenantOwned, Model):
    """Who brought whom."""

    __tablename__ = "referrals"
    __table_args__ = (
        UniqueConstraint("tenant_id", "member_id"),
        tenant_fk("users", "member_id"),
        tenant_fk("users", "referrer_id"),
        Index(None, "tenant_id", "referrer_id", "created_at"),
    )

    member_id: Mapped[UUID]
    referrer_id: Mapped[UUID]
    code: Mapped[str] = mapped_column(info=pii("export"))
    created_at: Mapped[datetime]


class TwoFactorMethod(TenantOwned, Model):
    """A passkey, an authenticator app, or codes by mail or SMS, by which a member shows who they are (2FA-1).

    An app's row without `confirmed_at` was shown as a picture and not tried yet. `secret`: the app's 160 bits, sealed.
    `rp_id`: the host that a passkey was made for; it works nowhere else. `last_step`: the newest 30 seconds whose code
    was used.
    """

    __tablename__ = "two_factor_methods"
    __table_args__ = (
        UniqueConstraint("tenant_id", "credential_id"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "user_id"),
        Index(
            "uq_two_factor_methods_one_each",
            "tenant_id",
            "user_id",
            "kind",
            unique=True,
            postgresql_where=text("kind <> 'passkey'"),
        ),
        CheckConstraint("kind IN ('passkey','totp','email','sms')", name="kind"),
        CheckConstraint("(kind = 'passkey') = (credential_id IS NOT NULL)", name="passkey"),
        CheckConstraint("(kind = 'totp') = (secret IS NOT NULL)", name="totp"),
    )

    user_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(info=pii("export"))
    name: Mapped[str] = mapped_column(server_default="", info=pii("export"))
    secret: Mapped[bytes | None] = mapped_column(info=pii("keep:secret"))
    last_step: Mapped[int | None]
    credential_id: Mapped[bytes | None] = mapped_column(info=pii("keep:secret"))
    public_key: Mapped[bytes | None] = mapped_column(info=pii("keep:secret"))
    sign_count: Mapped[int] = mapped_column(server_default="0")
    transports: Mapped[str] = mapped_column(server_default="", info=pii("keep:technical"))
    rp_id: Mapped[str] = mapped_column(server_default="", info=pii("keep:technical"))
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class RecoveryCode(TenantOwned, Model):
    """One of ten codes for whoever has lost the rest; 80 bits, kept as a keyed hash, used once (2FA-1)."""

    __tablename__ = "recovery_codes"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "code_hash"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
    )

    user_id: Mapped[UUID]
    code_hash: Mapped[str] = mapped_column(info=pii("keep:secret"))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PasskeyChallenge(TenantOwned, Model):
    """What a browser was asked to sign: five minutes, once. `user_id` is None while nobody is known (sign-in)."""

    __tablename__ = "passkey_challenges"
    __table_args__ = (
        UniqueConstraint("tenant_id", "challenge"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "expires_at"),
    )

    challenge: Mapped[bytes] = mapped_column(info=pii("keep:secret"))
    purpose: Mapped[str] = mapped_column(info=pii("keep:technical"))
    user_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]


class MemberNote(TenantOwned, Model):
    """What staff wrote down about a member, for staff alone: not shown to the member, deleted when they leave."""

    __tablename__ = "member_notes"
    __table_args__ = (
        tenant_fk("users", "member_id"),
        tenant_fk("users", "author_id"),
        Index(None, "tenant_id", "member_id", "written_at"),
    )

    member_id: Mapped[UUID]
    author_id: Mapped[UUID]
    body: Mapped[str] = mapped_column(info=pii("erase"))
    written_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]


class ForeignIdentity(TenantOwned, Model):
    """Who somebody is elsewhere: one `subject` of a `provider` is one member's, whoever asks first (D11, R16)."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("tenant_id", "provider", "subject"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "user_id"),
        CheckConstraint("provider IN ('telegram')", name="provider"),
    )

    provider: Mapped[str] = mapped_column(info=pii("keep:name of a provider"))
    subject: Mapped[str] = mapped_column(info=pii("erase"))
    user_id: Mapped[UUID]
    created_at: Mapped[datetime]


class MemberMerge(TenantOwned, Model):
    """Two accounts of one person made one (D28): `from_id` leads to `into_id` until somebody undoes it.

    `moved` tells of amounts, tiers and ids, `contacts` what the survivor took over; `returned` what an undo gave back.
    """

    __tablename__ = "member_merges"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        tenant_fk("users", "from_id"),
        tenant_fk("users", "into_id"),
        Index(
            "ix_member_merges_standing",
            "tenant_id",
            "from_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index(None, "tenant_id", "into_id"),
        Index(None, "tenant_id", "merged_at"),
        CheckConstraint("from_id <> into_id", name="two"),
    )

    key: Mapped[str] = mapped_column(info=pii("keep:key of a form"))
    from_id: Mapped[UUID]
    into_id: Mapped[UUID]
    reason: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    moved: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:figures and ids"))
    contacts: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("erase"))
    merged_by: Mapped[UUID | None]
    merged_at: Mapped[datetime]
    undo_until: Mapped[datetime]
    undone_by: Mapped[UUID | None]
    undone_at: Mapped[datetime | None]
    undo_reason: Mapped[str | None] = mapped_column(info=pii("erase"))
    returned: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:figures and ids"))


class MemberPair(TenantOwned, Model):
    """What is known of two accounts: `asked` to be made one, because they showed the same Telegram (TMA-2), or `distinct`.

    `low_id` is the smaller of the two ids, so that a pair has one row.
    """

    __tablename__ = "member_pairs"
    __table_args__ = (
        UniqueConstraint("tenant_id", "low_id", "high_id"),
        tenant_fk("users", "low_id"),
        tenant_fk("users", "high_id"),
        Index(None, "tenant_id", "high_id"),
        CheckConstraint("low_id < high_id", name="order"),
        CheckConstraint("state IN ('asked','distinct')", name="state"),
    )

    low_id: Mapped[UUID]
    high_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(info=pii("keep:technical"))
    decided_by: Mapped[UUID | None]
    at: Mapped[datetime]
