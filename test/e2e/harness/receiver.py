"""A client's server that can be told to behave badly. Threads and bare sockets: it has to be able
to send what is no HTTP."""

import itertools
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from .waiting import eventually


@dataclass
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    hold: threading.Event | None = None  # answer once this is set
    hang: bool = False  # read the request, never answer (or, with `raw`, not to the end)
    reset: bool = False  # cut the connection instead of an answer
    raw: bytes | None = None  # these bytes instead of an answer, then the end
    close: bool = False  # end the connection behind the answer


@dataclass
class Request:
    path: str
    headers: list  # (name as it came, value)
    body: bytes
    at: float  # monotonic
    wall: float
    connection: int
    number: int  # of this receiver, from 0
    started: bytes = b""  # the request line

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def id(self):
        return self.header("webhook-id")

    @property
    def attempt(self):
        return int(self.header("webhook-attempt"))

    def as_dict(self):
        return dict(self.headers)


class Receiver:
    """Listens on a free port of 127.0.0.1. Answers by path: first what `script()` queued for it,
    then what `always()` said, else 200."""

    def __init__(self, tls=None, host="127.0.0.1"):
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.early = set()  # paths that are answered before the body has been read
        self.requests_lock = threading.Condition()
        self.all_requests = []
        self.under_way = defaultdict(int)
        self.most_under_way = defaultdict(int)
        self.scripts = defaultdict(deque)
        self.defaults = {}
        self.tls = tls  # ssl.SSLContext
        self.closing = threading.Event()
        self.connections = set()
        self.count = itertools.count()
        # Holds the port while nobody listens on it, so that nobody else gets it.
        self.reservation = socket.socket(self.family)
        self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.reservation.bind((host, 0))
        self.port = self.reservation.getsockname()[1]
        self.listener = None
        self.up()

    def url(self, path="/"):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    # ── how it behaves ──────────────────────────────────────────────────────────────────────────

    def script(self, path, *replies):
        """The next answers on a path, in order; a number is a status."""
        with self.requests_lock:
            self.scripts[path].extend(_reply(r) for r in replies)

    def always(self, path, reply):
        """The answer when the script of the path is over. A function is asked with the request."""
        with self.requests_lock:
            self.defaults[path] = reply if callable(reply) else _reply(reply)

    def up(self):
        """Listens (again)."""
        self.listener = socket.socket(self.family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.listener.bind((self.host, self.port))
        self.listener.listen(1024)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def down(self):
        """Refuses connections, cuts those there are; the port stays its own."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.requests_lock:
            connections = list(self.connections)
        for connection in connections:
            _cut(connection)

    def close(self):
        self.closing.set()
        self.down()
        self.reservation.close()

    # ── what came ───────────────────────────────────────────────────────────────────────────────

    def requests(self, path=None, id=None):
        with self.requests_lock:
            return [
                r
                for r in self.all_requests
                if (path is None or r.path == path) and (id is None or r.id == id)
            ]

    def wait(self, count=1, path=None, id=None, timeout=20):
        """The first `count` requests, once they have come."""
        found = eventually(
            lambda: len(self.requests(path, id)) >= count and self.requests(path, id),
            timeout,
            f"{count} requests on {path or 'any path'}",
        )
        return found[:count]

    def one(self, path=None, id=None):
        return self.wait(1, path, id)[0]

    # ── inside ──────────────────────────────────────────────────────────────────────────────────

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        number = next(self.count)
        with self.requests_lock:
            self.connections.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                plain = connection
                connection = self.tls.wrap_socket(connection, server_side=True)
                with self.requests_lock:
                    self.connections.discard(plain)
                    self.connections.add(connection)
            elif connection.recv(1, socket.MSG_PEEK) == b"\x16":  # somebody else's TLS
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return
            stream = connection.makefile("rb")
            while self._exchange(connection, stream, number):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.requests_lock:
                self.connections.discard(connection)
            connection.close()

    def _exchange(self, connection, stream, number):
        request = _read(stream, number, self.early)
        if request is None:
            return False
        path = request.path
        with self.requests_lock:
            request.number = len(self.all_requests)
            self.all_requests.append(request)
            self.under_way[path] += 1
            self.most_under_way[path] = max(self.most_under_way[path], self.under_way[path])
            script = self.scripts[path]
            reply = script.popleft() if script else self.defaults.get(path, Reply())
        reply = _reply(reply(request)) if callable(reply) else reply
        left = False

        def leave():
            nonlocal left
            with self.requests_lock:
                if not left:
                    self.under_way[path] -= 1
                left = True

        try:
            return self._answer(connection, request, reply, leave)
        finally:
            leave()

    def _answer(self, connection, request, reply, leave):
        if reply.delay:
            self.closing.wait(reply.delay)
        if reply.hold:
            while not reply.hold.wait(0.02) and not self.closing.is_set():
                pass
        if reply.hang:
            connection.sendall(reply.raw or b"")
            # Over when the other side gives up, or the test does.
            connection.settimeout(0.1)
            while not self.closing.is_set():
                try:
                    if not connection.recv(1):
                        break
                except TimeoutError:
                    pass
            return False
        leave()  # before the answer: who has it may begin the next
        if reply.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.raw is not None:
            connection.sendall(reply.raw)
            return False
        headers = {"content-length": str(len(reply.body)), **reply.headers}
        head = f"HTTP/1.1 {reply.status} Whatever\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        connection.sendall(head.encode("latin-1") + b"\r\n" + reply.body)
        if request.path in self.early:
            _drain(connection)
            return False
        return not reply.close


def _reply(reply):
    return Reply(status=reply) if isinstance(reply, int) else reply


def _drain(connection):
    """Lets the other side end the connection."""
    connection.settimeout(10)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def _cut(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _read(stream, connection, early):
    line = stream.readline()
    if not line:
        return None
    _, path, version = line.decode("latin-1").rstrip("\r\n").split(" ")
    assert version == "HTTP/1.1", version
    headers = []
    while (raw := stream.readline()) not in (b"\r\n", b""):
        name, _, value = raw.decode("latin-1").rstrip("\r\n").partition(":")
        headers.append((name, value.strip(" ")))
    names = {name.lower(): value for name, value in headers}
    if path in early:
        body = b""
    elif names.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        length = int(names.get("content-length", "0"))
        body = stream.read(length)
        if len(body) < length:
            return None
    return Request(path, headers, body, time.monotonic(), time.time(), connection, -1, line)
