"""Whoever was shut out is out (I14)."""

CHECKS: dict[str, str] = {
    "I14 an open session is not of its user's epoch": """
        SELECT s.id AS what FROM device_sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
         WHERE s.tenant_id = :t AND s.revoked_at IS NULL AND s.auth_epoch <> u.auth_epoch""",
}
