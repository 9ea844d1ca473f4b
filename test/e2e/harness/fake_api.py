"""What answers like the API, with what a test says: for what a real server would never say, or not
at a known time."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeApi:
    """`answer` is (status, body): bytes, or what becomes JSON. It may be changed at any time."""

    def __init__(self):
        self.answer = (200, {})
        self.may_answer = threading.Event()  # until then it keeps everybody waiting
        self.may_answer.set()
        self.asked = []  # "GET /v1/deliveries?limit=50"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, result, status=200):
        """A success, in the API's envelope."""
        self.answer = (status, {"statusCode": status, "status": "success", "result": result})

    def refuses(self, status, error):
        self.answer = (status, {"statusCode": status, "status": "failed", "error": error})

    def close(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(fake):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                fake.asked.append(f"{self.command} {self.path}")
                fake.may_answer.wait()
                status, body = fake.answer
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        return Handler
