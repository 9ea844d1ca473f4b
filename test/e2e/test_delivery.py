"""What a client receives, and what becomes of a delivery when the client misbehaves."""

import json
import re
import threading
import time
from email.utils import formatdate

import pytest

from harness import signature
from harness.api import failed
from harness.dns import NameServer
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.tls import Authority
from harness.waiting import eventually

pytestmark = pytest.mark.homes("embedded", "aws")

SOON = {"schedule": [0]}  # one more try, at once
NEVER = {"schedule": []}  # no more tries


def one(api, app, **more):
    """Sends an event that goes to one target: (event id, delivery id)."""
    result = api.send(event(app, **more))
    (delivery,) = result["deliveries"]
    return result["id"], delivery["id"]


# ── What comes ───────────────────────────────────────────────────────────────────────────────────


def test_headers(shared, receiver, app):
    made = subscribe(
        shared, app, receiver.url("/hook?a=b"), headers={"X-Tenant": "é 1", "authorization": "B x"}
    )
    before = int(time.time())
    body = json.dumps(event(app)).encode()
    id = shared.send(body)["id"]
    request = receiver.one()
    assert request.started == b"POST /hook?a=b HTTP/1.1\r\n"
    assert request.body == body
    assert request.header("content-type") == "application/json"
    assert request.header("content-length") == str(len(body))
    assert request.header("host") == f"127.0.0.1:{receiver.port}"
    assert re.fullmatch(r"generic-webhook/\d+\.\d+\.\d+\S*", request.header("user-agent"))
    assert request.id == id
    assert before <= int(request.header("webhook-timestamp")) <= int(time.time())
    assert request.header("webhook-event-type") == TYPE
    assert request.header("webhook-attempt") == "1"
    assert request.header("webhook-replay") is None
    assert request.header("x-tenant").encode("latin-1").decode() == "é 1"
    assert request.header("authorization") == "B x"
    for name in ("expect", "transfer-encoding", "cookie", "x-webhook-signature"):
        assert request.header(name) is None
    signature.check(request, made["secret"])


def test_clients_can_verify_it(shared, receiver, app):
    """Two Python libraries, by hand, and JavaScript's library; and not with another secret."""
    made = subscribe(shared, app, receiver.url())
    shared.send('{"appId":"%s","eventType":"%s","s":"é 漢 \\u00e9 😀"}' % (app, TYPE))
    request = receiver.one()
    signature.check(request, made["secret"])
    signature.check_with_node(request, made["secret"])
    assert not signature.is_signed(request, "whsec_" + "A" * 44)


def test_each_attempt_has_its_own_time_and_signature(shared, receiver, app):
    receiver.script("/", 500, 500)
    made = subscribe(shared, app, receiver.url(), retry={"schedule": [2, 0]})
    id, delivery = one(shared, app)
    settled(shared, delivery, "delivered")
    requests = receiver.requests()
    assert [r.attempt for r in requests] == [1, 2, 3]
    assert {r.id for r in requests} == {id} and len({r.body for r in requests}) == 1
    for request in requests:
        signature.check(request, made["secret"])
        assert abs(request.wall - int(request.header("webhook-timestamp"))) < 60
    first, second = (int(r.header("webhook-timestamp")) for r in requests[:2])
    assert second > first


def test_over_ipv6(servers, receivers, app):
    try:
        receiver = receivers(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    api = servers("--allow-nets", "::1/128").start().api
    made = subscribe(api, app, receiver.url())
    _, delivery = one(api, app)
    (attempt,) = settled(api, delivery, "delivered")["attemptLog"]
    assert "::1" in attempt["address"]
    request = receiver.one()
    assert request.header("host") == f"[::1]:{receiver.port}"
    signature.check(request, made["secret"])


def test_connections_are_used_again(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    for _ in range(20):
        one(shared, app)
        receiver.wait(1)
    requests = receiver.wait(20)
    assert len({r.connection for r in requests}) < 20


def test_a_connection_the_client_closed_while_idle(shared, receiver, app):
    """Costs no attempt."""
    receiver.always("/", Reply(close=True))
    subscribe(shared, app, receiver.url(), retry=NEVER)
    for _ in range(10):
        _, delivery = one(shared, app)
        assert settled(shared, delivery, "delivered")["attempts"] == 1


def test_a_kept_connection_that_breaks(shared, receiver, app):
    """It may have been dead before the request: sent once more on a new one, and no more."""
    receiver.script("/", 200, 200, Reply(reset=True), 200)
    subscribe(shared, app, receiver.url(), retry=NEVER)
    for _ in range(2):  # the first, to a target that is new, leaves a connection for such alone
        settled(shared, one(shared, app)[1], "delivered")
    id, delivery = one(shared, app)
    assert settled(shared, delivery, "delivered")["attempts"] == 1
    assert [r.attempt for r in receiver.requests(id=id)] == [1, 1]
    receiver.always("/", Reply(reset=True))
    id, delivery = one(shared, app)
    (attempt,) = settled(shared, delivery, "dead")["attemptLog"]
    assert attempt["outcome"] == "reset" and len(receiver.requests(id=id)) == 2


# ── What counts as delivered ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_success(shared, receiver, app, status):
    receiver.always("/", status)
    subscribe(shared, app, receiver.url(), retry=NEVER)
    _, delivery = one(shared, app)
    log = settled(shared, delivery, "delivered")["attemptLog"]
    assert [(a["outcome"], a["statusCode"]) for a in log] == [("success", status)]


RAW_SUCCESS = {
    "no-body-no-length": b"HTTP/1.1 200 OK\r\n\r\n",
    "body-until-close": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "cut-body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
    "cut-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhello",
    "garbage-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n\r\n",
    "http-1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "no-reason": b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    "after-100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "after-103": b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "binary-body": b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\x00\xfe\x01",
    "bad-gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("raw", RAW_SUCCESS.values(), ids=RAW_SUCCESS)
def test_the_status_decides_whatever_the_body_does(shared, receiver, app, raw):
    receiver.always("/", Reply(raw=raw))
    subscribe(shared, app, receiver.url(), retry=NEVER)
    _, delivery = one(shared, app)
    settled(shared, delivery, "delivered")


def test_a_body_that_never_ends(shared, receiver, app):
    receiver.always("/", Reply(headers={"content-length": "100"}, body=b"part"))
    receiver.always("/endless", Reply(body=b"x" * 10_000_000))
    retry = {"schedule": [], "timeoutMs": 1000}
    subscribe(shared, app, receiver.url(), retry=retry)
    subscribe(shared, app, receiver.url("/endless"), type="ENDLESS", retry=retry)
    for type in (TYPE, "ENDLESS"):
        _, delivery = one(shared, app, type=type)
        settled(shared, delivery, "delivered")


@pytest.mark.parametrize("status, end", [(200, "delivered"), (413, "dead")])
def test_an_answer_before_the_body_was_read(shared, receiver, app, status, end):
    receiver.always("/", Reply(status))
    receiver.early.add("/")
    subscribe(shared, app, receiver.url(), retry=NEVER)
    _, delivery = one(shared, app, pad="x" * 900_000)
    (attempt,) = settled(shared, delivery, end)["attemptLog"]
    assert attempt["statusCode"] == status


def test_the_excerpt_of_an_answer(shared, receiver, app, excerpt_bytes):
    receiver.script("/", Reply(500, body=b"why: " + b"x" * 5000), Reply(400, body=b"\xff\x00bad"))
    subscribe(shared, app, receiver.url(), retry=SOON)
    _, delivery = one(shared, app)
    log = settled(shared, delivery, "dead")["attemptLog"]
    assert log[0]["responseExcerpt"].startswith("why: xxx")
    assert len(log[0]["responseExcerpt"]) == excerpt_bytes
    assert "bad" in log[1]["responseExcerpt"]


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "status", [301, 302, 307, 308, 400, 401, 404, 408, 409, 422, 500, 502, 599]
)
def test_http_errors_are_retried_until_the_schedule_is_over(shared, receiver, app, status):
    receiver.always("/", Reply(status, headers={"location": receiver.url("/elsewhere")}))
    subscribe(shared, app, receiver.url(), retry={"schedule": [0, 0]})
    _, delivery = one(shared, app)
    dead = settled(shared, delivery, "dead")
    assert dead["attempts"] == 3 and dead["lastStatusCode"] == status
    assert dead["nextAttemptAt"] is None
    log = dead["attemptLog"]
    assert [a["n"] for a in log] == [1, 2, 3]
    assert {(a["outcome"], a["statusCode"]) for a in log} == {("http_error", status)}
    assert all(a["advice"] for a in log)
    assert [r.attempt for r in receiver.requests("/")] == [1, 2, 3]
    assert receiver.requests("/elsewhere") == []


def test_the_schedule(shared, receiver, app):
    receiver.always("/", 503)
    subscribe(shared, app, receiver.url(), retry={"schedule": [1, 2]})
    _, delivery = one(shared, app)
    attempted(shared, delivery, 1)
    waiting = shared.delivery(delivery)
    assert waiting["status"] == "pending" and waiting["nextAttemptAt"] > waiting["createdAt"]
    settled(shared, delivery, "dead")
    at = [r.at for r in receiver.requests()]
    assert len(at) == 3
    assert at[1] - at[0] >= 0.8 and at[2] - at[1] >= 1.6  # jitter takes a fifth at most


def test_410_is_the_end(shared, receiver, app):
    receiver.always("/", 410)
    subscribe(shared, app, receiver.url(), retry={"schedule": [0, 0, 0]})
    _, delivery = one(shared, app)
    dead = settled(shared, delivery, "dead")
    assert dead["attempts"] == 1 and dead["lastStatusCode"] == 410
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(shared, receiver, app, status, form):
    def reply(request):
        if request.attempt > 1:
            return Reply()
        date = formatdate(int(request.wall) + 3, usegmt=True)
        return Reply(status, headers={"Retry-After": "2" if form == "seconds" else date})

    receiver.always("/", reply)
    subscribe(shared, app, receiver.url(), retry=SOON)
    _, delivery = one(shared, app)
    settled(shared, delivery, "delivered")
    first, second = receiver.requests()
    if form == "seconds":
        assert second.at - first.at >= 1.99  # times are whole milliseconds
    else:
        assert second.wall >= int(first.wall) + 3


def test_retry_after_counts_for_those_two_only(shared, receiver, app):
    receiver.script("/", Reply(500, headers={"retry-after": "43200"}))
    subscribe(shared, app, receiver.url(), retry=SOON)
    settled(shared, one(shared, app)[1], "delivered")


@pytest.mark.parametrize("value", ["", "soon", "-5", "99999999999999999999", "1.5", "1, 2"])
def test_a_strange_retry_after(shared, receiver, app, value):
    """Harmless, and at most 12 h."""
    receiver.script("/", Reply(503, headers={"retry-after": value}))
    subscribe(shared, app, receiver.url(), retry=SOON)
    _, delivery = one(shared, app)
    attempted(shared, delivery, 1)
    if value.startswith("999"):
        waiting = shared.delivery(delivery)
        assert waiting["status"] == "pending" and waiting["nextAttemptAt"] is not None
    else:
        settled(shared, delivery, "delivered")


def failure(api, app, url, outcome, **retry):
    """The only attempt's record of an event sent there."""
    subscribe(api, app, url, retry={"schedule": [], **retry})
    _, delivery = one(api, app)
    dead = settled(api, delivery, "dead")
    (attempt,) = dead["attemptLog"]
    assert attempt["outcome"] == outcome, attempt
    assert attempt["error"] and attempt["advice"] and dead["lastError"]
    return attempt


def test_timeout(shared, receiver, app):
    receiver.always("/", Reply(hang=True))
    attempt = failure(shared, app, receiver.url(), "timeout", timeoutMs=1000)
    assert attempt["statusCode"] is None and attempt["durationMs"] >= 1000


def test_timeout_inside_the_headers(shared, receiver, app):
    receiver.always("/", Reply(raw=b"HTTP/1.1 200 OK\r\nx: y\r\n", hang=True))
    failure(shared, app, receiver.url(), "timeout", timeoutMs=1000)


def test_end_inside_the_headers(shared, receiver, app):
    receiver.always("/", Reply(raw=b"HTTP/1.1 200 OK\r\nx: y\r\n"))
    failure(shared, app, receiver.url(), "reset")


def test_reset(shared, receiver, app):
    receiver.always("/", Reply(reset=True))
    assert failure(shared, app, receiver.url(), "reset")["statusCode"] is None


def test_end_without_an_answer(shared, receiver, app):
    receiver.always("/", Reply(raw=b""))
    failure(shared, app, receiver.url(), "reset")


GARBAGE = {
    "no-http": b"hello, who is there?\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "bad-status": b"HTTP/1.1 abc OK\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    "no-colon": b"HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n",
    "negative-length": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
    "length-and-chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_garbage(shared, receiver, app, raw):
    receiver.always("/", Reply(raw=raw))
    failure(shared, app, receiver.url(), "protocol")


def test_endless_headers(shared, receiver, app):
    raw = b"HTTP/1.1 200 OK\r\n" + b"x-header: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 100_000
    receiver.always("/", Reply(raw=raw))
    failure(shared, app, receiver.url(), "protocol")


def test_a_refused_connection(shared, receiver, app):
    receiver.down()
    attempt = failure(shared, app, receiver.url(), "connect")
    assert attempt["statusCode"] is None
    receiver.up()


def test_a_refused_connection_heals(shared, receiver, app):
    receiver.down()
    subscribe(shared, app, receiver.url(), retry={"schedule": [1, 1, 1, 1, 1, 1, 1, 1]})
    _, delivery = one(shared, app)
    attempted(shared, delivery, 1)
    receiver.up()
    assert settled(shared, delivery, "delivered")["attempts"] >= 2


def test_a_name_that_does_not_resolve(servers, receiver, app):
    names = NameServer()
    try:
        names.names["hook.test"] = ["127.0.0.1"]
        api = servers("--name-servers", names.address).start().api
        url = f"http://hook.test:{receiver.port}/"
        subscribe(api, app, url, retry={"schedule": [0]})
        _, first = one(api, app)
        settled(api, first, "delivered")
        assert receiver.one().header("host") == f"hook.test:{receiver.port}"
        attempt = failure(api, app + "-b", f"http://nobody.test:{receiver.port}/", "dns")
        assert attempt["address"] is None
    finally:
        names.close()


def test_a_name_that_turns_inward(servers, receiver, app):
    """To an allowed address when it was stored, to another when it counts."""
    names = NameServer()
    try:
        names.names["hook.test"] = ["127.0.0.2"]  # where nobody listens
        flags = ["--allow-http", "--allow-ports", "*", "--allow-nets", "127.0.0.2/32"]
        flags += ["--name-servers", names.address]
        api = servers(*flags, lenient=False).start().api
        subscribe(api, app, f"http://hook.test:{receiver.port}/", retry=NEVER)
        names.names["hook.test"] = ["127.0.0.1"]

        def outcome():
            (attempt,) = settled(api, one(api, app)[1], "dead")["attemptLog"]
            return attempt["outcome"]

        # Until the answer of before has left the cache.
        eventually(lambda: outcome() == "blocked")
        assert receiver.requests() == []
    finally:
        names.close()


def test_an_address_that_is_allowed_no_more(servers, receiver, app):
    """Stored while it was allowed; the guard is asked again at each attempt."""
    server = servers("--allow-http", "--allow-ports", "*", lenient=False)
    server.start("--allow-nets", "127.0.0.0/8")
    subscribe(server.api, app, receiver.url(), retry=NEVER)
    settled(server.api, one(server.api, app)[1], "delivered")
    server.restart()
    _, delivery = one(server.api, app)
    (attempt,) = settled(server.api, delivery, "dead")["attemptLog"]
    assert attempt["outcome"] == "blocked" and attempt["statusCode"] is None
    assert len(receiver.requests()) == 1


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


def test_tls(servers, receivers, tmp_path, app):
    authority = Authority(tmp_path)
    good = receivers(tls=authority.server())
    other_address = receivers(tls=authority.server("127.0.0.2"))
    run_out = receivers(tls=authority.server(days=-1))
    plain = receivers()

    trusting = servers("--ca-file", authority.file).start().api
    made = subscribe(trusting, app, good.url(), retry=NEVER)
    _, delivery = one(trusting, app)
    (attempt,) = settled(trusting, delivery, "delivered")["attemptLog"]
    assert attempt["phases"]["tls"] > 0
    signature.check(good.one(), made["secret"])
    failure(trusting, app + "-a", other_address.url(), "tls")
    failure(trusting, app + "-b", run_out.url(), "tls")
    failure(trusting, app + "-c", f"https://127.0.0.1:{plain.port}/", "tls")

    failure(servers().start().api, app, good.url(), "tls")
    assert len(good.requests()) == 1
    assert other_address.requests() == run_out.requests() == plain.requests() == []


# ── By hand ──────────────────────────────────────────────────────────────────────────────────────


def test_a_dead_delivery_comes_back_by_hand(shared, receiver, app):
    receiver.script("/", 500, 500)
    subscribe(shared, app, receiver.url(), retry=NEVER)
    id, delivery = one(shared, app)
    settled(shared, delivery, "dead")
    answer = shared.retry(delivery).expect(202)
    assert answer.json["status"] == "success" and answer.json["statusCode"] == 202
    attempted(shared, delivery, 2)
    settled(shared, delivery, "dead")  # one attempt, no schedule
    shared.retry(delivery).expect(202)
    done = settled(shared, delivery, "delivered")
    assert done["attempts"] == 3 and [a["n"] for a in done["attemptLog"]] == [1, 2, 3]
    assert [r.attempt for r in receiver.requests()] == [1, 2, 3]
    assert {r.id for r in receiver.requests()} == {id}
    failed(shared.retry(delivery), 409, "delivered")


def test_410_can_be_tried_again_by_hand(shared, receiver, app):
    receiver.script("/", 410)
    subscribe(shared, app, receiver.url())
    _, delivery = one(shared, app)
    settled(shared, delivery, "dead")
    shared.retry(delivery).expect(202)
    settled(shared, delivery, "delivered")


def test_by_hand_beside_the_schedule(shared, receiver, app):
    receiver.script("/", 500, 500)
    subscribe(shared, app, receiver.url(), retry={"schedule": [3]})
    _, delivery = one(shared, app)
    attempted(shared, delivery, 1)
    due = shared.delivery(delivery)["nextAttemptAt"]
    shared.retry(delivery).expect(202)
    attempted(shared, delivery, 2)
    waiting = shared.delivery(delivery)
    assert waiting["status"] == "pending" and waiting["nextAttemptAt"] == due
    done = settled(shared, delivery, "delivered")  # the schedule's step was still there
    assert done["attempts"] == 3
    first, _, third = receiver.requests()
    assert third.at - first.at >= 2.4


def test_by_hand_while_it_is_under_way(shared, receiver, app):
    hold = threading.Event()
    receiver.always("/", Reply(hold=hold))
    subscribe(shared, app, receiver.url())
    _, delivery = one(shared, app)
    receiver.one()
    shared.retry(delivery).expect(202)
    shared.retry(delivery).expect(202)
    hold.set()
    settled(shared, delivery, "delivered")
    assert all(r.attempt in (1, 2) for r in receiver.requests())


def test_by_hand_under_an_inactive_config(shared, receiver, app):
    receiver.always("/", 500)
    subscribe(shared, app, receiver.url(), retry=NEVER)
    _, delivery = one(shared, app)
    settled(shared, delivery, "dead")
    shared.patch(app, TYPE, isActive=False).expect(200)
    failed(shared.retry(delivery), 409, "inactive")
    shared.delete(app, TYPE).expect(200)
    failed(shared.retry(delivery), 409, "config")


def test_by_hand_what_nobody_knows(shared):
    for id in ("dlv_nothing", "dlv_" + "a" * 26, "x"):
        failed(shared.retry(id), 404)


# ── A failing target slows nobody else ───────────────────────────────────────────────────────────


def test_a_hanging_target_holds_nobody(shared, receivers, app):
    """Neither another app nor another target of the same app, though much waits for it."""
    hanging, healthy = receivers(), receivers()
    hanging.always("/", Reply(hang=True))
    retry = {"schedule": [60], "timeoutMs": 30000}
    subscribe(shared, app, hanging.url(), type="HANGING", retry=retry)
    subscribe(shared, app, healthy.url("/same"), type="HEALTHY")
    others = [f"{app}-{n}" for n in range(4)]  # on either shard
    for name in others:
        subscribe(shared, name, healthy.url(f"/{name}"), type="HEALTHY")
    for _ in range(100):
        shared.send(event(app, type="HANGING"))
    hanging.wait(1)
    for name in [app, *others]:
        for _ in range(20):
            shared.send(event(name, type="HEALTHY"))
    for name in ["same", *others]:
        healthy.wait(20, f"/{name}")
    assert shared.deliveries(appId=app, eventType="HANGING", status="delivered") == []
    hanging.close()
    shared.delete(app, "HANGING").expect(200)


def test_one_workflow_target_that_hangs(shared, receiver, app):
    receiver.always("/bad", Reply(hang=True))
    urls = [receiver.url("/bad"), receiver.url("/good")]
    retry = {"schedule": [], "timeoutMs": 1000}
    subscribe(shared, app, receiver.url(), workflows={"w": urls}, retry=retry)
    for _ in range(10):
        shared.send(event(app, workflowId="w"))
    receiver.wait(10, "/good")


def test_max_in_flight(shared, receiver, app):
    hold = threading.Event()
    receiver.always("/", Reply(hold=hold))
    subscribe(shared, app, receiver.url(), maxInFlight=3)
    for _ in range(30):
        shared.send(event(app))
    receiver.wait(1)
    hold.set()
    receiver.wait(30)
    eventually(lambda: not shared.deliveries(appId=app, status="pending"))
    assert receiver.most_under_way["/"] <= 3
    # More of them at once than it began with, now that it is known to answer.
    again = threading.Event()
    receiver.always("/", Reply(hold=again))
    for _ in range(30):
        shared.send(event(app))
    eventually(lambda: receiver.under_way["/"] == 3)
    again.set()
    receiver.wait(60)
    assert receiver.most_under_way["/"] == 3


def test_of_two_configs_of_one_target_the_smaller_limit_holds(shared, receiver, app):
    hold = threading.Event()
    receiver.always("/", Reply(hold=hold))
    subscribe(shared, app, receiver.url(), type="A", maxInFlight=10)
    subscribe(shared, app, receiver.url(), type="B", maxInFlight=1)
    for n in range(20):
        shared.send(event(app, type="AB"[n % 2]))
    receiver.wait(1)
    hold.set()
    receiver.wait(20)
    assert receiver.most_under_way["/"] == 1


def test_a_limit_that_is_lowered(shared, receiver, app):
    subscribe(shared, app, receiver.url(), maxInFlight=10)
    for _ in range(20):
        shared.send(event(app))
    receiver.wait(20)
    eventually(lambda: not shared.deliveries(appId=app, status="pending"))
    shared.patch(app, TYPE, maxInFlight=1).expect(200)
    hold = threading.Event()
    receiver.most_under_way.clear()
    receiver.always("/", Reply(hold=hold))
    for _ in range(10):
        shared.send(event(app))
    receiver.wait(21)
    hold.set()
    receiver.wait(30)
    assert receiver.most_under_way["/"] == 1
