"""A name server on loopback that answers from a table. Unknown names do not exist."""

import ipaddress
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass

A, CNAME, AAAA = 1, 5, 28
UDP_MAX = 512


@dataclass
class Name:
    addresses: list | tuple = ()
    ttl: int = 0
    alias: str | None = None  # of another name, whose records come with it
    code: int = 0  # 2 = the server fails, 5 = it refuses
    silent: bool = False


class NameServer:
    def __init__(self, silent=False):
        # Lower case, no final dot -> addresses, or a Name, or a function that returns one of them.
        self.names = {}
        self.silent = silent  # hears, and says nothing to anybody
        self.asked = Counter()  # names, as often as one asked for an IPv4 address
        self.tcp_asked = Counter()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:  # the same port for both
            self.socket.bind(("127.0.0.1", 0))
            try:
                self.listener.bind(self.socket.getsockname())
                break
            except OSError:
                self.socket.close()
                self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.listener.listen(64)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.threads = [threading.Thread(target=serve, daemon=True)
                        for serve in (self._serve, self._serve_tcp)]  # fmt: skip
        for thread in self.threads:
            thread.start()

    def close(self):
        for each in (self.socket, self.listener):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)
        self.socket.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            if answer := self._answer(query):
                if len(answer) > UDP_MAX:  # "ask again over TCP"
                    end = query.index(b"\0", 12) + 5
                    head = struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0)
                    answer = query[:2] + head + query[12:end]
                self.socket.sendto(answer, peer)

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(5)
                try:
                    while size := stream.read(2):
                        query = stream.read(*struct.unpack("!H", size))
                        if answer := self._answer(query, tcp=True):
                            connection.sendall(struct.pack("!H", len(answer)) + answer)
                except OSError:
                    pass

    def _known(self, name):
        known = self.names.get(name)
        known = known() if callable(known) else known
        return known if known is None or isinstance(known, Name) else Name(known)

    def _answer(self, query, tcp=False):
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
        question = query[12 : at + 5]
        name = ".".join(labels).lower()
        if kind == A:
            (self.tcp_asked if tcp else self.asked)[name] += 1
        known = self._known(name)
        if self.silent or (known and known.silent):
            return None
        records, owner = [], _packed(name)
        code = 3 if known is None else known.code
        while known and known.alias and len(records) < 30:
            target = _packed(known.alias)
            records.append(_record(owner, CNAME, known.ttl, target))
            owner, known = target, self._known(known.alias)
        for address in known.addresses if known and not code else ():
            packed = ipaddress.ip_address(address).packed
            if len(packed) == {A: 4, AAAA: 16}.get(kind):
                records.append(_record(owner, kind, known.ttl, packed))
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return head + question + b"".join(records)


def _packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _record(owner, kind, ttl, data):
    return owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
