"""The kinds of work that imports do; loaded with the subscribers."""

from portal.imports import work

__all__ = ["work"]
