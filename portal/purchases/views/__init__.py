"""The pages of purchases, by room."""

from portal.purchases.views.desk import purchases_desk
from portal.purchases.views.member import purchases
from portal.purchases.views.till import purchases_till

__all__ = ["purchases", "purchases_desk", "purchases_till"]
