"""A LocalBus client, written from docs/PROTOCOL.md alone to show that the page is enough."""

from .batch import Event
from .client import Client, Closed, TimedOut, connect
from .subscription import Delivery, Ended, Gap, Refused, Subscription, Unopenable
from .transport import Untrusted, default_path
from .wire import WireError

__all__ = [
    "Client", "Closed", "Delivery", "Ended", "Event", "Gap", "Refused", "Subscription", "TimedOut", "Unopenable",
    "Untrusted", "WireError", "connect", "default_path",
]
