#!/usr/bin/env python3
"""A small command line over the package: publish one thing, print what arrives, ask and answer, look at the daemon.

Exit status: 0 done, 1 the responder failed, 64 usage, 65 bad data, 68 unknown name, 69 no daemon or nobody there,
75 timeout, 77 denied.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, NoReturn, Optional

import localbus

FAILED, USAGE, BAD_DATA, UNKNOWN_NAME, NO_DAEMON, TIMEOUT, DENIED = 1, 64, 65, 68, 69, 75, 77
STATUSES = {"denied": DENIED, "no-responders": NO_DAEMON, "unknown-name": UNKNOWN_NAME}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parse(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = Parser(prog="bus.py", description="LOCALBUS_SOCKET names the socket.")
    commands = parser.add_subparsers(dest="command", required=True)
    pub = commands.add_parser("pub", help="publish DATA on TOPIC")
    pub.add_argument("topic", metavar="TOPIC")
    pub.add_argument("data", metavar="DATA")
    pub.add_argument("--count", metavar="N", type=positive, default=1, help="publish it N times")
    pub.add_argument("--retain", action="store_true", help="keep it as the topic's last value; empty DATA clears it")
    sub = commands.add_parser("sub", help="print the events that match FILTER")
    sub.add_argument("filter", metavar="FILTER")
    sub.add_argument("--count", metavar="N", type=positive, help="stop after N events")
    sub.add_argument("--timeout", metavar="T", type=seconds, help="stop after T: 10, 10s, 500ms, 2m")
    sub.add_argument("--json", action="store_true", help="one object a line; `time` is when the daemon accepted it")
    sub.add_argument("--group", metavar="G", help="share the events with the other members of G")
    sub.add_argument("--last", action="store_true", help="begin with the last value of every matching topic")
    req = commands.add_parser("req", help="ask TOPIC and print the answer")
    req.add_argument("topic", metavar="TOPIC")
    req.add_argument("data", metavar="DATA", nargs="?", default="")
    req.add_argument("--timeout", metavar="T", type=seconds, default=5.0, help="wait so long for it")
    reply = commands.add_parser("reply", help="answer the requests that match FILTER with DATA")
    reply.add_argument("filter", metavar="FILTER")
    reply.add_argument("data", metavar="DATA")
    reply.add_argument("--count", metavar="N", type=positive, help="stop after N answers")
    listing = commands.add_parser("list", help="what the daemon knows: one object a line")
    listing.add_argument("kind", choices=sorted(localbus.client.KINDS))
    listing.add_argument("key", nargs="?", help="one thing of that kind")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def seconds(text: str) -> float:
    for suffix, unit in (("ms", 0.001), ("s", 1), ("m", 60)):
        if text.endswith(suffix):
            return float(text[:-len(suffix)]) * unit
    return float(text)


def pub(bus: localbus.Client, arguments: argparse.Namespace) -> None:
    data = arguments.data.encode("utf-8", "surrogateescape")
    if arguments.retain:
        for _ in range(arguments.count):
            bus.publish(arguments.topic, data, retain=True)
    else:
        bus.publish_all(arguments.topic, [data] * arguments.count)


def req(bus: localbus.Client, arguments: argparse.Namespace) -> None:
    answer = bus.request(arguments.topic, arguments.data.encode("utf-8", "surrogateescape"), arguments.timeout)
    write(answer.payload)


def reply(bus: localbus.Client, arguments: argparse.Namespace) -> None:
    responder = bus.respond(arguments.filter)
    for request in itertools.islice(responder, arguments.count):
        request.answer(arguments.data.encode("utf-8", "surrogateescape"))


def show_rows(bus: localbus.Client, arguments: argparse.Namespace) -> None:
    for row in bus.inspect(arguments.kind, arguments.key):
        write(json.dumps(row, ensure_ascii=False).encode())


def sub(bus: localbus.Client, arguments: argparse.Namespace) -> None:
    subscription = bus.subscribe(arguments.filter, group=arguments.group, last=arguments.last)
    deadline = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    left = arguments.count
    while left != 0:
        item = subscription.take(None if deadline is None else max(0, deadline - time.monotonic()))
        if isinstance(item, localbus.Delivery):
            for sequence, event in item.events[:left]:
                show(item, sequence, event, arguments.json)
            left = None if left is None else left - len(item.events[:left])
            subscription.acknowledge(item)
        elif isinstance(item, localbus.Unopenable):
            notice(f"delivery {item.number}: {item.why}")
            subscription.acknowledge(item)
        elif isinstance(item, localbus.CaughtUp):
            notice(f"up to date: {item.count} last values")
        else:
            count = "an unknown number of" if item.count is None else item.count
            notice(f"missed {count} events on {item.topic or 'unknown topics'}: {item.reason}")


def show(delivery: localbus.Delivery, sequence: int, event: localbus.Event, as_json: bool) -> None:
    write(json.dumps(described(delivery, sequence, event), ensure_ascii=False).encode() if as_json else event.payload)


def write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def described(delivery: localbus.Delivery, sequence: int, event: localbus.Event) -> Dict[str, Any]:
    publisher = delivery.publisher
    return {
        "id": str(event.id),
        "topic": delivery.topic,
        "sequence": sequence,
        "time": rfc3339(delivery.time),
        "publisher": {"uid": publisher.uid, "gid": publisher.gid, "name": publisher.name},
        "correlation": str(event.correlation or event.id),
        "attempt": delivery.attempt,
        "stored": delivery.is_stored,
        "headers": {text(name): text(value) for name, value in event.headers},
        **payload(event.payload),
    }


def payload(data: bytes) -> Dict[str, str]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(data).decode()}


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def rfc3339(microseconds: int) -> str:
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def notice(message: str) -> None:
    print(f"bus.py: {message}", file=sys.stderr, flush=True)


COMMANDS = {"pub": pub, "sub": sub, "req": req, "reply": reply, "list": show_rows}


def main(arguments: Optional[List[str]] = None) -> int:
    parsed = parse(arguments)
    try:
        with localbus.connect(name="bus.py") as bus:
            COMMANDS[parsed.command](bus, parsed)
        return 0
    except (localbus.TimedOut, TimeoutError) as error:
        return failed(error, TIMEOUT)
    except (localbus.Untrusted, PermissionError) as error:
        return failed(error, DENIED)
    except (localbus.Refused, localbus.Closed) as error:
        return failed(error, STATUSES.get(error.reason, NO_DAEMON if isinstance(error, localbus.Closed) else BAD_DATA))
    except localbus.Unanswered as error:
        return failed(error, NO_DAEMON)
    except localbus.Failed as error:
        return failed(error, FAILED)
    except localbus.BadName as error:
        return failed(error, USAGE)
    except localbus.WireError as error:
        return failed(error, BAD_DATA)
    except BrokenPipeError:
        return 0  # whoever read our output has had enough
    except OSError as error:
        return failed(error, NO_DAEMON)


def failed(error: Exception, status: int) -> int:
    notice(str(error))
    return status


if __name__ == "__main__":
    sys.exit(main())
