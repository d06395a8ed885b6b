"""A LocalBus client, written from docs/PROTOCOL.md alone to show that the page is enough."""

from .answering import Request, Responder
from .asking import Answer, Conversation, Failed, Unanswered
from .batch import Event
from .client import Client, connect
from .errors import BadName, Closed, Refused, TimedOut, WireError
from .subscription import CaughtUp, Delivery, Ended, Gap, Subscription, Unopenable
from .transport import Untrusted, default_path

__all__ = [
    "Answer", "BadName", "CaughtUp", "Client", "Closed", "Conversation", "Delivery", "Ended", "Event", "Failed", "Gap",
    "Refused", "Request", "Responder", "Subscription", "TimedOut", "Unanswered", "Unopenable", "Untrusted", "WireError",
    "connect", "default_path",
]
