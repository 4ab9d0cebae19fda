"""Registers the work of packing a member's own data."""

from portal.leaving import export

__all__ = ["export"]
