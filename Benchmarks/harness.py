"""Processes around one fresh broker: what Benchmarks/run and Benchmarks/allocations have in common.

A Stage is a temporary directory, a broker that listens there, and the publishers and subscribers around it. Leaving
it ends them all by process id, whatever happened, and removes the directory. Every wait is bounded.
"""

import json
import os
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = Path(os.environ.get("BIN") or HERE.parent / ".build" / "release").resolve()
BUILT = HERE / ".build"  # what is compiled for a benchmark

PUBLISHERS_MAX = 64  # as in peer.c, which describes the window file
START_SECONDS = 30  # until a broker listens, a subscriber is ready
END_SECONDS = 5  # between the request to end and the kill
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Something that makes a result worthless; the text says what and of whom."""


class Peer:
    """A broker that can be measured: its commands, as templates, and whether what it carries is encrypted.

    `config`, if given, is written to {config} before the broker starts.
    """

    def __init__(self, name, version, encrypted, commands, config=None, tcp=False):
        self.name = name
        self.version = version
        self.encrypted = encrypted
        self.commands = commands
        self.config = config
        self.tcp = tcp


def localbus():
    """LocalBus, by the commands it offers to any driver."""
    for program in ("busd", "bus"):
        if not os.access(BIN / program, os.X_OK):
            raise Failure(f"{BIN}/{program} isn't there: `make build` first, or set BIN to where busd and bus are")
    lines = (HERE / "localbus.exec").read_text(encoding="utf-8").splitlines()
    commands = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return Peer(commands.pop("name"), version_of(BIN / "busd"), True, commands)


def redis(client):
    broker = ("redis-server --port 0 --unixsocket {socket} --dir {dir} --loglevel warning --save '' --appendonly no "
              "--maxclients 20000 --tcp-backlog 1024 --client-output-buffer-limit pubsub 0 0 0")
    return Peer("redis", version_of("redis-server"), False, peer_commands(broker, f"{client} redis"))


def nats(client):
    config = ('listen: "{socket}"\nmax_pending: 1073741824\nwrite_deadline: "60s"\nping_interval: "10m"\n'
              "max_connections: 20000\nmax_payload: 8388608\n")
    return Peer("nats", version_of("nats-server"), False, peer_commands("nats-server -c {config}", f"{client} nats"),
                config, tcp=True)


def peer_commands(broker, client):
    """The commands of a broker whose publishers and subscribers are peer.c."""
    common = "address={socket} topic={topic} size={size}"
    return {
        "broker": broker,
        "pub": f"{client} pub {common} count={{count}} rate={{rate}} id={{id}} subs={{subs}} window={{window}}",
        "sub": f"{client} sub {common} count={{count}} rate={{rate}} pubs={{pubs}} samples={{samples}} index={{id}} "
               "window={window}",
        "ping": f"{client} ping {common} reply={{reply}} count={{count}} samples={{samples}}",
        "pong": f"{client} pong {common} reply={{reply}}",
        "idle": f"{client} idle {common} conns={{conns}}",
    }


def version_of(program):
    """The first version number that `program --version` prints."""
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=START_SECONDS,
                          check=False).stdout
    found = re.search(r"\d+\.\d+[.\w-]*", said)
    return found[0] if found else "of unknown version"


def compiled(name, source, *flags):
    """Benchmarks/.build/<name>, compiled again when a source is newer."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        raise Failure(f"no C compiler (cc), which {source} needs")
    BUILT.mkdir(exist_ok=True)
    target = BUILT / name
    newest = max(path.stat().st_mtime for path in (HERE / source, *HERE.glob("*.h")))
    if not target.exists() or target.stat().st_mtime < newest:
        command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(target), str(HERE / source)]
        if subprocess.run(command, check=False).returncode:
            raise Failure(f"{source} doesn't compile")
    return target


def end_on_signals():
    """SIGTERM and SIGHUP unwind as Ctrl-C does, so that brokers end with us."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def raise_descriptor_limit():
    """For us and what we start: a thousand connections are more than the usual soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """One child: its standard output line by line, its standard error in a file for when it fails."""

    def __init__(self, label, arguments, environment, errors):
        self.label = label
        self.errors = errors
        self.pending = b""
        with open(errors, "wb") as stderr:
            try:
                self.child = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.PIPE, stderr=stderr, start_new_session=True)
            except OSError as error:
                raise Failure(f"{label}: {error}") from None
        self.pid = self.child.pid

    def line(self, deadline):
        """The next line of JSON on standard output."""
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self.child.stdout], [], [], max(left, 0))
            if not readable:
                raise Failure(f"{self.label}: nothing came for too long{self.complaint()}")
            got = os.read(self.child.stdout.fileno(), 65536)
            if not got:
                raise Failure(f"{self.label}: ended early{self.complaint()}")
            self.pending += got
        line, self.pending = self.pending.split(b"\n", 1)
        try:
            return json.loads(line)
        except ValueError:
            raise Failure(f"{self.label}: said {line[:200]!r}, which isn't JSON") from None

    def result(self, deadline):
        """Its one line, once it has ended well."""
        line = self.line(deadline)
        try:
            status = self.child.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.label}: doesn't end") from None
        if status:
            raise Failure(f"{self.label}: status {status}{self.complaint()}")
        return line

    def complaint(self):
        """The end of what it wrote to standard error."""
        try:
            said = Path(self.errors).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""
        return f"\n{said[-1000:]}" if said else ""

    def is_running(self):
        return self.child.poll() is None

    def request_end(self):
        if self.is_running():
            self.child.terminate()

    def end(self):
        """After request_end; a process that ignores it is killed."""
        try:
            self.child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


class Stage:
    """A context manager: a fresh broker of `peer`, and what is started around it.

    - prefix: goes before each command, such as taskset; it must exec, so that a pid is the command's.
    - environment: variables only the broker gets.
    """

    def __init__(self, peer, prefix=(), environment=None):
        self.peer = peer
        self.prefix = list(prefix)
        self.broker_environment = environment or {}
        self.processes = []

    def __enter__(self):
        # Short, because a socket's path is: TMPDIR may be set to something shorter still.
        self.dir = tempfile.mkdtemp(prefix="lb-")
        try:
            self.socket = f"127.0.0.1:{free_port()}" if self.peer.tcp else f"{self.dir}/bus.sock"
            self.broker = self.start_broker()
            self.wait_until_listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave a broker behind; END_SECONDS bounds how long this takes.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for process in reversed(self.processes):
                process.request_end()
            for process in reversed(self.processes):
                process.end()
            shutil.rmtree(self.dir, ignore_errors=True)
        finally:
            signal.signal(signal.SIGINT, previous)

    def start_broker(self):
        config = f"{self.dir}/broker.conf"
        if self.peer.config:
            Path(config).write_text(self.peer.config.format(socket=self.socket), encoding="utf-8")
        return self.start("broker", self.broker_environment, config=config)

    def start(self, role, environment=None, extra=(), **values):
        """Starts the peer's command for `role` with `values` in its places, and `extra` after it."""
        values.update(socket=self.socket, dir=self.dir)
        command = [word.format(**values) for word in shlex.split(self.peer.commands[role])]
        label = f"{self.peer.name} {role} {values.get('id', '')}".strip()
        path = f"{BIN}:{os.environ.get('PATH', os.defpath)}"
        command[0] = shutil.which(command[0], path=path) or command[0]
        process = Process(label, [*self.prefix, *command, *extra], {**os.environ, **(environment or {})},
                          f"{self.dir}/{len(self.processes)}.err")
        self.processes.append(process)
        return process

    def wait_until_listening(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.accepts():
            if not self.broker.is_running():
                raise Failure(f"{self.broker.label}: ended before it listened{self.broker.complaint()}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.broker.label}: doesn't listen on {self.socket}{self.broker.complaint()}")
            time.sleep(0.01)

    def accepts(self):
        host, _, port = self.socket.partition(":")
        with socket.socket(socket.AF_INET if self.peer.tcp else socket.AF_UNIX) as probe:
            try:
                probe.connect((host, int(port)) if self.peer.tcp else self.socket)
            except OSError:
                return False
        return True

    def window_file(self, subscribers):
        """Shared memory of peer.c's publishers and subscribers, new for each run."""
        path = f"{self.dir}/window"
        with open(path, "wb") as file:
            file.truncate(subscribers * PUBLISHERS_MAX * 8)
        return path

    def cpu_seconds_of_all(self):
        """Of the broker and all around it, ended or not: a process's time moves from one sum to the other."""
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        return reaped.ru_utime + reaped.ru_stime + sum(cpu_seconds(p.pid) for p in self.processes if p.is_running())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def busy_seconds():
    """Of all processors together, since boot; stolen time counts, waiting for disks doesn't."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def memory_bytes(pid, key):
    """VmRSS or VmHWM of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024


def warn(text):
    print(text, file=sys.stderr, flush=True)
