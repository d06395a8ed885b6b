"""A session: everything a client can do, over one connection."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from . import wire
from .answering import Answering
from .asking import Asking
from .names import encode_topic
from .rows import Row, decode_rows
from .transport import open_socket

KINDS = {"status": 1, "sessions": 2, "topics": 3, "subscriptions": 4, "users": 5, "scheduled": 10}


def connect(
    path: Optional[str] = None, name: Optional[str] = None, bus_uid: Optional[int] = None, timeout: float = 10
) -> Client:
    """Says hello to the bus at `path`, once it is sure whose it is."""
    sock = open_socket(path, bus_uid, timeout)
    try:
        return Client(sock, name, timeout)
    except BaseException:
        sock.close()
        raise


class Client(Asking, Answering):
    """Publishes, subscribes, asks and answers, and asks the daemon about itself."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def tell_circuit(self, topic: str, is_open: bool) -> None:
        """For show: that this client asks nobody on a topic for a while, or does again."""
        self.send("circuit", state=int(is_open), topic=encode_topic(topic))

    # Inspection

    def status(self, timeout: Optional[float] = 10) -> Row:
        """The daemon's own numbers, by name."""
        rows = self.inspect("status", timeout=timeout)
        return rows[0] if rows else {}

    def inspect(self, kind: str, key: Optional[str] = None, timeout: Optional[float] = 10) -> List[Row]:
        """All rows of a kind, page by page; with a key the row of one thing."""
        rows, after = self.inspect_page(KINDS[kind], key, timeout=timeout)
        while after:
            page, after = self.inspect_page(KINDS[kind], key, after, timeout)
            rows += page
        return rows

    def inspect_page(
        self, kind: int, key: Optional[str] = None, after: int = 0, timeout: Optional[float] = 10
    ) -> Any:
        request = next(self._numbers)
        answer = self.call(
            "inspect", request, timeout, request=request, kind=kind, key=key or None, after=after or None)
        return decode_rows(answer)

    def _on_inspected(self, frame: wire.Frame) -> None:
        self._answers["inspect", frame["request"]] = frame
