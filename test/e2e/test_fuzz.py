"""Seeded rubbish against every door: the server answers or hangs up, never falls, and goes on with
its work. GWH_FUZZ_SEED repeats a run."""

import json
import os
import random
import re
import socket
import string

import pytest

from harness.events import event, settled, subscribe
from harness.raw import request_head
from harness.receiver import Reply
from harness.waiting import seconds

SEED = int(os.environ.get("GWH_FUZZ_SEED") or random.randrange(1 << 32))
ROUNDS = int(os.environ.get("GWH_FUZZ_ROUNDS", "400"))


def mutate(dice, data, tokens):
    """A few small wounds."""
    data = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = dice.randrange(256)
        elif kind == 1:
            del data[at : at + dice.randint(1, 8)]
        elif kind == 2:
            data[at:at] = dice.choice(tokens)
        elif kind == 3:
            data[at:at] = data[at : at + dice.randint(1, 40)]
        elif at < len(data):
            data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


# ── Events: the same judgement as another parser's ───────────────────────────────────────────────

NAMES = ("appId", "eventType", "eventId", "transactionId", "workflowId", "eventTime")


class Refused(Exception):
    pass


def depth_of(value):
    """Of what is nested, counted without recursion."""
    deepest, queue = 0, [(value, 1)]
    while queue:
        value, depth = queue.pop()
        if isinstance(value, (dict, list)):
            deepest = max(deepest, depth)
            inner = value.values() if isinstance(value, dict) else value
            queue += [(v, depth + 1) for v in inner]
    return deepest


def judge(body):
    """What intake promises, in another language with another parser; True = taken."""

    def refuse(text):
        raise Refused(text)

    class Pairs(dict):
        pass

    def pairs(items):
        made = Pairs(items)
        made.names = [name for name, _ in items]
        return made

    try:
        text = body.decode()
        if text.startswith("\ufeff"):
            return False
        if text.strip(" \t\r\n") != text.strip():
            return False  # Python's idea of white space is wider
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse,
                           parse_float=str, parse_int=str)  # fmt: skip
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no character
    except (ValueError, RecursionError, Refused):
        return False
    if not isinstance(value, Pairs) or len(set(value.names)) < len(value.names):
        return False
    if depth_of(value) > 64:
        return False
    for name in NAMES:
        # Numbers came as text above, so the kind is looked up in the source: none is written here.
        found = value.get(name)
        if found is None or found == "" and name not in ("appId", "eventType"):
            if name in ("appId", "eventType"):
                return False
            continue
        if not isinstance(found, str) or re.search("[\0-\x1f\x7f-\x9f]", found):
            return False
        if not 1 <= len(found.encode()) <= 256:
            return False
    return True


TOKENS = [t.encode() for t in (
    '"', "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "null", "true", "\\u0000", "\\ud800",
    "\\udc00", "\\u0041", '"x":', '"eventId":"', "é", "\ufeff", "\u2028", "\0", "\x7f", "\x85",
    "//", "/**/", "[[[[", "]]]]",
)] + [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]  # fmt: skip


def bodies(dice, app):
    """Events that are nearly right. No bare numbers near the named fields: see judge()."""
    plain = {"appId": app, "eventType": "T", "eventId": "@", "workflowId": "w", "a": [{"b": "é"}]}
    whole = json.dumps(plain, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 1]))
    body = whole.replace("@", "".join(dice.choices(string.ascii_letters, k=16))).encode()
    return body if dice.random() < 0.05 else mutate(dice, body, TOKENS)


def test_events_are_judged_like_elsewhere(shared, app):
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    taken = 0
    with shared.connect() as connection:
        for _ in range(ROUNDS * 3):
            body = bodies(dice, app)
            answer = connection.call("POST", "/v1/events", body)
            wanted = 202 if judge(body) else 400
            if re.search(rb'"\s*:\s*-?\d', body):
                continue  # a number was born: the judge cannot tell
            assert answer.status == wanted, (body, answer)
            taken += wanted == 202
    assert taken > ROUNDS * 3 // 20


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────

HTTP_TOKENS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"HTTP/1.1", b"HTTP/1.0", b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"connection: upgrade\r\n",
    b"expect: 100-continue\r\n", b"upgrade: h2c\r\n", b"host: y\r\n", b"%00", b"%", b"/../", b"?",
    b"&", b"GET ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"x" * 5000, b"0\r\n\r\n", b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["event", "config", "look", "chunks"])
def test_requests(shared, shared_server, receiver, app, kind):
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    subscribe(shared, app, receiver.url(), type="*")
    body = json.dumps(event(app)).encode()
    config = json.dumps(dict(appId=app, eventType="*", product="p")).encode()
    whole = {
        "event": request_head(shared, f"content-length: {len(body)}") + body,
        "config": request_head(
            shared, f"content-length: {len(config)}", path="/v1/config", method="PATCH"
        )
        + config,
        "look": request_head(
            shared, path=f"/v1/deliveries?appId={app}&limit=10&status=dead&from=", method="GET"
        ),
        "chunks": request_head(shared, "transfer-encoding: chunked")
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    }[kind]
    for _ in range(ROUNDS // 2):
        sent = mutate(dice, whole, HTTP_TOKENS)
        with socket.create_connection(shared.address, timeout=seconds(40)) as sock:
            try:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
                got = b""
                while part := sock.recv(65536):
                    got += part
            except (ConnectionResetError, BrokenPipeError):
                continue
        assert not got or got.startswith(b"HTTP/1."), (sent, got)
        assert b'"status":"failed","error":"internal' not in got, (sent, got)
        assert not re.match(rb"HTTP/1\.1 500 ", got), (sent, got)
    assert shared_server.process.poll() is None
    shared.get("/healthz").expect(200)


# ── Answers of clients ───────────────────────────────────────────────────────────────────────────

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nretry-after: 3\r\ncontent-length: 5\r\n"
    b"connection: keep-alive\r\n\r\nhello"
)
CHUNKED = (
    b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\nretry-after: 1\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n"
)


def test_answers_of_clients(shared, shared_server, receiver, app):
    dice = random.Random(SEED)
    print(f"seed {SEED}")

    def answer(_):
        return Reply(raw=mutate(dice, dice.choice([ANSWER, CHUNKED]), HTTP_TOKENS))

    retry = {"schedule": [], "timeoutMs": 1000}
    with shared.connect() as connection:
        sent = []
        for n in range(ROUNDS // 2):
            if n % 8 == 0:  # ten failures of one target would have the rest wait
                type = f"T-{n}"
                receiver.always(f"/{n}", answer)
                subscribe(shared, app, receiver.url(f"/{n}"), type, retry=retry, maxInFlight=4)
            posted = connection.call("POST", "/v1/events", event(app, type=type)).expect(202)
            sent += posted.result["deliveries"]
        for accepted in sent:
            final = None
            while final not in ("delivered", "dead"):
                receiver.closing.wait(0.002)
                final = connection.call("GET", f"/v1/deliveries/{accepted['id']}").expect(200)
                final = final.result["status"]
    outcomes = {
        attempt["outcome"]
        for accepted in sent[::10]
        for attempt in shared.delivery(accepted["id"])["attemptLog"]
    }
    assert outcomes <= {"success", "http_error", "protocol", "reset", "timeout"}
    assert shared_server.process.poll() is None
    receiver.always("/good", 200)
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    (accepted,) = shared.send(event(app, type="GOOD"))["deliveries"]
    settled(shared, accepted["id"], "delivered")
