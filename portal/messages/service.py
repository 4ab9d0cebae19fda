"""What other nouns call: news for members, and whether they may be told."""

from portal.messages.inbox import tell
from portal.messages.preferences import may_send

__all__ = ["may_send", "tell"]
