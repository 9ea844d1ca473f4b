"""Lambda's runtime API, as a fake: gives `gwh lambda` one invocation after the other, and keeps what it
says. And that process itself."""

import json
import queue
import signal
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .server import CANARY, GWH, LENIENT, REPORTS, check_line, clean_environment
from .waiting import eventually, seconds

PREFIX = "/2018-06-01/runtime/"


class Invocation:
    def __init__(self, event, within, id=None, takes=202):
        self.id = id or str(uuid.uuid4())
        self.event = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.within = within
        self.takes = takes  # the status that an answer gets
        self.answers = []  # ("response" or "error", what was said)
        self.answered_at = None

    @property
    def headers(self):
        return {
            "Lambda-Runtime-Aws-Request-Id": self.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.within) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:000000000000:function:f",
        }

    def ended(self):
        eventually(lambda: self.answers, 40, "the invocation is answered")
        return self.answers[-1]

    def response(self):
        kind, said = self.ended()
        assert kind == "response", said
        return said

    def error(self):
        kind, said = self.ended()
        assert kind == "error", said
        return said


class RuntimeApi:
    def __init__(self):
        self.waiting = queue.Queue()
        self.all = {}
        self.init_errors = []
        self.asked = 0  # for the next one
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                assert self.path == PREFIX + "invocation/next", self.path
                api.asked += 1
                invocation = api.waiting.get()
                if invocation is None:
                    self.close_connection = True
                    return
                self.reply(200, invocation.event, invocation.headers)

            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == PREFIX + "init/error":
                    api.init_errors.append(said)
                    self.reply(202)
                    return
                id, kind = self.path.removeprefix(PREFIX + "invocation/").split("/")
                invocation = api.all[id]
                status = invocation.takes if kind == "response" else 202
                invocation.answered_at = time.monotonic()
                if status == 202:
                    invocation.answers.append((kind, said))
                self.reply(status)

            def reply(self, status, body=b"", headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def invoke(self, event, within=30, **more):
        invocation = Invocation(event, within, **more)
        self.all[invocation.id] = invocation
        self.waiting.put(invocation)
        return invocation

    def close(self):
        self.waiting.put(None)
        self.server.shutdown()
        self.server.server_close()


class Function:
    """`gwh lambda`, as the function's process."""

    def __init__(self, api, *flags, command=(GWH,), cwd=None, **settings):
        self.api = api
        self.lines = []
        self.process = subprocess.Popen(
            [*command, "lambda", *LENIENT, *flags], stdin=subprocess.DEVNULL, cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean_environment(AWS_LAMBDA_RUNTIME_API=api.address, **settings))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stdout:
            self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))

    def request(self, method, path, body=None, within=30, peer="127.0.0.1", headers=None, **more):
        """Through a Function URL; the answer's status and JSON."""
        path, _, query = path.partition("?")
        event = {"version": "2.0", "rawPath": path, "rawQueryString": query,
                 "headers": {"content-type": "application/json", **(headers or {})},
                 "requestContext": {"stage": "$default",
                                    "http": {"method": method, "sourceIp": peer}},
                 "isBase64Encoded": False, **more}
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        answer = self.api.invoke(event, within).response()
        return answer["statusCode"], json.loads(answer["body"])

    def wait(self):
        code = self.process.wait(seconds(30))
        self.reader.join(seconds(5))
        return code

    def stop(self):
        """An orderly end, and nothing in the log that must not be there."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        assert not REPORTS.search(self.log), self.log
        assert CANARY not in self.log
        for line in self.lines:
            if '"_aws"' not in line:
                check_line(line)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    @property
    def log(self):
        return "\n".join(self.lines)

    def logged(self, event):
        return [line for line in map(json.loads, self.lines) if line.get("event") == event]
