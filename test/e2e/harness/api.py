"""A client of the HTTP API that hides nothing: every answer with its status, headers and bytes."""

import http.client
import json
import socket
import urllib.parse

from . import openapi
from .waiting import seconds

JSON = "application/json"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # lower-case name -> value
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def result(self):
        return self.json["result"]

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"<{self.status} {self.body[:2000]!r}>"

    def expect(self, status):
        assert self.status == status, f"wanted {status}, got {self}"
        return self


def encode(body):
    """JSON of what is no text yet."""
    if isinstance(body, str):
        return body.encode()
    if body is None or isinstance(body, bytes):
        return body
    return json.dumps(body, ensure_ascii=False).encode()


class Connection:
    """One kept connection."""

    def __init__(self, address, headers=None):
        self.address = address
        self.headers = headers or {}
        self.http = http.client.HTTPConnection(*address, timeout=seconds(30))

    def call(self, method, path, body=None, headers=None, query=None):
        body = encode(body)
        if query:
            path += "?" + urllib.parse.urlencode(query)
        sent = dict(self.headers)
        if body is not None:
            sent["content-type"] = JSON
        sent.update(headers or {})
        self.http.request(method, path, body, {k: v for k, v in sent.items() if v is not None})
        reply = self.http.getresponse()
        answer = Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        openapi.check(method, path, answer)
        return answer

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Api:
    """Each call on a connection of its own, so that the kernel spreads them over the shards."""

    def __init__(self, address, key):
        self.address = address
        appid, _, appkey = key.rpartition(":")
        self.headers = {"appid": appid, "appkey": appkey}

    def connect(self):
        return Connection(self.address, self.headers)

    def call(self, method, path, body=None, headers=None, query=None):
        with self.connect() as connection:
            return connection.call(method, path, body, headers, query)

    def raw(self, request, until_close=True, timeout=15):
        """Sends these bytes and returns all that comes back."""
        with socket.create_connection(self.address, timeout=seconds(timeout)) as sock:
            sock.sendall(request)
            if until_close:
                sock.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                try:
                    part = sock.recv(65536)
                except ConnectionResetError:
                    break
                if not part:
                    break
                answer += part
            return answer

    def get(self, path, **query):
        return self.call("GET", path, query=query)

    # ── events ──────────────────────────────────────────────────────────────────────────────────

    def post_event(self, event, **kwargs):
        return self.call("POST", "/v1/events", event, **kwargs)

    def send(self, event):
        """Posts an event that must be taken; the result."""
        return self.post_event(event).expect(202).result

    def event(self, message_id, **query):
        return self.get(f"/v1/events/{message_id}", **query).expect(200).result

    # ── configs ─────────────────────────────────────────────────────────────────────────────────

    def create(self, **config):
        """Creates a config; the result, which holds the secret."""
        return self.call("POST", "/v1/config", config).expect(201).result

    def patch(self, app, type, if_match=None, **change):
        body = {"appId": app, "eventType": type, **change}
        return self.call("PATCH", "/v1/config", body, {"if-match": if_match})

    def config(self, app, type, **query):
        return self.get("/v1/config", appId=app, eventType=type, **query)

    def delete(self, app, type, if_match=None):
        query = {"appId": app, "eventType": type}
        return self.call("DELETE", "/v1/config", None, {"if-match": if_match}, query)

    # ── deliveries ──────────────────────────────────────────────────────────────────────────────

    def delivery(self, delivery_id):
        return self.get(f"/v1/deliveries/{delivery_id}").expect(200).result

    def deliveries(self, **query):
        """All of them, page by page."""
        items, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self.get("/v1/deliveries", **query, **more).expect(200).result
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items

    def retry(self, delivery_id):
        return self.call("POST", f"/v1/deliveries/{delivery_id}/retry")

    def why(self, some_id):
        quoted = urllib.parse.quote(some_id, safe="")
        return self.get(f"/v1/why/{quoted}").expect(200).result


def failed(answer, status, *words):
    """Exactly the envelope of a failure, with these words in its text."""
    answer.expect(status)
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert answer.json == {"statusCode": status, "status": "failed", "error": answer.error}
    assert answer.error
    for word in words:
        assert word in answer.error, answer.error
    assert "canary" not in answer.error
    return answer
