"""Events in: what is taken, what is refused and how, that bytes stay bytes."""

import json
import re
import socket
import threading

import pytest

from harness.api import Api, failed
from harness.events import TYPE, event, settled, subscribe
from harness.raw import answers, request_head
from harness.server import CANARY
from harness.waiting import eventually, seconds

MIB = 1024 * 1024
ID = re.compile(r"msg_[A-Za-z0-9]{8,}")
DELIVERY_ID = re.compile(r"dlv_[A-Za-z0-9]{8,}")


# ── 202 ──────────────────────────────────────────────────────────────────────────────────────────


def test_answer_of_an_accepted_event(shared, receiver, app):
    subscribe(shared, app, receiver.url("/hook?token=tail"))
    answer = shared.post_event(event(app, eventId="e-1")).expect(202)
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    result = answer.result
    assert answer.json == {"statusCode": 202, "status": "success", "result": result}
    (delivery,) = result["deliveries"]
    assert result == {
        "id": result["id"],
        "eventId": "e-1",
        "duplicate": False,
        "deliveries": [{"id": delivery["id"], "url": receiver.url("/hook")}],
        "skipped": None,
    }
    assert ID.fullmatch(result["id"]) and DELIVERY_ID.fullmatch(delivery["id"])
    request = receiver.one()
    assert request.path == "/hook?token=tail" and request.id == result["id"]


def test_event_without_an_event_id(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    first, second = shared.send(event(app)), shared.send(event(app))
    assert first["eventId"] is None and first["id"] != second["id"]
    assert not first["duplicate"] and not second["duplicate"]
    receiver.wait(2)


@pytest.mark.parametrize("field", ["eventId", "transactionId", "workflowId", "eventTime"])
def test_null_in_an_optional_field_is_absent(shared, receiver, app, field):
    subscribe(shared, app, receiver.url())
    result = shared.send(event(app, **{field: None}))
    assert result["eventId"] is None and len(result["deliveries"]) == 1


# ── 400, 413 ─────────────────────────────────────────────────────────────────────────────────────


def object_with(app, tail):
    return f'{{"appId":"{app}","eventType":"{TYPE}","note":"{CANARY}",{tail}}}'.encode()


@pytest.mark.parametrize(
    "make",
    [
        lambda app: b"",
        lambda app: b"   ",
        lambda app: b"hello",
        lambda app: b"[]",
        lambda app: b'"text"',
        lambda app: b"null",
        lambda app: b"[" + json.dumps(event(app)).encode() + b"]",
        lambda app: json.dumps(event(app)).encode()[:-1],
        lambda app: json.dumps(event(app)).encode() + b"x",
        lambda app: json.dumps(event(app)).encode() * 2,
        lambda app: object_with(app, "'single':1"),
        lambda app: object_with(app, '"trailing":1,'),
        lambda app: object_with(app, '"n":01'),
        lambda app: object_with(app, '"n":NaN'),
        lambda app: object_with(app, '"n":1 /* comment */'),
        lambda app: object_with(app, '"tab":"a\tb"'),
        lambda app: object_with(app, '"nul":"a\0b"'),
        lambda app: object_with(app, '"n":1') + b"\0",
        lambda app: object_with(app, '"surrogate":"\\ud800"'),
        lambda app: object_with(app, '"bad":"@"').replace(b"@", b"\xff"),
        lambda app: object_with(app, '"overlong":"@"').replace(b"@", b"\xc0\xaf"),
        lambda app: object_with(app, '"surrogate":"@"').replace(b"@", b"\xed\xa0\x80"),
        lambda app: object_with(app, '"cut":"@"').replace(b"@", b"\xe2\x82"),
        lambda app: b"\xef\xbb\xbf" + json.dumps(event(app)).encode(),
        lambda app: json.dumps(event(app)).encode("utf-16"),
    ],
    ids=[
        "empty", "blank", "word", "array", "string", "null", "event-in-array", "cut", "trailing",
        "two", "single-quotes", "trailing-comma", "leading-zero", "nan", "comment", "raw-tab",
        "raw-nul", "nul-behind", "lone-surrogate", "bad-utf8", "overlong", "utf8-surrogate",
        "cut-utf8", "bom", "utf16",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(shared, app, make):
    failed(shared.post_event(make(app)), 400)


@pytest.mark.parametrize("field", ["appId", "eventType"])
@pytest.mark.parametrize(
    "value", [None, 1, True, ["a"], {"a": 1}, "", "x" * 257, "a\u0000b", "a\nb", "\u007f"],
    ids=["null", "number", "bool", "array", "object", "empty", "long", "nul", "newline", "del"],
)  # fmt: skip
def test_a_bad_required_field_is_named(shared, app, field, value):
    failed(shared.post_event(event(app) | {field: value}), 400, field)


@pytest.mark.parametrize("field", ["appId", "eventType"])
def test_a_missing_required_field_is_named(shared, app, field):
    body = event(app)
    del body[field]
    failed(shared.post_event(body), 400, field)


@pytest.mark.parametrize("field", ["eventId", "transactionId", "workflowId", "eventTime"])
@pytest.mark.parametrize(
    "value", [1, False, [], {}, "x" * 257, "a\rb"],
    ids=["number", "bool", "array", "object", "long", "control"],
)  # fmt: skip
def test_a_bad_optional_field_is_named(shared, app, field, value):
    if field == "eventTime" and value == 1:
        return  # free form: see below
    failed(shared.post_event(event(app, **{field: value})), 400, field)


@pytest.mark.parametrize("value", [1764000000, 1764000000.25, -1, "yesterday, at noon", None])
def test_an_event_time_is_free_form(shared, app, value):
    shared.post_event(event(app, eventTime=value)).expect(202)


def test_names_are_counted_in_characters(shared, app):
    shared.post_event(event(app, eventId="\u4e2d" * 256)).expect(202)
    failed(shared.post_event(event(app, eventId="\u4e2d" * 257)), 400, "eventId")


@pytest.mark.parametrize(
    "tail",
    ['"appId":"other"', '"x":1,"x":1', '"x":1,"\\u0078":2', '"\\u0061ppId":"other"', '"note":0'],
)
def test_a_repeated_key_is_refused(shared, app, tail):
    failed(shared.post_event(object_with(app, tail)), 400)


def test_a_repeated_key_further_down_is_the_payloads_business(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = object_with(app, '"inner":{"x":1,"x":2,"appId":0}')
    shared.send(body)
    assert receiver.one().body == body


def test_depth(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    deep = object_with(app, '"deep":' + "[" * 63 + "]" * 63)  # and the event itself: 64
    shared.send(deep)
    assert receiver.one().body == deep
    failed(shared.post_event(object_with(app, '"deep":' + "[" * 64 + "]" * 64)), 400)
    failed(shared.post_event(object_with(app, '"deep":' + '{"a":' * 64 + "1" + "}" * 64)), 400)
    failed(shared.post_event(object_with(app, '"deep":' + "[" * 100_000 + "]" * 100_000)), 400)


def padded(app, size):
    body = object_with(app, '"pad":""')
    return body.replace(b'"pad":""', b'"pad":"' + b"x" * (size - len(body)) + b'"')


def test_the_largest_event(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    largest = padded(app, MIB)
    shared.send(largest)
    assert receiver.one().body == largest
    failed(shared.post_event(padded(app, MIB + 1)), 413)


def test_the_largest_event_is_a_setting(servers, app):
    api = servers("--max-body-bytes", 2000).start().api
    api.send(padded(app, 2000))
    failed(api.post_event(padded(app, 2001)), 413)
    # Not only what is announced: what comes in chunks, too.
    head = request_head(api, "transfer-encoding: chunked")
    chunks = b"".join(b"%x\r\n%s\r\n" % (1000, b" " * 1000) for _ in range(5))
    assert api.raw(head + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_refused_event_leaves_nothing(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    failed(shared.post_event(event(app, eventId="e-1", transactionId=7)), 400)
    assert shared.deliveries(appId=app) == []
    shared.get("/v1/events", appId=app, eventId="e-1").expect(404)
    assert not shared.send(event(app, eventId="e-1"))["duplicate"]


# ── The same again ───────────────────────────────────────────────────────────────────────────────


def test_duplicate(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    first = shared.send(event(app, eventId="e-1", n=1))
    again = shared.post_event(event(app, eventId="e-1", n=1)).expect(202).result
    assert again["id"] == first["id"] and again["duplicate"] is True
    assert again["deliveries"] == [] and not again.get("payloadDiffers")
    changed = shared.post_event(event(app, eventId="e-1", n=2)).expect(202).result
    assert changed["id"] == first["id"] and changed["duplicate"] is True
    assert changed["deliveries"] == [] and changed["payloadDiffers"] is True
    last = shared.send(event(app, eventId="e-2"))
    receiver.one(id=last["id"])
    assert len(receiver.requests(id=first["id"])) == 1
    assert len(shared.deliveries(appId=app)) == 2


def test_white_space_makes_another_payload(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = object_with(app, '"eventId":"e-1"')
    shared.send(body)
    assert shared.send(body + b"\n")["payloadDiffers"] is True


def test_the_event_id_counts_within_its_app(shared, receiver, app):
    for name in (app, app + "-b"):
        subscribe(shared, name, receiver.url())
        assert not shared.send(event(name, eventId="e-1"))["duplicate"]


def test_the_event_id_counts_over_all_types(shared, receiver, app):
    subscribe(shared, app, receiver.url(), type="*")
    first = shared.send(event(app, type="A", eventId="e-1"))
    again = shared.send(event(app, type="B", eventId="e-1"))
    assert again["duplicate"] and again["id"] == first["id"]


def test_a_duplicate_after_a_restart(servers, receiver, app):
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    first = server.api.send(event(app, eventId="e-1"))
    settled(server.api, first["deliveries"][0]["id"], "delivered")
    server.restart()
    again = server.api.send(event(app, eventId="e-1"))
    assert again["duplicate"] and again["id"] == first["id"]


def test_the_dedupe_window_is_a_setting(servers, receiver, app):
    api = servers("--dedupe-window", 1).start().api
    subscribe(api, app, receiver.url())
    first = api.send(event(app, eventId="e-1"))["id"]
    eventually(
        lambda: not api.send(event(app, eventId="e-1"))["duplicate"], what="the window is over"
    )
    assert len({r.id for r in receiver.wait(2)}) == 2
    assert receiver.requests()[0].id == first


def test_a_skipped_event_blocks_no_repeat(shared, receiver, app):
    skipped = shared.send(event(app, eventId="e-1"))
    assert skipped["skipped"] == {"reason": "no_config"} and skipped["deliveries"] == []
    assert not shared.send(event(app, eventId="e-1"))["duplicate"]
    subscribe(shared, app, receiver.url())
    routed = shared.send(event(app, eventId="e-1"))
    assert not routed["duplicate"] and len(routed["deliveries"]) == 1
    assert receiver.one().id == routed["id"] != skipped["id"]
    again = shared.send(event(app, eventId="e-1"))
    assert again["duplicate"] and again["id"] == routed["id"]


def test_the_same_event_from_many_at_once_is_one(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    results, barrier = [], threading.Barrier(16)

    def post():
        with shared.connect() as connection:
            barrier.wait(seconds(20))
            body = event(app, eventId="e-1")
            results.append(connection.call("POST", "/v1/events", body).expect(202).result)

    threads = [threading.Thread(target=post) for _ in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 16 and len({r["id"] for r in results}) == 1
    assert sum(not r["duplicate"] for r in results) == 1
    assert len(shared.deliveries(appId=app)) == 1
    last = shared.send(event(app))
    receiver.one(id=last["id"])
    assert len(receiver.requests()) == 2


# ── Routing ──────────────────────────────────────────────────────────────────────────────────────


def test_no_config(shared, receiver, app):
    subscribe(shared, app, receiver.url(), type="OTHER")
    result = shared.send(event(app))
    assert result["skipped"] == {"reason": "no_config"} and result["deliveries"] == []
    kept = shared.event(result["id"])
    assert kept["skipped"] == {"reason": "no_config"}


def test_inactive(shared, receiver, app):
    subscribe(shared, app, receiver.url(), isActive=False)
    result = shared.send(event(app))
    assert result["skipped"] == {"reason": "inactive"} and result["deliveries"] == []
    shared.patch(app, TYPE, isActive=True).expect(200)
    routed = shared.send(event(app))
    assert routed["skipped"] is None
    assert receiver.one().id == routed["id"]


def test_star_takes_what_has_no_config_of_its_own(shared, receiver, app):
    subscribe(shared, app, receiver.url("/star"), type="*")
    subscribe(shared, app, receiver.url("/own"), type="OWN")
    own, other = shared.send(event(app, type="OWN")), shared.send(event(app, type="ANY"))
    assert receiver.one("/own").id == own["id"]
    assert receiver.one("/star").id == other["id"]
    shared.patch(app, "OWN", isActive=False).expect(200)
    assert shared.send(event(app, type="OWN"))["skipped"] == {"reason": "inactive"}


@pytest.mark.parametrize("spelling", ["workflows", "worfklows"])
def test_workflows(shared, receiver, app, spelling):
    routes = {"w-1": [receiver.url("/a"), receiver.url("/b?x=1")], "w-2": [receiver.url("/c")]}
    subscribe(shared, app, receiver.url("/default"), **{spelling: routes})
    result = shared.config(app, TYPE).expect(200).result
    assert result["workflows"] == routes and "worfklows" not in result

    both = shared.send(event(app, workflowId="w-1"))
    assert {d["url"] for d in both["deliveries"]} == {receiver.url("/a"), receiver.url("/b")}
    assert receiver.one("/a").id == receiver.one("/b?x=1").id == both["id"]
    one = shared.send(event(app, workflowId="w-2"))
    assert receiver.one("/c").id == one["id"]
    unknown, none = shared.send(event(app, workflowId="w-3")), shared.send(event(app))
    assert {r.id for r in receiver.wait(2, "/default")} == {unknown["id"], none["id"]}
    assert len(receiver.requests()) == 5


def test_one_target_of_a_workflow_fails_alone(shared, receiver, app):
    routes = {"w": [receiver.url("/good"), receiver.url("/bad")]}
    receiver.script("/bad", 500, 500)
    subscribe(shared, app, receiver.url(), workflows=routes, retry={"schedule": [0, 0, 0]})
    result = shared.send(event(app, workflowId="w"))
    for delivery in result["deliveries"]:
        settled(shared, delivery["id"], "delivered")
    assert len(receiver.requests("/good")) == 1 and len(receiver.requests("/bad")) == 3
    assert {r.id for r in receiver.requests()} == {result["id"]}


# ── Bytes ────────────────────────────────────────────────────────────────────────────────────────

ODD = [
    ' \t\r\n{ "appId"\t:\r\n"%s" , "eventType":"T" }\n\n',
    '{"appId":"%s","eventType":"T","n":[1.0,1e400,-0,12345678901234567890123456789,1E+2,0.10]}',
    r'{"appId":"%s","eventType":"T","s":"\u0041\/\"\\\b\f\n\r\t\u00e9\ud83d\ude00\u0000"}',
    '{"appId":"%s","eventType":"T","s":"é 漢字 😀 \u2028 \ufeff \u202e \u0085"}',
    '{"z":1,"appId":"%s","a":{},"eventType":"T","":[],"\\u0000":null}',
    r'{"\u0061ppId":"%s","eventType":"\u0054"}',
]


@pytest.mark.parametrize("template", ODD)
def test_the_client_gets_the_producers_bytes(shared, receiver, app, template):
    subscribe(shared, app, receiver.url(), type="T")
    body = (template % app).encode()
    result = shared.send(body)
    assert receiver.one().body == body
    seen = shared.get(f"/v1/events/{result['id']}", payload="true").expect(200)
    assert body.strip() in seen.body


@pytest.mark.parametrize(
    "before, after",
    [
        ('{"appId":"@","eventType":"T"}', '{"eventType":"T"}'),
        ('{"eventType":"T","appId":"@"}', '{"eventType":"T"}'),
        ('{"a":1,"appId":"@","eventType":"T"}', '{"a":1,"eventType":"T"}'),
        ('{ "appId" : "@" , "eventType":"T" }', '{  "eventType":"T" }'),
        ('{\n  "eventType": "T",\n  "appId": "@"\n}\n', '{\n  "eventType": "T"\n}\n'),
        ('{\n  "appId": "@",\n  "eventType": "T"\n}', '{\n  "eventType": "T"\n}'),
        (
            '{"n":1.50e+10,"\\u0061ppId":"@","eventType":"T","s":"\\u0041\\/é"}',
            '{"n":1.50e+10,"eventType":"T","s":"\\u0041\\/é"}',
        ),
        (
            '{"eventType":"T","inner":{"appId":"x"},"list":[{"appId":1}],"appId":"@"}',
            '{"eventType":"T","inner":{"appId":"x"},"list":[{"appId":1}]}',
        ),
    ],
)
def test_the_app_id_is_removed_to_the_byte(shared, receiver, app, before, after):
    subscribe(shared, app, receiver.url(), type="T", deleteAppId=True)
    shared.send(before.replace("@", app).encode())
    assert receiver.one().body == after.encode()


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────


def test_many_events_over_one_connection(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    with shared.connect() as connection:
        sent = [
            connection.call("POST", "/v1/events", event(app, n=n)).expect(202).result["id"]
            for n in range(200)
        ]
        socket_number = connection.http.sock.fileno()
        connection.call("GET", "/healthz").expect(200)
        assert connection.http.sock.fileno() == socket_number
    assert len(set(sent)) == 200
    assert {r.id for r in receiver.wait(200)} == set(sent)


def test_events_from_many_threads(shared, receiver, app):
    apps = [f"{app}-{n}" for n in range(8)]
    for name in apps:
        subscribe(shared, name, receiver.url(f"/{name}"))
    sent = {name: {} for name in apps}

    def post(name):
        with shared.connect() as connection:
            for n in range(40):
                body = json.dumps(event(name, n=n, eventId=f"e-{n}")).encode()
                result = connection.call("POST", "/v1/events", body).expect(202).result
                sent[name][result["id"]] = body

    threads = [threading.Thread(target=post, args=(name,)) for name in apps]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for name in apps:
        receiver.wait(40, f"/{name}")
        eventually(lambda: not shared.deliveries(appId=name, status="pending"))
        requests = receiver.requests(f"/{name}")
        assert {r.id: r.body for r in requests} == sent[name] and len(requests) == 40


def test_pipelined_requests_are_answered_in_order(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    stream = b""
    for n in range(20):
        body = json.dumps(event(app, eventId=f"e-{n}")).encode()
        stream += request_head(shared, f"content-length: {len(body)}") + body
    stream += request_head(shared, "connection: close", path="/healthz", method="GET")
    got = answers(shared.raw(stream, until_close=False))
    assert [status for status, _ in got] == [202] * 20 + [200]
    assert [json.loads(b)["result"]["eventId"] for _, b in got[:20]] == [
        f"e-{n}" for n in range(20)
    ]
    receiver.wait(20)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_in_chunks(shared, receiver, app, size):
    subscribe(shared, app, receiver.url())
    body = json.dumps(event(app)).encode()
    stream = request_head(shared, "transfer-encoding: chunked", "connection: close")
    for at in range(0, len(body), size):
        part = body[at : at + size]
        stream += b"%x;ext=1\r\n%s\r\n" % (len(part), part)
    ((status, _),) = answers(shared.raw(stream + b"0\r\ntrailer: x\r\n\r\n", until_close=False))
    assert status == 202
    assert receiver.one().body == body


def test_a_request_that_comes_byte_by_byte(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = json.dumps(event(app)).encode()
    stream = request_head(shared, f"content-length: {len(body)}", "connection: close") + body
    with socket.create_connection(shared.address, timeout=seconds(15)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream:
            sock.sendall(bytes([byte]))
        assert sock.recv(4096).startswith(b"HTTP/1.1 202 ")
    receiver.one()


def test_expect_continue(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = json.dumps(event(app)).encode()
    head = request_head(
        shared, f"content-length: {len(body)}", "expect: 100-continue", "connection: close"
    )
    with socket.create_connection(shared.address, timeout=seconds(15)) as sock:
        sock.sendall(head)
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"hello\r\n\r\n", 400),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (
            b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
            b"transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            400,
        ),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n", 413),
    ],
    ids=["no-http", "no-colon", "negative-length", "two-lengths", "long-header", "huge-length"],
)
def test_what_is_no_good_request_gets_an_envelope(shared, request_bytes, status):
    ((got, body),) = answers(shared.raw(request_bytes))
    assert got == status
    answer = json.loads(body)
    assert answer == {"statusCode": status, "status": "failed", "error": answer["error"]}


def test_unknown_path(shared):
    for path in ("/v1/nothing", "/v2/events", "/v1/events/", "/v1/deliveries/x/retry/y"):
        failed(shared.get(path), 404)


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("PUT", "/v1/events", {"GET", "POST"}),
        ("DELETE", "/v1/events", {"GET", "POST"}),
        ("PUT", "/v1/config", {"POST", "GET", "PATCH", "DELETE"}),
        ("POST", "/v1/deliveries", {"GET"}),
        ("GET", "/v1/deliveries/dlv_x/retry", {"POST"}),
        ("POST", "/metrics", {"GET"}),
        ("POST", "/healthz", {"GET"}),
    ],
)
def test_wrong_method(shared, method, path, allowed):
    answer = failed(shared.call(method, path), 405)
    told = {m.strip() for m in answer.headers["allow"].split(",")}
    assert told - {"HEAD", "OPTIONS"} == allowed


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/deliveries"])
def test_head_is_get_without_a_body(shared, path):
    answer = shared.call("HEAD", path).expect(200)
    assert answer.body == b""
    got = shared.get(path).expect(200)
    assert answer.headers["content-type"] == got.headers["content-type"]


# ── Who may call ─────────────────────────────────────────────────────────────────────────────────

UNKNOWN = {"statusCode": 401, "status": "failed", "error": "Missing/Invalid credentials"}
FOREIGN = {"statusCode": 403, "status": "failed", "error": "IP not whitelisted"}


@pytest.mark.parametrize(
    "change",
    [
        lambda h: {},
        lambda h: {"appid": h["appid"]},
        lambda h: {"appkey": h["appkey"]},
        lambda h: h | {"appkey": h["appkey"][:-1]},
        lambda h: h | {"appkey": h["appkey"] + "x"},
        lambda h: h | {"appkey": ""},
        lambda h: h | {"appid": "other"},
        lambda h: {"authorization": "Bearer x.y.z"},
    ],
    ids=["none", "no-key", "no-id", "short", "long", "empty", "other", "bearer"],
)
def test_credentials(shared, app, change):
    sent = change(dict(shared.headers))
    anybody = Api(shared.address, "")
    anybody.headers = sent
    for method, path in [("POST", "/v1/events"), ("GET", "/v1/config"), ("GET", "/v1/why/x")]:
        answer = anybody.call(method, path, event(app) if method == "POST" else None)
        assert answer.expect(401).json == UNKNOWN
    for path in ("/healthz", "/readyz", "/metrics"):
        anybody.get(path).expect(200)


def test_a_key_of_the_operators_own(servers, app):
    server = servers(env={"GWH_ADMIN_KEY": "operator:0123456789-canary-7c1f-key"}).start()
    server.api.send(event(app))
    Api(server.address, "operator:wrong").post_event(event(app)).expect(401)
    assert not (server.data / "admin.key").exists()


def test_addresses_that_may_not_call(servers, app):
    server = servers(env={"ALLOWED_IPS": "203.0.113.7,10.0.0.0/8"}).start()
    for path in ("/v1/events", "/metrics", "/nothing"):
        assert server.api.get(path).expect(403).json == FOREIGN
    assert server.api.post_event(event(app)).expect(403).json == FOREIGN
    for path in ("/healthz", "/readyz"):
        server.api.get(path).expect(200)


def test_the_forwarded_address_counts_from_trusted_proxies_only(servers, app):
    allowed = {"env": {"ALLOWED_IPS": "203.0.113.0/24"}}
    plain = servers(**allowed).start().api
    behind = servers("--trusted-proxies", "127.0.0.1,192.0.2.0/24", **allowed).start().api

    def status(api, *values):
        with api.connect() as connection:
            connection.http.putrequest("GET", "/v1/deliveries")
            for name, value in api.headers.items():
                connection.http.putheader(name, value)
            for value in values:
                connection.http.putheader("x-forwarded-for", value)
            connection.http.endheaders()
            return connection.http.getresponse().status

    assert status(plain, "203.0.113.7") == 403
    assert status(behind) == 403
    assert status(behind, "203.0.113.7") == 200
    assert status(behind, "203.0.113.7, 198.51.100.1") == 403
    assert status(behind, "198.51.100.1, 203.0.113.7") == 200
    assert status(behind, "203.0.113.7, 192.0.2.4") == 200
    assert status(behind, "203.0.113.7", "198.51.100.1") == 403
    assert status(behind, "garbage") == 403


def test_any_address(servers, app):
    servers(env={"ALLOWED_IPS": "*"}).start().api.send(event(app))
