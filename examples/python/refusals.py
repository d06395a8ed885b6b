"""What the tests of bad input stand on: who caused it is refused by name, and nobody else hears of it."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

import localbus
from interop import PATIENCE, InteropTest
from localbus.batch import Event
from localbus.client import Client
from localbus.layouts import RECEIPT
from localbus.names import reply_topic


class RefusalTest(InteropTest):
    @contextlib.contextmanager
    def unnoticed(self) -> Iterator[Client]:
        """Another session, subscribed to all it may be, hears of nothing that happens in the block, and goes on.

        Of a seal it may hear before there is a batch."""
        witness, recorder = self.recorded()
        everything = witness.subscribe(">")
        own = reply_topic(witness.welcome["session"])
        witness.subscribe(own)
        before = len(recorder.frames())
        yield witness
        witness.status()
        heard = [frame.name for frame in recorder.frames()[before:] if frame.name not in ("announce", "grant")]
        self.assertEqual(heard, ["inspected"])
        witness.publish("witness.x", b"unharmed")
        self.assertEqual(everything.take(PATIENCE).events[0][1].payload, b"unharmed")

    def refused(self, reason: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        with self.assertRaises(localbus.Refused) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.reason, reason, str(caught.exception))
        return str(caught.exception)

    def publish(self, client: Client, topic: str, *events: Event, flags: int = RECEIPT) -> Any:
        """One batch, past what the library would refuse itself."""
        batch = client.seal_of(topic, PATIENCE).seal(client.stamped(events))
        return client.receipt(client.send_batch(batch, flags, PATIENCE), PATIENCE)
