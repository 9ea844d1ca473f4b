"""Peers below HTTP: a port of 127.0.0.1 where each connection is handed to a function, raw."""

import socket
import struct
import threading


class Peer:
    def __init__(self, behave, scheme="http"):
        self.behave = behave
        self.scheme = scheme
        self.closing = threading.Event()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.taken = 0
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/"):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def close(self):
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            self.behave(self, connection)
        except (OSError, ValueError):
            pass
        connection.close()


# ── What a peer can do ───────────────────────────────────────────────────────────────────────────


def request(connection):
    """Reads a request to its end."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536) or _ended()
    head, _, body = head.partition(b"\r\n\r\n")
    (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n")
                 if line.startswith(b"content-length:"))  # fmt: skip
    while len(body) < length:
        body += connection.recv(65536) or _ended()


def hang(peer, connection):
    """Until the other side gives up, or the test does."""
    connection.settimeout(0.1)
    while not peer.closing.is_set():
        try:
            if not connection.recv(65536):
                return
        except TimeoutError:
            pass


def trickle(peer, connection, data):
    """A byte at a time, for ever, and slowly."""
    while True:
        for byte in data:
            connection.sendall(bytes([byte]))
            if peer.closing.wait(0.05):
                return


def flood(peer, connection, data):
    while not peer.closing.is_set():
        connection.sendall(data)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _ended():
    raise ValueError("the other side has left")
