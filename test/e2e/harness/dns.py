"""A name server on loopback that answers from a table. Unknown names do not exist."""

import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28


class NameServer:
    def __init__(self):
        self.names = {}  # lower case, no final dot -> addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.socket.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            self.socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
        question = query[12 : at + 5]
        addresses = self.names.get(".".join(labels).lower())
        packed = [ipaddress.ip_address(a).packed for a in addresses or []]
        wanted = [p for p in packed if len(p) == {A: 4, AAAA: 16}.get(kind)]
        flags = 0x8180 | (3 if addresses is None else 0)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(wanted), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(p)) + p for p in wanted
        )
        return head + question + records
