"""Stands between a program and an emulator of DynamoDB, and does to some operations what AWS may do."""

import http.client
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
    refused with an error of that name. `rewrite(operation, request, answer)`, of bodies, may return another answer."""

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
