"""Every periodic task, as data: name → seconds between runs; and those of a tenant's local hour (D36)."""

SCHEDULE: dict[str, int] = {
    "audit.seal": 30,
    "wallets.seal": 30,
    "wallets.fold": 30,
    "wallets.sweep": 60,
    "jobs.revive": 120,
    "local.run_due": 300,
    "analytics.reconcile_recent": 600,
    "outbox.clean": 3600,
    "kyc.purge": 3600,
    "files.purge": 3600,
    "codes.forget": 3600,
    "telegram.forget": 3600,
    "tenants.finish_opening": 30,
}
LOCAL: dict[str, int] = {
    "loyalty.recheck_tiers": 2,
    "analytics.reconcile": 3,
    "audit.sign": 4,
    "kyc.expire": 4,
    "domains.recheck": 5,
}
