"""Groups, last values, wills and presence, between the two implementations."""

from __future__ import annotations

import json
import os
import signal
import unittest
from typing import Any, Dict, List

import localbus
from interop import PATIENCE, InteropTest, eventually
from localbus.selection import split_delivery

LINES = b"".join(b"%d\n" % k for k in range(1000))


class Groups(InteropTest):
    def test_each_line_goes_to_one_member_of_either_kind(self) -> None:
        mine = [self.connected(f"member {k}").subscribe("g.>", group="workers", credit_events=50) for k in range(2)]
        with self.bus_running("sub", "g.>", "--group", "workers", until=self.is_subscribed("g.>")) as theirs:
            self.bus("pub", "g.lines", "--lines", data=LINES)
            found: List[bytes] = []
            for subscription in mine:
                while True:
                    try:
                        delivery = subscription.take(0.5)
                    except localbus.TimedOut:
                        break
                    found += [event.payload for _, event in delivery.events]
                    self.assertEqual(sorted(s for s, _ in delivery.events), [s for s, _ in delivery.events])
                    subscription.acknowledge(delivery)
            self.assertTrue(all(subscription.unsubscribe().delivered for subscription in mine))
            end = theirs.stdout
            os.kill(theirs.pid, signal.SIGTERM)
            found += end.read().splitlines()
        self.assertEqual(sorted(map(int, found)), list(range(1000)))

    def test_batches_are_cut_and_publishers_keep_them_short(self) -> None:
        publisher = self.connected("publisher")
        publisher.publish("s.x", b"with the long bounds")
        self.assertEqual(publisher._seals["s.x"].batch_event_count_max, 4096)
        members = [self.recorded() for _ in range(3)]
        subscriptions = [client.subscribe("s.>", group="three") for client, _ in members]
        publisher.publish("s.x", b"told with this one")
        eventually("sealLimits", lambda: publisher.status() and publisher._seals["s.x"].batch_event_count_max == 64)
        self.assertEqual(publisher._seals["s.x"].batch_length_max, 16 << 10)
        publisher.publish_all("s.x", [b"%d" % k for k in range(64)])
        found: List[int] = []
        for subscription in subscriptions:
            while True:
                try:
                    delivery = subscription.take(0.3)
                except localbus.TimedOut:
                    break
                found += [sequence for sequence, _ in delivery.events]
                subscription.acknowledge(delivery)
        self.assertEqual(sorted(found), list(range(2, 67)))
        cut = [split_delivery(frame)[0] for _, r in members for frame in r.frames() if frame.name == "deliver"]
        self.assertTrue(any(cut), "no batch lay across two shares")
        for subscription in subscriptions:
            subscription.unsubscribe()
        publisher.publish("s.x", b"told with this one, too")
        eventually("sealLimits", lambda: publisher.status() and publisher._seals["s.x"].batch_event_count_max == 4096)

    def test_what_a_member_that_is_gone_did_not_acknowledge_goes_to_another(self) -> None:
        for leave in ("unsubscribe", "close", "vanish"):
            with self.subTest(leave=leave):
                publisher, first, second = (self.connected() for _ in range(3))
                mine = first.subscribe("r.>", group="heirs", exclusive=True)
                heir = second.subscribe("r.>", group="heirs", exclusive=True)
                publisher.publish("r.x", b"handled")
                mine.acknowledge(mine.take(PATIENCE))
                publisher.publish("r.x", b"one", b"two")
                delivery = mine.take(PATIENCE)
                self.assertEqual((delivery.attempt, len(delivery.events)), (1, 2))
                mine.unsubscribe() if leave == "unsubscribe" else getattr(first, leave)()
                again = heir.take(PATIENCE)
                self.assertEqual(again.attempt, 2)
                self.assertEqual([event.payload for _, event in again.events], [b"one", b"two"])
                publisher.publish("r.x", b"new")
                self.assertEqual(heir.take(PATIENCE).attempt, 1)
                heir.unsubscribe()

    def test_an_event_is_given_up_after_ten_attempts_and_the_group_is_told(self) -> None:
        publisher, watching = self.connected(), self.connected()
        publisher.publish("p.x", b"before there is a group")
        last = watching.subscribe("p.>", group="unlucky", credit_events=0, credit_bytes=0)
        for attempt in range(1, 11):
            client = self.connected()
            member = client.subscribe("p.>", group="unlucky")
            if attempt == 1:
                publisher.publish("p.x", b"whoever takes this dies")
            self.assertEqual(member.take(PATIENCE).attempt, attempt)
            client.vanish()
        key = f"{watching.welcome['session']}/{last.number}"
        eventually("it is given up", lambda: watching.inspect("subscriptions", key)[0]["events_missed"])
        self.assertEqual(last.unsubscribe().missed, 1)
        self.assertEqual(last.take(PATIENCE), localbus.Gap("attempts-exhausted", "p.x", 1, 2, 2))


class LastValues(InteropTest):
    configuration = "topics:\n  'kept.>': {kind: live, retain: true}\n"

    def test_from_python_to_swift(self) -> None:
        client = self.connected()
        client.publish("l.one", b"old", retain=True)
        client.publish("l.one", b"older", b"newest", retain=True)
        client.publish("l.two", b"not kept")
        finished = self.bus("sub", "l.*", "--last", "--json", "--count", "1")
        stored = json.loads(finished.stdout.splitlines()[0])
        self.assertEqual((stored["data"], stored["stored"], stored["sequence"]), ("newest", True, 3))
        client.publish("l.one", b"", retain=True)
        self.assertEqual(client.subscribe("l.*", last=True).take(PATIENCE), localbus.CaughtUp(0))

    def test_from_swift_to_python(self) -> None:
        self.bus("pub", "m.one", "1", "--retain")
        self.bus("pub", "m.two", "2", "--retain")
        self.bus("pub", "m.one", "3", "--retain")
        client = self.connected()
        subscription = client.subscribe("m.*", last=True, credit_events=1)
        self.bus("pub", "m.three", "live")
        items = [subscription.take(PATIENCE) for _ in range(4)]
        self.assertEqual(
            [item if isinstance(item, localbus.CaughtUp) else item.events[0][1].payload for item in items],
            [b"2", b"3", localbus.CaughtUp(2), b"live"])
        self.assertEqual([getattr(item, "is_stored", None) for item in items], [True, True, None, False])
        self.bus("pub", "m.one", "", "--retain")
        self.assertEqual(subscription.take(PATIENCE).events[0][1].payload, b"")
        again = client.subscribe("m.*", last=True)
        self.assertEqual(again.take(PATIENCE).events[0][1].payload, b"2")
        self.assertEqual(again.take(PATIENCE), localbus.CaughtUp(1))

    def test_what_the_administrator_has_kept_needs_no_flag(self) -> None:
        client = self.connected()
        client.publish("kept.x", b"1")
        self.assertEqual(client._seals["kept.x"].batch_length_max, 4 << 10)
        self.bus("pub", "kept.x", "2")
        self.assertEqual(client.subscribe("kept.>", last=True).take(PATIENCE).events[0][1].payload, b"2")
        client.publish("kept.x", b"")
        self.assertEqual(client.subscribe("kept.>", last=True).take(PATIENCE), localbus.CaughtUp(0))

    def test_values_of_publishers_that_are_gone_can_be_read(self) -> None:
        self.bus("pub", "n.x", "left behind", "--retain")
        for _ in range(2):
            stored = self.connected().subscribe("n.x", last=True).take(PATIENCE)
            self.assertEqual(stored.events[0][1].payload, b"left behind")


class WillsAndPresence(InteropTest):
    def test_a_will_of_python_reaches_swift(self) -> None:
        with self.bus_sub("will.>", 1) as result:
            client = self.connected()
            client.leave_will("will.x", b"replaced")
            client.leave_will("will.x", b"gone")
            farewell = self.connected()
            farewell.leave_will("will.y", b"not published after a goodbye")
            farewell.close()
            taken_back = self.connected()
            taken_back.leave_will("will.z", b"taken back")
            taken_back.take_will_back()
            taken_back.vanish()
            client.vanish()
            lines, _ = result()
        self.assertEqual([(line["topic"], line["data"]) for line in lines], [("will.x", "gone")])

    def test_a_will_of_swift_reaches_python_and_stays(self) -> None:
        client = self.connected()
        subscription = client.subscribe("will.>")
        with self.bus_running("sub", "nothing", "--will", "will.s=gone", "--will-retain",
                              until=self.is_subscribed("nothing")) as process:
            process.kill()
            self.assertEqual(self.events(subscription, 1)[0].payload, b"gone")
        self.assertTrue(client.subscribe("will.s", last=True).take(PATIENCE).is_stored)

    def test_a_will_comes_behind_all_that_its_session_published(self) -> None:
        for break_it in ("by its end", "by a fault"):
            with self.subTest(break_it):
                witness = self.connected()
                subscription = witness.subscribe("will.>")
                client = self.connected()
                client.leave_will("will.order", b"the will")
                for k in range(20):
                    client.send_batch(client.seal_of("will.order", 5).seal(client.stamped([b"%d" % k])))
                client.vanish() if break_it == "by its end" else client.send_raw(b"\xff" * 64)
                payloads = [event.payload for event in self.events(subscription, 21)]
                self.assertEqual(payloads, [b"%d" % k for k in range(20)] + [b"the will"])

    def test_who_comes_and_goes_is_told(self) -> None:
        presence = self.connected().subscribe("$bus.session.>")
        here = self.connected("comes and goes")
        self.assertEqual(self.word(presence, "opened", "comes and goes")["session"], here.welcome["session"])
        here.close()
        self.assertEqual(self.word(presence, "closed", "comes and goes")["reason"], "goodbye")
        gone = self.connected("dies")
        gone.vanish()
        self.assertEqual(self.word(presence, "closed", "dies")["reason"], "peer-closed")
        faulty = self.connected("babbles")
        faulty.send_raw(b"\xff" * 64)
        self.assertIn(self.word(presence, "closed", "babbles")["reason"], ("malformed-frame", "frame-too-long"))
        self.bus("status")
        word = self.word(presence, "closed", "bus status")
        self.assertEqual((word["uid"], word["gid"], word["reason"]), (os.getuid(), os.getgid(), "goodbye"))

    def word(self, presence: localbus.Subscription, what: str, name: str) -> Dict[str, Any]:
        """The next advisory of a kind about a session of this name."""
        while True:
            delivery = presence.take(PATIENCE)
            self.assertEqual((delivery.publisher.name, delivery.publisher.uid), ("busd", os.getuid()))
            for _, event in delivery.events:
                self.assertIn((b"content-type", b"application/json"), event.headers)
                word = json.loads(event.payload)
                self.assertEqual("reason" in word, delivery.topic.endswith("closed"))
                if delivery.topic == f"$bus.session.{what}" and word["name"] == name:
                    self.assertIn("pid", word)
                    return word


if __name__ == "__main__":
    unittest.main()
