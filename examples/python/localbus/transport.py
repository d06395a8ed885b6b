"""Whom a client talks to: the key exchange authenticates nobody, the kernel's word and the directory do."""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import AbstractSet, Optional

SYSTEM_BUS = "/run/localbus/bus.sock"
SYSTEM_UID_MAX = 999
PEER_CREDENTIALS = struct.Struct("iII")


class Untrusted(Exception):
    """The socket belongs to somebody this client must not talk to."""


def default_path() -> str:
    """Where the bus of this process is."""
    if os.environ.get("LOCALBUS_SOCKET"):
        return os.environ["LOCALBUS_SOCKET"]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() <= SYSTEM_UID_MAX or not runtime:
        return SYSTEM_BUS
    return os.path.join(runtime, "localbus", "bus.sock")


def open_socket(path: Optional[str], bus_uid: Optional[int], timeout: float) -> socket.socket:
    """A connected socket whose other end is root's, our own or the bus user's. Nothing has been sent yet."""
    path = path or default_path()
    trusted = {0, os.geteuid()} | ({bus_uid} if bus_uid is not None else set())
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
        check_server(sock, trusted)
        check_directory(os.path.dirname(os.path.abspath(path)), trusted)
    except BaseException:
        sock.close()
        raise
    return sock


def check_server(sock: socket.socket, trusted: AbstractSet[int]) -> None:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    _, uid, _ = PEER_CREDENTIALS.unpack(credentials)
    if uid not in trusted:
        raise Untrusted(f"the bus is served by uid {uid}")


def check_directory(directory: str, trusted: AbstractSet[int]) -> None:
    found = os.stat(directory)
    if found.st_uid not in trusted:
        raise Untrusted(f"{directory} belongs to uid {found.st_uid}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Untrusted(f"{directory} can be written by others, mode {stat.S_IMODE(found.st_mode):o}")
