"""What `inspected` carries: rows of named numbers and texts, and where the next page begins."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .errors import FrameError
from .layouts import FIELDS
from .wire import Cursor, Frame, encode_field, split_fields

FIELD_COUNT_MAX = 65_536
ROW, NUMBER, TEXT, AFTER = (FIELDS[name].tag for name in ("row", "number", "text", "after"))

Row = Dict[str, Any]


def decode_rows(inspected: Frame) -> Tuple[List[Row], int]:
    """The rows, and what to ask after for more; 0 when these were the last."""
    rows: List[Row] = []
    after = None
    for tag, value in split_fields(inspected.rest, FIELD_COUNT_MAX, (ROW, NUMBER, TEXT, AFTER)):
        cursor = Cursor(value, FrameError)
        if tag == ROW:
            rows.append({})
        elif tag == AFTER:
            number = cursor.unpack("Q")[0]
            after = number if after is None else after
        elif not rows:
            raise FrameError("inspected: a value before the first row")
        else:
            name = cursor.take(cursor.unpack("B")[0]).decode("utf-8", "replace")
            rows[-1][name] = cursor.unpack("Q")[0] if tag == NUMBER else cursor.remainder().decode("utf-8", "replace")
    return rows, after or 0


def encode_rows(rows: List[Row], after: int = 0) -> bytes:
    """The fields of an answer; for a daemon, here the tests'."""
    fields = [encode_field(AFTER, after.to_bytes(8, "little"), is_required=True)] if after else []
    for row in rows:
        fields.append(encode_field(ROW, b""))
        for key, value in row.items():
            name = bytes([len(key.encode())]) + key.encode()
            if isinstance(value, int):
                fields.append(encode_field(NUMBER, name + value.to_bytes(8, "little")))
            else:
                fields.append(encode_field(TEXT, name + value.encode()))
    return b"".join(fields)
