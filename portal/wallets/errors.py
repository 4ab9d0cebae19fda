"""What the ledger refuses, under WAL-10's codes."""

from portal.kernel.errors import PortalError


class InsufficientFunds(PortalError):
    """There is less to spend than asked for; nothing was written."""

    code, status = "txn.insufficient_funds", 422


class IdempotencyMismatch(PortalError):
    """The same key came with other content (WAL-3); `fields` names what differs, never the values."""

    code, status = "txn.idempotency_mismatch", 409


class InvalidAmount(PortalError):
    """An amount of zero or below, or a posting from an account to itself."""

    code, status = "txn.invalid_amount", 422


class CurrencyMismatch(PortalError):
    """Bonus of one currency cannot pay a bill in another (G8)."""

    code, status = "wallet.currency_mismatch", 422


class AlreadyReversed(PortalError):
    """A posting can be reversed once (WAL-4)."""

    code, status = "txn.already_reversed", 409


class WalletLocked(PortalError):
    """This account may not pay that: waiting bonus cannot be spent, bonus cannot be withdrawn (WAL-6)."""

    code, status = "wallet.locked", 422
