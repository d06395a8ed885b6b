"""Topics, filters and groups: names are bytes, held to the rules wherever they enter."""

from __future__ import annotations

import unicodedata

from .errors import BadName

NAME_LENGTH_MAX = 255
TOKEN_COUNT_MAX = 16
GROUP_LENGTH_MAX = 64
REPLY_PREFIX = "$reply."


def encode_topic(topic: str) -> bytes:
    return _encode_name(topic, "bad-topic")


def encode_filter(filter: str) -> bytes:
    return _encode_name(filter, "bad-filter")


def encode_group(group: str) -> bytes:
    """One token, not the daemon's own, short enough to stand in a topic beside others."""
    raw = _encode_name(group, "bad-group")
    if len(raw) > GROUP_LENGTH_MAX or "." in group or group.startswith("$"):
        raise BadName(f"group {group!r}", "bad-group")
    return raw


def reply_topic(session: int) -> str:
    """Where answers to a session's requests go."""
    return f"{REPLY_PREFIX}{session}"


def decode_topic(raw: bytes) -> str:
    try:
        topic = raw.decode()
    except UnicodeDecodeError:
        raise BadName("not UTF-8") from None
    encode_topic(topic)
    return topic


def _encode_name(name: str, reason: str) -> bytes:
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise BadName("not UTF-8", reason) from None
    if not 1 <= len(raw) <= NAME_LENGTH_MAX:
        raise BadName(f"{len(raw)} bytes, not 1 to {NAME_LENGTH_MAX}", reason)
    tokens = name.split(".")
    if len(tokens) > TOKEN_COUNT_MAX:
        raise BadName(f"{len(tokens)} tokens, limit {TOKEN_COUNT_MAX}", reason)
    for place, token in enumerate(tokens, 1):
        is_wild = token == "*" or token == ">" and place == len(tokens)
        if not (is_wild and reason == "bad-filter" or _is_token(token)):
            raise BadName(f"token {place} of {name!r}", reason)
    return raw


def _is_token(token: str) -> bool:
    # str.isspace() is Unicode's White_Space and four control characters, which are refused anyway.
    return token != "" and not any(c in "*>" or c.isspace() or unicodedata.category(c) == "Cc" for c in token)
