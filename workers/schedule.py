"""Every periodic task, as data: name → seconds between runs."""

SCHEDULE: dict[str, int] = {
    "wallets.fold": 30,
    "wallets.sweep": 60,
    "local.run_due": 300,
    "analytics.reconcile": 300,
    "outbox.clean": 3600,
}
