"""Many events in one request: each line is taken and answered as if it had come alone."""

import json
import socket
import time

import pytest

from harness.api import Api, failed
from harness.events import TYPE, event, subscribe
from harness.raw import answers, request_head
from harness.server import CANARY
from harness.waiting import eventually, seconds

PATH = "/v1/events/batch"
MIB = 1024 * 1024


def ndjson(*lines):
    """Lines of events, texts or bytes."""
    encoded = [
        line if isinstance(line, bytes) else line.encode() if isinstance(line, str)
        else json.dumps(line).encode()
        for line in lines
    ]  # fmt: skip
    return b"".join(line + b"\n" for line in encoded)


def post(api, body, **kwargs):
    return api.call("POST", PATH, body, {"content-type": "application/x-ndjson"}, **kwargs)


def lines_of(answer):
    """The envelope of each line."""
    answer.expect(200)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    found = [json.loads(line) for line in answer.body[:-1].split(b"\n")]
    for line in found:
        good = line["statusCode"] == 202
        later = {"retryAfter"} if line["statusCode"] in (429, 503) else set()
        assert line.keys() == {"statusCode", "status", "result" if good else "error"} | later, line
        assert line["status"] == ("success" if good else "failed")
        assert good or CANARY not in line["error"]
    return found


def statuses(answer):
    return [line["statusCode"] for line in lines_of(answer)]


# ── Lines ────────────────────────────────────────────────────────────────────────────────────────


def test_good_and_bad_lines(shared, receiver, app):
    """The answers stand in the order of the lines, and each is that of its own event."""
    subscribe(shared, app, receiver.url("/hook?token=tail"))
    subscribe(shared, app, receiver.url("/off"), type="OFF", isActive=False)
    answer = post(
        shared,
        ndjson(
            event(app, eventId="e-0"),
            b'{"appId":',
            event(app, eventId="e-2", type="NOBODY"),
            event(app, eventId="e-3", type="OFF"),
            b"",
            event(app, eventId="e-0"),
            event(app, eventId="e-0", more=1),
            {**event(app), "eventType": 7},
            event(app, eventId="e-8", pad="x" * MIB),
            b"\xff",
            b"[]",
        )
        + json.dumps(event(app, eventId="last")).encode(),
    )
    lines = lines_of(answer)
    assert [line["statusCode"] for line in lines] == [
        202, 400, 202, 202, 400, 202, 202, 400, 413, 400, 400, 202,
    ]  # fmt: skip
    first = lines[0]["result"]
    (delivery,) = first["deliveries"]
    assert first == {
        "id": first["id"],
        "eventId": "e-0",
        "duplicate": False,
        "deliveries": [{"id": delivery["id"], "url": receiver.url("/hook")}],
        "skipped": None,
    }
    assert lines[2]["result"]["skipped"] == {"reason": "no_config"}
    assert lines[3]["result"]["skipped"] == {"reason": "inactive"}
    again = {"id": first["id"], "eventId": "e-0", "duplicate": True, "deliveries": []}
    assert lines[5]["result"] == {**again, "skipped": None}
    assert lines[6]["result"] == {**again, "skipped": None, "payloadDiffers": True}
    assert "eventType" in lines[7]["error"] and "1048576" in lines[8]["error"]
    last = lines[11]["result"]
    assert last["eventId"] == "last"
    assert {r.id for r in receiver.wait(2, "/hook?token=tail")} == {first["id"], last["id"]}
    eventually(lambda: not shared.deliveries(appId=app, status="pending"))
    assert len(shared.deliveries(appId=app)) == 2


def test_bytes_stay_bytes(shared, receiver, app):
    """Also between CR LF, and white space around an event belongs to it."""
    subscribe(shared, app, receiver.url())
    texts = [
        f'{{"appId":"{app}","eventType":"{TYPE}","n":{n},"x" : 1.0e2, "u":"\\u00e9é"}}'.encode()
        for n in range(3)
    ]
    sent = [texts[0] + b"\r\n", b"  " + texts[1] + b" \t\r\n", texts[2] + b"\r"]
    assert statuses(post(shared, b"".join(sent))) == [202] * 3
    assert {r.body for r in receiver.wait(3)} == {texts[0], b"  " + texts[1] + b" \t", texts[2]}


def test_an_event_over_several_lines_is_several_bad_lines(shared, app):
    assert statuses(post(shared, json.dumps(event(app), indent=1))) == [400] * 5


@pytest.mark.parametrize("shards", [1, 3])
def test_a_thousand_lines(servers, receiver, app, shards):
    """Of several apps; each pair with one eventId is one event, whichever shard takes it."""
    server = servers(shards=shards).start()
    apps = [f"{app}-{n}" for n in range(3)]
    for name in apps:
        subscribe(server.api, name, receiver.url(f"/{name}"))
    sent = [event(apps[n % 3], eventId=f"e-{n // 6}-{n % 3}", n=n // 6) for n in range(1000)]
    lines = lines_of(post(server.api, ndjson(*sent)))
    assert [line["result"]["eventId"] for line in lines] == [e["eventId"] for e in sent]
    ids = {}
    for e, line in zip(sent, lines):
        result = line["result"]
        assert result["duplicate"] == (e["eventId"] in ids)
        assert ids.setdefault(e["eventId"], result["id"]) == result["id"]
        assert "payloadDiffers" not in result
    assert len(ids) == 501
    again = lines_of(post(server.api, ndjson(*sent)))
    assert all(line["result"]["duplicate"] for line in again)
    assert [a["result"]["id"] for a in again] == [a["result"]["id"] for a in lines]
    eventually(lambda: {r.id for r in receiver.requests()} == set(ids.values()))
    eventually(lambda: not server.api.deliveries(status="pending"))
    assert len(receiver.requests()) == 501


# ── The whole ────────────────────────────────────────────────────────────────────────────────────


def test_more_lines_than_a_batch_may_have(shared, app):
    failed(post(shared, ndjson(*[event(app)] * 1001)), 413, "1000", "1001")
    failed(post(shared, b"\n" * 1001), 413)
    assert statuses(post(shared, b"\n" * 1000)) == [400] * 1000
    assert shared.deliveries(appId=app) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_more_bytes_than_a_batch_may_have(shared, receiver, app, chunked):
    subscribe(shared, app, receiver.url())
    most = ndjson(*[padded(app, MIB - 1, n) for n in range(8)])
    assert len(most) == 8 * MIB

    def body(whole):  # http.client sends what it iterates over in chunks
        return (whole[at : at + 50_000] for at in range(0, len(whole), 50_000))

    headers = {"content-type": "application/x-ndjson"}
    with shared.connect() as connection:
        http = connection.http
        for whole, status in [(most, 200), (most + b"\n", 413)]:
            sent = body(whole) if chunked else whole
            more = {**connection.headers, **headers}
            http.request("POST", PATH, sent, more, encode_chunked=chunked)
            reply = http.getresponse()
            told = reply.read()
            assert reply.status == status, told
            if status == 200:
                assert [json.loads(line)["statusCode"] for line in told.splitlines()] == [202] * 8
    assert json.loads(told)["status"] == "failed" and b"8388608" in told
    assert {len(r.body) for r in receiver.wait(8)} == {MIB - 1}


def padded(app, size, number):
    empty = json.dumps(event(app, eventId=f"e-{number}", pad=""))
    return json.dumps(event(app, eventId=f"e-{number}", pad="x" * (size - len(empty))))


def test_nothing_at_all(shared):
    failed(post(shared, b""), 400, "empty")
    failed(shared.call("POST", PATH), 400, "empty")
    for method in ("GET", "PUT"):  # it is no event of that id
        answer = failed(shared.call(method, PATH), 405)
        assert answer.headers["allow"] == "POST"


def test_without_a_key(shared, app):
    with shared.connect() as connection:
        connection.headers = {}
        failed(connection.call("POST", PATH, ndjson(event(app)) * 3), 401)


def test_keys_of_one_app(shared, app):
    """A producer's key speaks for its app, line by line; another role's for none."""

    def key(role):
        body = {"roles": [role], "scope": app}
        made = shared.call("POST", "/v1/keys", body).expect(201).result
        return Api(shared.address, f"{made['appid']}:{made['appkey']}")

    lines = ndjson(event(app), event(f"{app}-other"), event(app))
    answer = post(key("producer"), lines)
    assert statuses(answer) == [202, 403, 202]
    assert "appId" in lines_of(answer)[1]["error"]
    failed(post(key("client"), lines), 403, "producer")


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────


def read_answer(sock):
    got = b""
    while part := sock.recv(65536):
        got += part
    return answers(got)


def test_a_batch_that_comes_slowly(servers, receiver, app):
    """Taken when it is whole; others are served meanwhile."""
    server = servers(shards=1).start()
    subscribe(server.api, app, receiver.url())
    body = ndjson(*[event(app, n=n, pad="x" * 2000) for n in range(200)])
    head = request_head(server.api, f"content-length: {len(body)}", "connection: close", path=PATH)
    with socket.create_connection(server.address, timeout=seconds(30)) as sock:
        sock.sendall(head)
        for at in range(0, len(body), 16_384):
            sock.sendall(body[at : at + 16_384])
            server.api.send(event(app, type="OTHER"))
        ((status, told),) = read_answer(sock)
    assert status == 200 and len(told.splitlines()) == 200
    receiver.wait(200)


def test_a_batch_that_does_not_come_to_an_end(servers, app):
    server = servers("--request-timeout", 1).start()
    body = ndjson(*[event(app, type="NOBODY")] * 3)
    head = request_head(server.api, f"content-length: {len(body)}", path=PATH)
    with socket.create_connection(server.address, timeout=seconds(20)) as sock:
        sock.sendall(head + body[:-1])
        ((status, told),) = read_answer(sock)
    assert status == 408 and json.loads(told)["status"] == "failed"
    assert b"gwh_events_received_total 0\n" in server.api.get("/metrics").body


def test_a_sender_that_leaves(servers, receiver, app):
    """What was sent whole is taken, though nobody is there for the answer."""
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    body = ndjson(*[event(app, n=n) for n in range(500)])
    with socket.create_connection(server.address) as sock:
        sock.sendall(request_head(server.api, f"content-length: {len(body)}", path=PATH) + body)
    receiver.wait(500)
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"))
    assert len(server.api.deliveries(appId=app)) == 500


def test_batches_that_were_sent_together(shared, app):
    """Pipelined, the answers come in the order of the requests."""
    bodies = [ndjson(*[event(app, eventId=f"{b}-{n}") for n in range(b)]) for b in (1, 300, 2, 9)]
    bodies.insert(1, b"\n")
    raw = b"".join(
        request_head(shared, f"content-length: {len(body)}", path=PATH) + body for body in bodies
    )
    found = answers(shared.raw(raw))
    assert [(s, len(told.splitlines())) for s, told in found] == [
        (200, 1), (200, 1), (200, 300), (200, 2), (200, 9),
    ]  # fmt: skip


# ── Too much ─────────────────────────────────────────────────────────────────────────────────────


def test_more_lines_than_the_queue_holds(servers, receiver, app):
    """A batch never fills the queue by itself: it goes slower instead."""
    server = servers("--queue-max", 64, "--memory-deliveries", 64).start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [0] * 5})
    sent = ndjson(*[event(app, eventId=f"b-{n}") for n in range(1000)])
    assert statuses(post(server.api, sent)) == [202] * 1000
    receiver.wait(1000, timeout=60)
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"), 60)
    assert len({r.id for r in receiver.requests()}) == len(receiver.requests()) == 1000


def test_more_than_an_app_may_send(servers, app):
    """What is above its rate is told so line by line, other apps' lines are taken, and whoever waits
    as long as told is taken too."""
    rate = 5
    server = servers("--intake-rate", rate).start()
    other = f"{app}-other"
    begin = time.monotonic()
    sent = [event(app, eventId=f"e-{n}", type="NOBODY") for n in range(60)]
    answer = post(server.api, ndjson(*sent, event(other)))
    took = time.monotonic() - begin
    *lines, last = lines_of(answer)
    assert last["statusCode"] == 202
    told = [line["statusCode"] for line in lines]
    assert set(told) == {202, 429}
    assert rate <= told.count(202) <= rate * (1 + took) + 1
    assert all(line["retryAfter"] >= 1 for line in lines if line["statusCode"] == 429)
    assert int(answer.headers["retry-after"]) == max(line.get("retryAfter", 0) for line in lines)
    single = failed(server.api.post_event(sent[-1]), 429, "appId", str(rate))
    time.sleep(int(single.headers["retry-after"]))
    assert not server.api.send(sent[-1])["duplicate"]
