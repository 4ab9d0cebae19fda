"""The dashboards of a business and of the tenant."""

from portal.analytics.views.admin import admin
from portal.analytics.views.desk import desk

__all__ = ["admin", "desk"]
