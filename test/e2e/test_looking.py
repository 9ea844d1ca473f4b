"""Looking: lists, one delivery, one event, why, metrics, readiness."""

import json
import re
from datetime import datetime, timezone

import pytest

from harness.api import failed
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.server import CANARY
from harness.waiting import eventually

pytestmark = pytest.mark.homes("embedded", "aws")

ITEM = {
    "id", "messageId", "eventId", "appId", "eventType", "transactionId", "url", "status",
    "attempts", "createdAt", "nextAttemptAt", "lastStatusCode", "lastError", "configVersion",
    "replayOf",
}  # fmt: skip
ATTEMPT = {
    "n", "at", "outcome", "statusCode", "error", "durationMs", "phases", "address",
    "responseExcerpt", "advice",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VERDICTS = {"delivered", "waiting", "held", "dead", "skipped", "cancelled", "refused", "unknown"}


def moment(text):
    assert TIME.fullmatch(text), text
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=timezone.utc)


# ── Deliveries ───────────────────────────────────────────────────────────────────────────────────


def test_an_item(shared, receiver, app):
    receiver.script("/hook?token=tail", Reply(500, body=b"oops"))
    subscribe(shared, app, receiver.url("/hook?token=tail"), retry={"schedule": [60]})
    sent = shared.send(event(app, eventId="e-1", transactionId="t-1"))
    (accepted,) = sent["deliveries"]
    attempted(shared, accepted["id"], 1)
    (item,) = shared.deliveries(appId=app)
    assert set(item) == ITEM
    now = datetime.now(timezone.utc)
    assert moment(item["createdAt"]) <= now < moment(item["nextAttemptAt"])
    assert item["lastError"]
    assert item | {"createdAt": 0, "nextAttemptAt": 0, "lastError": 0} == {
        "id": accepted["id"],
        "messageId": sent["id"],
        "eventId": "e-1",
        "appId": app,
        "eventType": TYPE,
        "transactionId": "t-1",
        "url": receiver.url("/hook"),
        "status": "pending",
        "attempts": 1,
        "createdAt": 0,
        "nextAttemptAt": 0,
        "lastStatusCode": 500,
        "lastError": 0,
        "configVersion": 1,
        "replayOf": None,
    }
    one = shared.delivery(accepted["id"])
    assert set(one) == ITEM | {"attemptLog"} and {k: one[k] for k in ITEM} == item


def test_the_attempt_log(shared, receiver, app):
    receiver.script("/", Reply(503, body=b"busy", delay=0.1), 200)
    subscribe(shared, app, receiver.url(), retry={"schedule": [0]})
    (accepted,) = shared.send(event(app))["deliveries"]
    log = settled(shared, accepted["id"], "delivered")["attemptLog"]
    assert [set(a) for a in log] == [ATTEMPT] * 2
    first, second = log
    assert (first["n"], first["outcome"], first["statusCode"]) == (1, "http_error", 503)
    assert (second["n"], second["outcome"], second["statusCode"]) == (2, "success", 200)
    assert first["responseExcerpt"] == "busy" and first["error"] and first["advice"]
    assert second["error"] is None
    assert moment(first["at"]) <= moment(second["at"])
    for attempt in log:
        phases = attempt["phases"]
        assert set(phases) == {"queue", "dns", "connect", "tls", "firstByte", "total"}
        assert all(p is None or p >= 0 for p in phases.values())
        assert attempt["durationMs"] > 0 and phases["total"] > 0
        assert attempt["address"].startswith("127.0.0.1")
    assert first["phases"]["total"] >= 90 and first["durationMs"] >= 90


@pytest.fixture
def sent(shared, receiver, app):
    """Events of two types, two transactions, three fates."""
    receiver.always("/bad", 500)
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    subscribe(shared, app, receiver.url("/bad"), type="DEAD", retry={"schedule": []})
    subscribe(shared, app, receiver.url("/bad"), type="WAIT", retry={"schedule": [60]})
    sent = []
    for n in range(12):
        type = ("GOOD", "DEAD", "WAIT")[n % 3]
        result = shared.send(
            event(app, type=type, eventId=f"e-{n}", transactionId=f"{app}-t-{n % 2}")
        )
        sent.append(result["deliveries"][0]["id"])
    for n, id in enumerate(sent):
        if n % 3 == 2:
            attempted(shared, id, 1)
        else:
            settled(shared, id, ("delivered", "dead")[n % 3])
    return sent


def ids(items):
    return [item["id"] for item in items]


def test_the_list_is_newest_first(shared, app, sent):
    assert ids(shared.deliveries(appId=app)) == sent[::-1]


def test_pages(shared, app, sent):
    for limit in (1, 2, 5, 11, 12, 250):
        assert ids(shared.deliveries(appId=app, limit=limit)) == sent[::-1]
    # What comes while somebody turns pages moves nothing.
    page = shared.get("/v1/deliveries", appId=app, limit=4).result
    shared.send(event(app, type="GOOD"))
    rest = []
    cursor = page["next"]
    while cursor:
        more = shared.get("/v1/deliveries", appId=app, limit=4, cursor=cursor).expect(200).result
        rest += more["items"]
        cursor = more["next"]
    assert ids(page["items"] + rest) == sent[::-1]


@pytest.mark.parametrize(
    "query, wanted",
    [
        ({"eventType": "GOOD"}, lambda n: n % 3 == 0),
        ({"eventType": "NONE"}, lambda n: False),
        ({"status": "delivered"}, lambda n: n % 3 == 0),
        ({"status": "dead"}, lambda n: n % 3 == 1),
        ({"status": "pending"}, lambda n: n % 3 == 2),
        ({"status": "held"}, lambda n: False),
        ({"status": "cancelled"}, lambda n: False),
        ({"eventId": "e-4"}, lambda n: n == 4),
        ({"transactionId": "{app}-t-1"}, lambda n: n % 2 == 1),
        ({"transactionId": "{app}-t-1", "eventType": "DEAD"}, lambda n: n % 2 == 1 and n % 3 == 1),
        ({"url": "{bad}"}, lambda n: n % 3 != 0),
        ({"url": "{bad}", "status": "dead"}, lambda n: n % 3 == 1),
    ],
)
@pytest.mark.parametrize("limit", [None, 2])
def test_filters(shared, receiver, app, sent, query, wanted, limit):
    query = {k: v.format(app=app, bad=receiver.url("/bad")) for k, v in query.items()}
    if limit:
        query["limit"] = limit
    got = ids(shared.deliveries(appId=app, **query))
    assert got == [id for n, id in enumerate(sent) if wanted(n)][::-1]


def test_held_is_told_apart_from_pending(shared, receiver, app):
    """Both are open in the ledger; which of them is held, the configs of now say."""
    receiver.always("/bad", 500)
    ways = {}
    for type in ("WAIT", "HELD"):
        subscribe(shared, app, receiver.url("/bad"), type=type, retry={"schedule": [600]})
        for n in range(3):
            delivery = shared.send(event(app, type=type, eventId=f"{type}-{n}"))["deliveries"][0]
            attempted(shared, delivery["id"], 1)
            ways.setdefault(type, []).insert(0, delivery["id"])
    assert ids(shared.deliveries(appId=app, status="pending")) == ways["HELD"] + ways["WAIT"]
    shared.patch(app, "HELD", isActive=False).expect(200)
    for limit in (1, 2, 250):
        page = {"appId": app, "limit": limit}
        assert ids(shared.deliveries(**page, status="pending")) == ways["WAIT"]
        held = shared.deliveries(**page, status="held")
        assert ids(held) == ways["HELD"] and {i["status"] for i in held} == {"held"}
        assert all(i["nextAttemptAt"] is None for i in held)
        url = receiver.url("/bad")
        assert ids(shared.deliveries(**page, status="held", url=url)) == ways["HELD"]
        assert shared.deliveries(**page, status="held", url=receiver.url("/other")) == []
        assert shared.deliveries(**page, status="held", eventType="WAIT") == []
        assert ids(shared.deliveries(**page, status="held", eventId="HELD-1")) == ways["HELD"][1:2]
    shared.patch(app, "HELD", isActive=True).expect(200)
    assert shared.deliveries(appId=app, status="held") == []


def test_filtered_pages_stand_still(shared, receiver, app, sent):
    """What comes while somebody turns the pages of a filter moves nothing either."""
    query = {"appId": app, "status": "dead", "url": receiver.url("/bad"), "limit": 1}
    got, cursor = [], None
    while True:
        page = shared.get("/v1/deliveries", **query, **({"cursor": cursor} if cursor else {}))
        got += ids(page.expect(200).result["items"])
        cursor = page.result["next"]
        if not cursor:
            break
        new = shared.send(event(app, type="DEAD"))["deliveries"][0]["id"]
        settled(shared, new, "dead")
    assert got == [id for n, id in enumerate(sent) if n % 3 == 1][::-1]


@pytest.mark.only_embedded("one app is looked at at a time")
def test_a_transaction_of_any_app(shared, app, sent):
    got = ids(shared.deliveries(transactionId=f"{app}-t-0"))
    assert got == sent[::2][::-1]
    assert ids(shared.deliveries(appId=app + "-other")) == []


def test_filter_by_time(shared, app, sent):
    items = shared.deliveries(appId=app)
    times = sorted({i["createdAt"] for i in items})
    middle = times[len(times) // 2]
    early = [i["id"] for i in items if i["createdAt"] < middle]
    late = [i["id"] for i in items if i["createdAt"] >= middle]
    assert ids(shared.deliveries(**{"appId": app, "to": middle})) == early
    assert ids(shared.deliveries(**{"appId": app, "from": middle})) == late
    long_ago = {"from": "2001-01-01T00:00:00Z", "to": times[0]}
    assert shared.deliveries(appId=app, **long_ago) == []


@pytest.mark.parametrize(
    "query, word",
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "251"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"status": "done"}, "status"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-01T00:00:00Z"}, "to"),
        ({"appid": "x"}, "appid"),
    ],
)
def test_a_bad_query_is_named(shared, app, query, word):
    failed(shared.get("/v1/deliveries", **{"appId": app, **query}), 400, word)


@pytest.mark.parametrize("id", ["dlv_nothing", "dlv_" + "a" * 26, "msg_" + "a" * 26, "x", "%00"])
def test_a_delivery_nobody_knows(shared, id):
    failed(shared.get(f"/v1/deliveries/{id}"), 404)


# ── Events ───────────────────────────────────────────────────────────────────────────────────────


def test_an_event(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = ('{ "appId":"%s","eventType":"%s","n":1.0e3,"s":"%s"}' % (app, TYPE, CANARY)).encode()
    sent = shared.send(body)
    (accepted,) = sent["deliveries"]
    settled(shared, accepted["id"], "delivered")
    plain = shared.get(f"/v1/events/{sent['id']}").expect(200)
    assert CANARY.encode() not in plain.body
    seen = plain.result
    assert seen["id"] == sent["id"] and seen["appId"] == app and seen["eventType"] == TYPE
    assert ids(seen["deliveries"]) == [accepted["id"]] and seen["skipped"] is None
    assert "payload" not in seen
    shown = shared.get(f"/v1/events/{sent['id']}", payload="true").expect(200)
    assert body in shown.body and shown.result["payload"] == json.loads(body)
    hidden = shared.get(f"/v1/events/{sent['id']}", payload="false").expect(200)
    assert CANARY.encode() not in hidden.body


def test_an_event_by_its_own_id(shared, receiver, app):
    skipped = shared.send(event(app, eventId="e-1"))
    found = shared.get("/v1/events", appId=app, eventId="e-1").expect(200).result
    assert found["id"] == skipped["id"] and found["skipped"] == {"reason": "no_config"}
    subscribe(shared, app, receiver.url())
    routed = shared.send(event(app, eventId="e-1"))
    found = shared.get("/v1/events", appId=app, eventId="e-1").expect(200).result
    assert found["id"] == routed["id"]
    failed(shared.get("/v1/events", appId=app, eventId="e-2"), 404)
    failed(shared.get("/v1/events", appId=app + "x", eventId="e-1"), 404)
    failed(shared.get("/v1/events", appId=app), 400, "eventId")
    for id in ("msg_nothing", "msg_" + "a" * 26, "dlv_" + "a" * 26):
        failed(shared.get(f"/v1/events/{id}"), 404)


# ── Why ──────────────────────────────────────────────────────────────────────────────────────────


def check_story(story):
    assert set(story) == {"verdict", "summary", "events"}
    assert story["verdict"] in VERDICTS and story["summary"]
    assert CANARY not in json.dumps(story)
    for told in story["events"]:
        assert {"id", "verdict", "steps", "next"} <= set(told) and told["verdict"] in VERDICTS
        for step in told["steps"]:
            assert {"at", "what", "detail"} <= set(step) and step["what"]
        at = [moment(s["at"]) for s in told["steps"] if s["at"]]
        assert at == sorted(at)
    return story


def test_why_by_every_id(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    sent = shared.send(event(app, eventId=app + "-e", transactionId=app + "-t"))
    (accepted,) = sent["deliveries"]
    settled(shared, accepted["id"], "delivered")
    for id in (sent["id"], accepted["id"], app + "-e", app + "-t"):
        story = check_story(shared.why(id))
        assert story["verdict"] == "delivered"
        assert [told["id"] for told in story["events"]] == [sent["id"]]


def test_why_each_verdict(shared, receiver, app):
    receiver.always("/bad", 500)
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    subscribe(shared, app, receiver.url("/bad"), type="DEAD", retry={"schedule": []})
    subscribe(shared, app, receiver.url("/bad"), type="WAIT", retry={"schedule": [60]})
    subscribe(shared, app, receiver.url("/bad"), type="HELD", retry={"schedule": [60]})
    subscribe(shared, app, receiver.url("/bad"), type="GONE", retry={"schedule": [60]})
    sent = {}
    for type, attempts in [("GOOD", 1), ("DEAD", 1), ("WAIT", 1), ("HELD", 1), ("GONE", 1)]:
        sent[type] = shared.send(event(app, type=type))
        attempted(shared, sent[type]["deliveries"][0]["id"], attempts)
    sent["NONE"] = shared.send(event(app, type="NONE"))
    shared.patch(app, "HELD", isActive=False).expect(200)
    shared.delete(app, "GONE").expect(200)
    settled(shared, sent["GONE"]["deliveries"][0]["id"], "cancelled", 40)
    verdicts = {t: check_story(shared.why(s["id"]))["verdict"] for t, s in sent.items()}
    assert verdicts == {
        "GOOD": "delivered", "DEAD": "dead", "WAIT": "waiting", "HELD": "held",
        "GONE": "cancelled", "NONE": "skipped",
    }  # fmt: skip


def test_why_the_worst_comes_first(shared, receiver, app):
    receiver.always("/bad", 500)
    subscribe(shared, app, receiver.url("/bad"), type="BAD", retry={"schedule": []})
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    transaction = {"transactionId": app + "-t"}
    good = shared.send(event(app, type="GOOD", **transaction))
    bad = shared.send(event(app, type="BAD", **transaction))
    again = shared.send(event(app, type="GOOD", **transaction))
    settled(shared, bad["deliveries"][0]["id"], "dead")
    for sent in (good, again):
        settled(shared, sent["deliveries"][0]["id"], "delivered")
    story = check_story(shared.why(app + "-t"))
    assert story["verdict"] == "dead"
    assert story["events"][0]["id"] == bad["id"]
    assert {told["id"] for told in story["events"]} == {good["id"], bad["id"], again["id"]}


@pytest.mark.only_embedded("a repeat after a skip is the same event there")
def test_why_of_one_event_id_the_newest_decides(shared, receiver, app):
    shared.send(event(app, eventId=app + "-e"))
    assert check_story(shared.why(app + "-e"))["verdict"] == "skipped"
    subscribe(shared, app, receiver.url())
    sent = shared.send(event(app, eventId=app + "-e"))
    settled(shared, sent["deliveries"][0]["id"], "delivered")
    assert check_story(shared.why(app + "-e"))["verdict"] == "delivered"


def test_why_refused(shared, app):
    shared.post_event(event(app, eventId=app + "-e", transactionId=7)).expect(400)
    assert check_story(shared.why(app + "-e"))["verdict"] == "refused"


@pytest.mark.parametrize("id", ["nobody", "msg_nothing", "msg_" + "a" * 26, "dlv_x", "é/ü?#%"])
def test_why_unknown(shared, id):
    story = check_story(shared.why(id))
    assert story["verdict"] == "unknown" and story["events"] == []


# ── Readiness ────────────────────────────────────────────────────────────────────────────────────

@pytest.mark.only_embedded("there are no files")
def test_file_that_is_damaged(servers, receiver, app):
    """It is set aside: a log line names it, a metric counts it, and events go on."""
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    server.api.send(event(app, eventId="before"))
    receiver.one()
    assert "gwh_store_files_damaged 0\n" in server.api.get("/metrics").body.decode()
    server.stop()
    file = server.data / "00000001.seg"
    file.write_bytes(file.read_bytes()[:4096] + b"\xaa" * (file.stat().st_size - 4096))
    other = servers(data=server.data).start()
    assert "gwh_store_files_damaged 1\n" in other.api.get("/metrics").body.decode()
    (line,) = other.logged("store_segment_set_aside")
    assert line["file"] == str(file)
    other.api.get("/readyz").expect(200)
    other.api.send(event(app, eventId="after"))
    assert receiver.one()


def test_ready_and_alive(server):
    api = server.api
    alive, ready = api.get("/healthz").expect(200), api.get("/readyz").expect(200)
    assert alive.headers["content-type"].startswith("application/json") and alive.json
    assert ready.headers["content-type"].startswith("application/json")
    assert ready.json["oldestDueAgeMs"] == 0


@pytest.mark.only_embedded("the worker has what is due")
def test_readiness_tells_the_age_of_what_is_due(server, receiver, app):
    """One slot, and it hangs: what is behind it is due and does not start."""
    api = server.api
    receiver.always("/", Reply(hang=True))
    subscribe(api, app, receiver.url(), maxInFlight=1, retry={"schedule": [], "timeoutMs": 30000})
    for _ in range(3):
        api.send(event(app))
    receiver.one()
    eventually(lambda: api.get("/readyz").expect(200).json["oldestDueAgeMs"] > 100)
