"""Groups, last values, requests, wills, presence, overflow and inspection, between the two implementations."""

from __future__ import annotations

import json
import os
import signal
import unittest
from typing import Any, Dict, List

import localbus
from interop import PATIENCE, InteropTest, eventually
from localbus.client import Client
from localbus.selection import split_delivery

LINES = b"".join(b"%d\n" % k for k in range(1000))


class PatternTest(InteropTest):
    def has_subscriptions(self, count: int) -> Any:
        return lambda: self.subscription_count() >= count

    def events(self, subscription: localbus.Subscription, count: int) -> List[localbus.Event]:
        return [event for _, event in self.take(subscription, count)]


class Groups(PatternTest):
    def test_each_line_goes_to_one_member_of_either_kind(self) -> None:
        mine = [self.connected(f"member {k}").subscribe("g.>", group="workers", credit_events=50) for k in range(2)]
        before = self.subscription_count()
        with self.bus_running("sub", "g.>", "--group", "workers", until=self.has_subscriptions(before + 1)) as theirs:
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

    def test_the_same_batch_comes_again_and_is_opened_again(self) -> None:
        """An event is given up after ten attempts, and the group is told."""
        publisher = self.connected()
        publisher.publish("p.x", b"seal opened")
        last = self.connected().subscribe("p.>", group="unlucky", credit_events=0, credit_bytes=0)
        publisher_done = False
        for attempt in range(1, 11):
            client = self.connected()
            member = client.subscribe("p.>", group="unlucky")
            if not publisher_done:
                publisher.publish("p.x", b"whoever takes this dies")
                publisher_done = True
            delivery = member.take(PATIENCE)
            self.assertEqual(delivery.attempt, attempt)
            client.vanish()
        self.assertEqual(last.unsubscribe().missed, 1)
        self.assertEqual(last.take(PATIENCE), localbus.Gap("attempts-exhausted", "p.x", 1, 2, 2))


class LastValues(PatternTest):
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


class Requests(PatternTest):
    def test_python_asks_swift(self) -> None:
        client = self.connected()
        before = self.subscription_count()
        with self.bus_running("reply", "q.*", "--exec", "--", "tr", "a-z", "A-Z",
                              until=self.has_subscriptions(before + 1)):
            answer = client.request("q.upper", b"hello", PATIENCE)
            self.assertEqual(answer.payload, b"HELLO")
            self.assertEqual(answer.event.causation, answer.event.correlation)
            conversation = client.ask("q.upper", b"once more")
            self.assertEqual([one.payload for one in conversation], [b"ONCE MORE"])
            self.assertEqual(conversation.responders, 1)
        with self.bus_running("reply", "q.*", "--exec", "--", "sh", "-c", "echo out of paper >&2; exit 3",
                              until=self.has_subscriptions(before + 1)):
            with self.assertRaisesRegex(localbus.Failed, "out of paper"):
                client.request("q.fails", b"", PATIENCE)

    def test_swift_asks_python(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", "--json", until=lambda: True) as asking:
            request = responder.take(PATIENCE)
            self.assertEqual((request.topic, request.payload), ("t.x", b"hello"))
            request.answer(b"yes")
            output, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual(asking.returncode, 0, errors.decode())
        answer = json.loads(output)
        self.assertEqual((answer["data"], answer["correlation"]), ("yes", str(request.event.correlation)))

    def test_swift_asks_and_python_streams(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", "--replies", "10", until=lambda: True) as asking:
            request = responder.take(PATIENCE)
            for k in range(3):
                request.answer(b"%d" % k, more=k < 2)
            output, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual((asking.returncode, output), (0, b"0\n1\n2\n"), errors.decode())

    def test_swift_asks_and_python_fails(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", until=lambda: True) as asking:
            responder.take(PATIENCE).fail("no such thing")
            _, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual(asking.returncode, 1)
        self.assertIn(b"no such thing", errors)

    def test_a_requester_that_stops_waiting_is_heard_of(self) -> None:
        client = self.connected("responder")
        responder = client.respond("t.*")
        for end_it in ("times out", "is killed"):
            timeout = "300ms" if end_it == "times out" else "60s"
            arguments = ("req", "t.x", "?", "--timeout", timeout)
            with self.subTest(end_it), self.bus_running(*arguments, until=lambda: True) as process:
                request = responder.take(PATIENCE)
                if end_it == "is killed":
                    process.kill()
                client.run_until(lambda: request.is_cancelled, PATIENCE)
                request.answer(b"too late")

    def test_responders_that_are_gone_are_told(self) -> None:
        asking = self.connected("asking")
        one, other = self.connected("one"), self.connected("other")
        responders = [client.respond("u.*") for client in (one, other)]
        conversation = asking.ask("u.x", b"?")
        requests = [responder.take(PATIENCE) for responder in responders]
        one.vanish()
        requests[1].answer(b"!")
        self.assertEqual([answer.payload for answer in conversation], [b"!"])
        self.assertEqual((conversation.responders, conversation.unanswered), (2, ["responder-gone"]))
        conversation = asking.ask("u.x", b"?")
        responders[1].take(PATIENCE)
        other.close()
        with self.assertRaisesRegex(localbus.Unanswered, "responder-gone"):
            conversation.take(PATIENCE)

    def test_in_a_group_another_member_answers(self) -> None:
        asking, one, other = (self.connected() for _ in range(3))
        first = one.respond("v.*", group="answering", exclusive=True)
        second = other.respond("v.*", group="answering", exclusive=True)
        conversation = asking.ask("v.x", b"?")
        first.take(PATIENCE)
        one.vanish()
        request = second.take(PATIENCE)
        self.assertEqual(request.attempt, 2)
        request.answer(b"!")
        self.assertEqual([answer.payload for answer in conversation], [b"!"])
        self.assertEqual((conversation.responders, conversation.unanswered), (1, []))

    def test_a_request_lost_in_a_queue_is_told(self) -> None:
        asking, slow = self.connected(), self.connected()
        slow.subscribe("w.*", "drop-newest", responds=True, credit_events=0, credit_bytes=0, queue_event_count=1)
        first = asking.ask("w.x", b"waits")
        second = asking.ask("w.x", b"is lost")
        with self.assertRaisesRegex(localbus.Unanswered, "queue-full"):
            second.take(PATIENCE)
        first.cancel()

    def test_a_cancelled_request_is_not_handed_out(self) -> None:
        asking, slow = self.connected(), self.connected()
        subscription = slow.subscribe("x.*", responds=True, credit_events=0, credit_bytes=0)
        conversations = [asking.ask("x.y", b"%d" % k) for k in range(3)]
        for conversation in conversations:
            asking.run_until(lambda: conversation.responders or conversation._read_receipt(PATIENCE) or True, PATIENCE)
        conversations[1].cancel()
        asking.status()
        subscription.widen(10, 1 << 20)
        self.assertEqual([event.payload for event in self.events(subscription, 2)], [b"0", b"2"])
        slow.status()
        self.assertFalse(subscription.has_items, "neither the request nor a gap for it")

    def test_others_see_a_request_as_an_event(self) -> None:
        asking, other = self.connected(), self.connected()
        listening = other.subscribe("y.*")
        responder = other.respond("y.*")
        asking.ask("y.x", b"?")
        self.assertFalse(listening.take(PATIENCE).is_answerable)
        self.assertEqual(responder.take(PATIENCE).payload, b"?")

    def test_a_session_may_ask_itself_and_hold_two_rights(self) -> None:
        client = self.connected()
        responders = [client.respond("z.*") for _ in range(2)]
        conversation = client.ask("z.x", b"?")
        for k, responder in enumerate(responders):
            responder.take(PATIENCE).answer(b"%d" % k)
        self.assertEqual([answer.payload for answer in conversation], [b"0", b"1"])


class WillsAndPresence(PatternTest):
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
        before = self.subscription_count()
        with self.bus_running("sub", "nothing", "--will", "will.s=gone", "--will-retain",
                              until=self.has_subscriptions(before + 1)) as process:
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


class Overflow(PatternTest):
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
        s = self.sequences()
        self.assertEqual(
            self.after_overflow("latest"),
            [self.gap("superseded", 0, 4, s + 1, s + 4), self.gap("superseded", 1, 4, s + 1, s + 4), b"8", b"9"])

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


class Inspection(PatternTest):
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
