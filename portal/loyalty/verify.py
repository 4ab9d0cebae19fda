"""Each step between tiers has its message (I9, LOY-11)."""

CHECKS: dict[str, str] = {
    "I9 a member's steps between tiers are not their messages": """
        SELECT member AS what, sum(n) AS off FROM (
            SELECT member_id AS member, 1 AS n FROM tier_changes WHERE tenant_id = :t AND recorded_at > clock_timestamp() - interval '13 days'
            UNION ALL
            SELECT aggregate_id, -1 FROM outbox_messages WHERE tenant_id = :t AND type = 'tier.changed'
               AND recorded_at > clock_timestamp() - interval '13 days') s
         GROUP BY member HAVING sum(n) <> 0""",
}
