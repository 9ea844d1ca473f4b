"""Stands between a program and an emulator of DynamoDB, and does to operations what AWS may do."""

import http.client
import random
import re
import socketserver
import threading

from .hostile import reset

REFUSED = (b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\n'
           b'Content-Length: %d\r\n\r\n%s')


def _read_request(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    length = re.search(rb"content-length: *(\d+)", head, re.I)
    return head + (stream.read(int(length[1])) if length else b"")


class AwsProxy:
    """`lost`: operations that are done, but whose answer never comes. `refused`: those that are
    refused with the error `code`. `rewrite(operation, request, answer)`, of bodies, may return
    another answer."""

    def __init__(self, port, lost=(), refused=(), code="", rewrite=None):
        self.port, self.lost, self.refused, self.code = port, lost, refused, code
        self.rewrite = rewrite
        self.seen = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while (request := _read_request(self.rfile)) and proxy.serve(self, request):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def serve(self, handler, request):
        """False: the connection is over."""
        operation = re.search(rb"x-amz-target: *\w+\.(\w+)", request, re.I)[1].decode()
        self.seen.append(operation)
        if operation in self.refused:
            body = b'{"__type":"com.amazonaws.dynamodb.v20120810#%s"}' % self.code.encode()
            handler.wfile.write(REFUSED % (len(body), body))
            return True
        status, answer = self._forward(request)
        if operation in self.lost:
            reset(handler.connection)
            return False
        if self.rewrite:
            answer = self.rewrite(operation, request.partition(b"\r\n\r\n")[2], answer) or answer
        handler.wfile.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n" % (status, len(answer)) +
                            answer)
        return True

    def _forward(self, request):
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        upstream.connect()
        upstream.sock.sendall(request)
        response = http.client.HTTPResponse(upstream.sock, method="POST")
        response.begin()
        answer = response.read()
        upstream.close()
        return response.status, answer

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class ChaosProxy(AwsProxy):
    """Of `percent` of a hundred requests, of any service, each goes wrong in a way of its own: refused by
    an error of AWS's or a throttle, done and the answer lost, done and the answer cut short. What is
    received from a queue comes whole or not at all: lost, it would be hidden for minutes."""

    def __init__(self, port, percent, seed=1):
        self.percent, self.dice, self.wrong = percent, random.Random(seed), 0
        super().__init__(port)

    def serve(self, handler, request):
        found = re.search(rb"x-amz-target: *\w+\.(\w+)", request, re.I)
        operation = found[1].decode() if found else "S3"
        self.seen.append(operation)
        ways = ["error", "throttle"] + (["lost", "cut"] if operation != "ReceiveMessage" else [])
        way = self.dice.choice(ways) if self.dice.randrange(100) < self.percent else None
        self.wrong += way is not None
        if way == "error":
            handler.wfile.write(b"HTTP/1.1 500 -\r\nContent-Length: 0\r\n\r\n")
            return True
        if way == "throttle":
            body = b'{"__type":"x#ThrottlingException"}'
            handler.wfile.write(REFUSED % (len(body), body))
            return True
        answer = self._forward_whole(request)
        if way == "lost":
            reset(handler.connection)
            return False
        if way == "cut":
            handler.wfile.write(answer[:-1])
            return False
        handler.wfile.write(answer)
        return True

    def _forward_whole(self, request):
        """The answer as it came, but for how its length is said."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        upstream.connect()
        upstream.sock.sendall(request)
        response = http.client.HTTPResponse(upstream.sock, method=request.split(b" ")[0].decode())
        response.begin()
        body = response.read()
        upstream.close()
        kept = "".join(f"{name}: {value}\r\n" for name, value in response.getheaders()
                       if name.lower() not in ("content-length", "transfer-encoding", "connection"))
        head = f"HTTP/1.1 {response.status} -\r\n{kept}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("latin-1") + body
