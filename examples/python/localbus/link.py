"""A connection that blocks: one socket, one thread, and a turn of the loop whenever somebody waits for something.

Whatever is waited for, every frame that arrives is handled, so that a reader of receipts never leaves deliveries
behind. What a frame means is said by whoever knows: a class on top of this one, in a method `_on_<frame>`.
"""

from __future__ import annotations

import itertools
import secrets
import select
import socket
import time
from typing import Any, Callable, Dict, Optional, Tuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import crypto, wire
from .errors import Closed, FrameError, Refused, TimedOut, WireError, reason_name
from .layouts import BY_TYPE, DAEMON

RECEIVE_LENGTH = 256 * 1024
UNHEARD = ("closeSeal", "circuit")
"""Refusals nobody waits for: a seal that ended by itself, a circuit that was only to be shown."""


class Link:
    """One session, over a socket whose other end has been checked."""

    def __init__(self, sock: Any, name: Optional[str] = None, timeout: Optional[float] = 10) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._poll = select.poll()
        self._reader = wire.FrameReader()
        self._outgoing = bytearray()
        self._end: Optional[Closed] = None
        self._numbers = itertools.count(1)
        self._answers: Dict[Tuple[str, int], Any] = {}

        self.welcome: Optional[wire.Frame] = None
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._hello = self.send(
            "hello", magic=wire.MAGIC, oldest=wire.VERSION, newest=wire.VERSION, public_key=public,
            nonce=secrets.token_bytes(32), name=name,
        )
        self.run_until(lambda: self.welcome, timeout)

    def close(self, timeout: float = 5) -> None:
        """Says goodbye, lets the daemon write what it owes, and closes."""
        try:
            if self._end is None:
                self.send("goodbye")
                self.run_until(lambda: False, timeout)
        except (Closed, TimedOut):
            pass
        self._socket.close()

    def vanish(self) -> None:
        """Closes without goodbye, as a process that dies does."""
        self._end = self._end or Closed("peer-closed", "it was this side")
        self._socket.close()

    # Out

    def send(self, frame: str, flags: int = 0, rest: bytes = b"", **values: Any) -> bytes:
        """Encodes a frame and writes what the socket takes at once; the loop writes the rest."""
        raw = wire.encode(frame, flags, rest, **values)
        self.send_raw(raw)
        return raw

    def send_raw(self, raw: bytes) -> None:
        self._outgoing += raw
        self._write()

    def call(self, frame: str, number: int, timeout: Optional[float], flags: int = 0, rest: bytes = b"",
            **values: Any) -> Any:
        """Sends a frame and waits for its answer, or raises its refusal."""
        self.send(frame, flags, rest, **values)
        self.run_until(lambda: (frame, number) in self._answers, timeout)
        answer = self._answers.pop((frame, number))
        if isinstance(answer, Refused):
            raise answer
        return answer

    # The loop

    def run_until(self, done: Callable[[], Any], timeout: Optional[float] = None) -> None:
        """Turns the loop until `done()`. What has arrived counts, even if the connection is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not done():
            if self._end is not None:
                raise self._end
            self._turn(deadline)

    def _turn(self, deadline: Optional[float]) -> None:
        self._poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = self._poll.poll(left)
        if not ready:
            raise TimedOut("no answer in time")
        if ready[0][1] & select.POLLOUT:
            self._write()
        if ready[0][1] & ~select.POLLOUT:
            self._read()

    def _write(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[:self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing.clear()  # what the daemon said before it closed is still to be read

    def _read(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_LENGTH)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._end = self._end or Closed("peer-closed")
        self._reader.feed(data)
        try:
            for raw in iter(self._reader.next, None):
                self._receive(raw)
        except WireError as error:
            self._end = Closed(error.reason, f"the daemon broke the protocol: {error}")
            self._socket.shutdown(socket.SHUT_RDWR)

    # In

    def _receive(self, raw: bytes) -> None:
        frame = wire.decode(raw, DAEMON)
        if frame is None:
            return
        is_beginning = frame.name in ("welcome", "error", "closing")
        if frame.name == "welcome" if self.welcome else not is_beginning:
            raise FrameError(frame.name, "unexpected-frame")
        if frame.name == "welcome":
            self._on_welcome(frame, raw)
        else:
            getattr(self, "_on_" + frame.name)(frame)

    def _on_welcome(self, frame: wire.Frame, raw: bytes) -> None:
        if frame["magic"] != wire.MAGIC or frame["version"] != wire.VERSION:
            raise FrameError(f"welcome to version {frame['version']}", "unsupported-version")
        keys = crypto.connection_keys(self._private, frame["public_key"], self._hello, raw)
        self._grants = crypto.GrantOpener(keys.server_to_client)
        self._reader.length_max = frame["frame_length_max"] + wire.DELIVER_OVERHEAD_MAX
        self.welcome = frame

    def _on_error(self, frame: wire.Frame) -> None:
        reason = reason_name(frame["reason"])
        if frame["fatal"]:
            self._end = self._end or Closed(reason, frame["message"])
            return
        layout = BY_TYPE.get(frame["in_reply_to"])
        self._on_refusal(layout.name if layout else "", frame["request"], Refused(reason, frame["message"]))

    def _on_refusal(self, frame: str, number: int, refused: Refused) -> None:
        if frame not in UNHEARD:
            self._answers[frame, number] = refused

    def _on_closing(self, frame: wire.Frame) -> None:
        self._end = self._end or Closed(reason_name(frame["reason"]), frame["message"])
