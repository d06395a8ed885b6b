"""The page's own bytes, read out of docs/PROTOCOL.md: section title and label to bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Tuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "PROTOCOL.md"
GOLDEN = ROOT / "Tests" / "BusWireTests" / "Golden"
HEX = "[0-9a-f]+"


def worked_example() -> Dict[Tuple[str, str], bytes]:
    """Every line of the example's blocks; a line that opens with spaces goes on with the one before."""
    example = PAGE.read_text().split("\n## Worked example\n")[1]
    found: Dict[Tuple[str, str], str] = {}
    section, label, is_block = "", "", False
    for line in example.splitlines():
        if line.startswith("### "):
            section = line[4:]
        elif line == "```":
            is_block = not is_block
        elif is_block:
            first = re.fullmatch(rf"(\S.*?)  +({HEX})", line)
            if first:
                label = first[1]
                found[section, label] = first[2]
            else:
                found[section, label] += re.fullmatch(rf" +({HEX})", line)[1]
    return {key: bytes.fromhex(digits) for key, digits in found.items()}


def golden(name: str) -> Dict[str, bytes]:
    """The lines of a golden file; nothing where the file isn't."""
    path = GOLDEN / name
    if not path.exists():
        return {}
    lines = (line.split() for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {label: bytes.fromhex(digits) for label, digits in lines}
