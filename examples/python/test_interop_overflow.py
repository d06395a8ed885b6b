"""What becomes of events nobody takes, and what the daemon says of itself."""

from __future__ import annotations

import json
import os
import unittest
from typing import Any, List

import localbus
from interop import PATIENCE, InteropTest


class Overflow(InteropTest):
    """What a subscription without credit gets once it has some: deliveries and gaps, in their places."""

    configuration = "quotas: {queued_bytes: 300KiB}\n"

    def after_overflow(self, policy: str, **options: Any) -> List[Any]:
        """Ten events, one a batch, on two topics in turns, into a queue of four."""
        client, publisher = self.connected(), self.connected()
        subscription = client.subscribe(
            "o.*", policy, queue_event_count=4, credit_events=0, credit_bytes=0, **options)
        for k in range(10):
            publisher.publish(f"o.{k % 2}", b"%d" % k, timeout=PATIENCE)
        subscription.widen(100, 1 << 20)
        client.status()
        found = []
        while subscription.has_items:
            item = subscription.take(PATIENCE)
            found.append(tuple(vars(item).values()) if isinstance(item, localbus.Gap) else item.events[0][1].payload)
        return found

    def gap(self, reason: str, topic: int, count: int, first: int, last: int) -> Any:
        return reason, f"o.{topic}", count, first, last

    def sequences(self) -> int:
        """How many events each of the two topics has had, before."""
        rows = {row["topic"]: row["sequence"] for row in self.connected().inspect("topics")}
        return rows.get("o.0", 0)

    def test_drop_oldest(self) -> None:
        s = self.sequences()
        self.assertEqual(
            self.after_overflow("drop-oldest"),
            [self.gap("queue-full", 0, 3, s + 1, s + 3), self.gap("queue-full", 1, 3, s + 1, s + 3),
             b"6", b"7", b"8", b"9"])

    def test_drop_newest(self) -> None:
        s = self.sequences()
        found = self.after_overflow("drop-newest")
        self.assertEqual(found[:4], [b"0", b"1", b"2", b"3"])
        self.assertIn(found[4:], [
            [], [self.gap("queue-full", 0, 3, s + 3, s + 5), self.gap("queue-full", 1, 3, s + 3, s + 5)]])

    def test_latest(self) -> None:
        found = self.after_overflow("latest")
        self.assertEqual([item for item in found if isinstance(item, bytes)], [b"8", b"9"])
        for topic, value in (("o.0", b"8"), ("o.1", b"9")):
            gaps = [item for item in found[:found.index(value)] if isinstance(item, tuple) and item[1] == topic]
            self.assertEqual({gap[0] for gap in gaps}, {"superseded"})
            self.assertEqual(sum(gap[2] for gap in gaps), 4, "all of them before what took their place")

    def test_stall(self) -> None:
        s = self.sequences()
        self.assertEqual(
            self.after_overflow("stall", stall_milliseconds=1),
            [self.gap("stall-timed-out", 0, 3, s + 1, s + 3), self.gap("stall-timed-out", 1, 3, s + 1, s + 3),
             b"6", b"7", b"8", b"9"])

    def test_disconnect(self) -> None:
        client, publisher = self.connected(), self.connected()
        subscription = client.subscribe("o.*", "disconnect", queue_event_count=4, credit_events=1)
        for k in range(7):
            publisher.publish("o.d", b"%d" % k)
        client.status()
        self.assertEqual(client.subscribe("o.*").number, subscription.number + 2)  # the session goes on
        self.assertEqual(subscription.take(PATIENCE).events[0][1].payload, b"0")
        with self.assertRaisesRegex(localbus.Refused, "queue-full"):
            subscription.take(PATIENCE)
        self.assertEqual(subscription.ended, localbus.Ended("queue-full", 1, 5))

    def test_quota(self) -> None:
        client, publisher = self.connected(), self.connected()
        subscription = client.subscribe("o.*", credit_events=0, credit_bytes=0, queue_length=1 << 30)
        for k in range(5):
            publisher.publish("o.q", bytes(100 << 10))
        subscription.widen(100, 1 << 30)
        item = subscription.take(PATIENCE)
        self.assertEqual((item.reason, item.topic, item.count), ("quota-exceeded", "o.q", 3))
        self.assertEqual(len(self.events(subscription, 2)), 2)
        subscription.unsubscribe()

    def test_quota_of_a_subscription_that_would_rather_end(self) -> None:
        client, publisher = self.connected(), self.connected()
        subscription = client.subscribe("o.*", "disconnect", credit_events=0, credit_bytes=0, queue_length=1 << 30)
        for k in range(5):
            publisher.publish("o.q", bytes(100 << 10))
        with self.assertRaisesRegex(localbus.Refused, "quota-exceeded"):
            subscription.take(PATIENCE)


class Inspection(InteropTest):
    def test_both_sides_see_the_same(self) -> None:
        client = self.connected("looked at")
        subscription = client.subscribe("i.>", "latest", group="grüppe", exclusive=True, credit_events=7)
        client.publish("i.x", b"1", b"2", retain=True)
        client.leave_will("i.w", b"gone")
        client.tell_circuit("i.far", True)
        number = client.welcome["session"]
        session, = client.inspect("sessions", str(number))
        self.assertEqual(
            {name: session[name] for name in (
                "session", "uid", "gid", "pid", "name", "subscriptions", "events_published", "events_delivered",
                "has_will", "blocked", "circuits_open", "requests_open")},
            {"session": number, "uid": os.getuid(), "gid": os.getgid(), "pid": os.getpid(), "name": "looked at",
             "subscriptions": 1, "events_published": 2, "events_delivered": 1, "has_will": 1, "blocked": 0,
             "circuits_open": "i.far", "requests_open": 0})
        topic, = client.inspect("topics", "i.x")
        self.assertEqual(
            {name: topic[name] for name in ("sequence", "retained", "publishers", "subscriptions")},
            {"sequence": 2, "retained": 1, "publishers": 1, "subscriptions": 1})
        row, = client.inspect("subscriptions", f"{number}/{subscription.number}")
        self.assertEqual(
            {name: row[name] for name in ("filter", "group", "mode", "overflow", "events_delivered", "outstanding")},
            {"filter": "i.>", "group": "grüppe", "mode": "exclusive", "overflow": "latest", "events_delivered": 1,
             "outstanding": 1})
        user, = client.inspect("users", str(os.getuid()))
        for quota in ("connections", "subscriptions", "topics", "queued_bytes", "kernel_bytes", "retained_bytes",
                      "parked_bytes", "outstanding_events", "requests", "publish_rate"):
            if user[f"{quota}_limit"]:
                self.assertLessEqual(user[f"{quota}_used"], user[f"{quota}_limit"], quota)
        self.assertEqual(user["outstanding_events_used"], 1)
        self.assertEqual(client.status()["circuits_open"], 1)
        listed = [json.loads(line) for line in self.bus("list", "--json").stdout.splitlines()]
        theirs, = (one for one in listed if one["session"] == number)
        self.assertEqual((theirs["name"], theirs["subscriptions"]), ("looked at", 1))

    def test_listings_come_in_pages(self) -> None:
        client = self.connected()
        for k in range(1500):
            client.subscribe(f"many.{k}")
        rows = client.inspect("subscriptions")
        mine = [row for row in rows if row["session"] == client.welcome["session"]]
        self.assertEqual(sorted(row["filter"] for row in mine), sorted(f"many.{k}" for k in range(1500)))
        first, after = client.inspect_page(4)
        self.assertTrue(after, "one page for 1,500 rows")
        client.subscribe("many.later")
        rest = []
        while after:
            page, after = client.inspect_page(4, after=after)
            rest += page
        self.assertEqual(len({row["subscription"] for row in first + rest}), len(first + rest))


if __name__ == "__main__":
    unittest.main()
