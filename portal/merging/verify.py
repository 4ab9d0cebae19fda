"""D28: who was merged into another has nothing left, and leads to somebody at once."""

CHECKS: dict[str, str] = {
    "I3 a member who was merged has a balance": """
        SELECT w.id AS what, w.posted AS off FROM wallet_accounts w
          JOIN users u ON u.tenant_id = w.tenant_id AND u.id = w.owner_id AND u.merged_into IS NOT NULL
         WHERE w.tenant_id = :t AND w.owner_kind = 'member' AND (w.posted <> 0 OR w.held <> 0 OR w.debt <> 0)""",
    "I11 a merge leads to somebody who was merged, or in a circle": """
        SELECT u.id AS what FROM users u JOIN users s ON s.tenant_id = u.tenant_id AND s.id = u.merged_into
         WHERE u.tenant_id = :t AND (s.merged_into IS NOT NULL OR s.id = u.id)""",
    "I10 a member was merged without a merge": """
        SELECT u.id AS what FROM users u WHERE u.tenant_id = :t AND u.merged_into IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM member_merges m WHERE m.tenant_id = :t AND m.from_id = u.id AND m.undone_at IS NULL)
        UNION ALL
        SELECT m.from_id FROM member_merges m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.from_id
         WHERE m.tenant_id = :t AND m.undone_at IS NULL AND u.merged_into IS NULL""",
}
