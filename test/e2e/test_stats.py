"""What /v1/stats says of a small known traffic, to whom, and how `gwh stats` and `gwh targets` show
it."""

import json
import re
import time
from types import SimpleNamespace

import pytest

from harness.access import make_key
from harness.api import failed
from harness.cli import failed as complained
from harness.cli import said
from harness.events import event, settled, subscribe
from harness.golden import compare
from harness.receiver import Reply
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(120))

HOUR, DAY = 3600, 86400
NEVER = {"schedule": []}
COUNTS = ("received", "delivered", "failedAttempts", "dead", "skipped")


def at(unix):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))


def items(api, **query):
    return api.get("/v1/stats", **query).expect(200).result["items"]


def counts(api, **query):
    """By type; over all buckets, for an hour may end meanwhile."""
    sums = {}
    for item in items(api, **query):
        of = sums.setdefault(item["eventType"], dict.fromkeys(COUNTS, 0))
        for name in COUNTS:
            of[name] = None if item[name] is None else of[name] + item[name]
    return {type: tuple(of.values()) for type, of in sums.items()}


def counted(api, wanted, **query):
    def says():
        assert counts(api, **query) == wanted
        return True

    eventually(says, what=f"the statistics say {wanted}")


def traffic(api, app, receiver):
    """Every fate there is; the deliveries by type."""
    receiver.always("/good", 200)
    receiver.script("/again", 503, 503)
    receiver.always("/bad", 500)
    subscribe(api, app, receiver.url("/good?token=t0ken"), "GOOD")
    subscribe(api, app, receiver.url("/again"), "AGAIN", retry={"schedule": [0, 0]})
    subscribe(api, app, receiver.url("/bad"), "BAD", retry={"schedule": [0]})
    subscribe(api, app, receiver.url("/good"), "OFF", isActive=False)
    subscribe(api, app, receiver.url("/good"), "NO", filter={"eventId": [{"exists": False}]})
    workflows = {"w": [receiver.url("/good"), receiver.url("/bad")]}
    subscribe(api, app, receiver.url("/good"), "BOTH", retry=NEVER, workflows=workflows)
    sent = {}
    for number, type in enumerate(["GOOD"] * 3 + ["AGAIN", "BAD", "OFF", "NO", "NOBODY", "BOTH"]):
        body = event(app, type, eventId=f"{app}-{number}", workflowId="w")
        result = api.send(body)
        sent[type] = result["deliveries"]
        if type == "GOOD":
            assert api.send(body)["duplicate"]
    return SimpleNamespace(sent=sent, url=receiver.url)


#           received, delivered, failedAttempts, dead, skipped
ALL = {
    "GOOD": (3, 3, 0, 0, 0),
    "AGAIN": (1, 1, 2, 0, 0),
    "BAD": (1, 0, 2, 1, 0),
    "OFF": (1, 0, 0, 0, 1),
    "NO": (1, 0, 0, 0, 1),
    "NOBODY": (1, 0, 0, 0, 1),
    "BOTH": (1, 1, 1, 1, 0),
}
GOOD = {"GOOD": (None, 3, 0, 0, None), "BOTH": (None, 1, 0, 0, None)}
BAD = {"BAD": (None, 0, 2, 1, None), "BOTH": (None, 0, 1, 1, None)}


def test_known_traffic(server, app, receiver):
    api = server.api
    did = traffic(api, app, receiver)
    counted(api, ALL, appId=app)
    for end in (server.kill, server.stop):
        end()
        server.start()
        api = server.api
        assert counts(api, appId=app) == ALL
        assert counts(api, appId=app, eventType="BAD") == {"BAD": ALL["BAD"]}
        assert counts(api, appId=app, url=did.url("/good")) == GOOD
        assert counts(api, appId=app, url=did.url("/good?token=other")) == GOOD
        assert counts(api, appId=app, url=did.url("/bad")) == BAD
        assert counts(api, appId=app, url=did.url("/bad"), eventType="BAD") == {"BAD": BAD["BAD"]}
        assert counts(api, appId=app, url=did.url("/none")) == {}
    told = api.get("/v1/stats", appId=app, url=did.url("/good?token=t0ken"))
    assert b"t0ken" not in told.body
    assert {item["url"] for item in told.result["items"]} == {did.url("/good")}
    assert {item["url"] for item in items(api, appId=app)} == {None}
    ledger = api.get("/v1/ledger", appId=app, full="true").result
    assert ledger["closes"] and ledger["recount"]["agrees"]
    assert ledger["deliveries"]["delivered"] == sum(of[1] for of in ALL.values())


def test_a_retry_by_hand(server, app, receiver):
    """It takes the dead one back, at its URL; then its attempt counts where that goes."""
    api = server.api
    old, new = receiver.url("/old"), receiver.url("/new")
    receiver.always("/old", 500)
    subscribe(api, app, old, "T", retry=NEVER)
    (delivery,) = api.send(event(app, "T"))["deliveries"]
    settled(api, delivery["id"], "dead")
    assert counts(api, appId=app, url=old) == {"T": (None, 0, 1, 1, None)}
    api.patch(app, "T", webhookUrl=new).expect(200)
    api.retry(delivery["id"]).expect(202)
    settled(api, delivery["id"], "delivered")
    assert counts(api, appId=app, url=old) == {"T": (None, 0, 1, 0, None)}
    assert counts(api, appId=app, url=new) == {"T": (None, 1, 0, 0, None)}
    assert counts(api, appId=app) == {"T": (1, 1, 1, 0, 0)}


def test_rates_and_latencies(server, app, receiver):
    """Percentiles are those of deliveries, so of the tries before them too."""
    receiver.script("/", 500)
    subscribe(server.api, app, receiver.url("/"), "T", retry={"schedule": [1]})
    (delivery,) = server.api.send(event(app, "T"))["deliveries"]
    settled(server.api, delivery["id"], "delivered")
    server.restart()  # what was not written yet is written
    (item,) = items(server.api, appId=app)
    assert item["successRate"] == 0.5
    assert 700 < item["p50Ms"] == item["p95Ms"] == item["p99Ms"] < seconds(20) * 1000
    server.api.send(event(app, "NOBODY"))
    (item,) = items(server.api, appId=app, eventType="NOBODY")
    assert [item[name] for name in ("successRate", "p50Ms", "p95Ms", "p99Ms")] == [None] * 4


def test_ranges(shared, app):
    now = time.time()
    hour, day = now // HOUR * HOUR, now // DAY * DAY
    shared.send(event(app))
    assert len(items(shared, appId=app)) == 1
    assert len(items(shared, appId=app, bucket="day")) == 1
    two_hours = {"from": at(hour), "to": at(hour + 2 * HOUR)}  # it may end meanwhile
    (item,) = items(shared, appId=app, **two_hours)
    assert item["bucket"] in (at(hour)[:-1] + ".000Z", at(hour + HOUR)[:-1] + ".000Z")
    assert items(shared, appId=app, to=at(hour)) == []
    assert items(shared, appId=app, **{"from": at(hour + 2 * HOUR), "to": at(hour + 3 * HOUR)}) == []
    two_days = {"from": at(day), "to": at(day + 2 * DAY), "bucket": "day"}
    (item,) = items(shared, appId=app, **two_days)
    assert item["bucket"] in (at(day)[:-1] + ".000Z", at(day + DAY)[:-1] + ".000Z")
    assert items(shared, appId=app, bucket="day", to=at(day)) == []
    told = shared.get("/v1/stats", appId=app, to="2026-01-31T00:00:00Z").result
    assert told["from"] == "2026-01-30T00:00:00.000Z"
    told = shared.get("/v1/stats", appId=app, to="2026-01-31T00:00:00Z", bucket="day").result
    assert told["from"] == "2026-01-24T00:00:00.000Z"


@pytest.mark.parametrize(
    "query, error",
    [
        ({"bucket": "week"}, "bucket: must be hour or day"),
        ({"from": "2026-01-01T00:30:00Z"},
         "from: must be a whole hour, such as 2026-01-31T12:00:00Z"),
        ({"to": "2026-01-01T01:00:00Z", "bucket": "day"},
         "to: must be a whole day (UTC), such as 2026-01-31T00:00:00Z"),
        ({"to": "2026-01-01T00:00:00+01:00", "bucket": "day"},
         "to: must be a whole day (UTC), such as 2026-01-31T00:00:00Z"),
        ({"from": "yesterday"},
         "from: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)"),
        ({"from": "2026-01-01T01:00:00Z", "to": "2026-01-01T01:00:00Z"}, "from: must be before to"),
        ({"url": ""}, "url: must not be empty; leave it out"),
        ({"limit": "5"}, 'unknown query parameter "limit"; there are: appId, eventType, url, from, '
                         "to, bucket"),
    ],
)  # fmt: skip
def test_refusals(shared, query, error):
    assert failed(shared.get("/v1/stats", **query), 400).error == error


def test_who_may_see_it(shared, app):
    """Each its own app, whether it says so or not; an admin all."""
    other = app + "-other"
    for name in (app, app, other):
        shared.send(event(name, "T"))
    for role in ("client", "viewer"):
        _, own = make_key(shared, role, scope=app)
        for query in ({}, {"appId": app}):
            assert {i["appId"] for i in items(own, **query)} == {app}
            assert counts(own, **query) == {"T": (2, 0, 0, 0, 2)}
        failed(own.get("/v1/stats", appId=other), 404, "there is no such app")
    _, producer = make_key(shared, "producer", scope=app)
    failed(producer.get("/v1/stats"), 403, "client")
    assert {app, other} <= {i["appId"] for i in items(shared)}
    assert counts(shared, appId=other) == {"T": (1, 0, 0, 0, 1)}


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────

SAME = [
    (r"\d{4}-\d\d-\d\dT\d\d:00:00.000Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:00", "HOUR"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\d+(\.\d)? m?s\b", "LATENCY"),
    (r"\b\d+[sm]\b", "SPAN"),
    (r" {2,}", "  "),  # as wide as what stood there
]


def same(text):
    for pattern, word in SAME:
        text = re.sub(pattern, word, text)
    return text


def early_in_the_hour():
    """No hour ends while a table is made."""
    eventually(lambda: time.time() % HOUR < HOUR - 30, 60)


def test_tables(server, receiver, request):
    early_in_the_hour()
    app = "acme"
    did = traffic(server.api, app, receiver)
    counted(server.api, ALL, appId=app)
    server.restart()
    shown = said(server.cli("stats", "--app", app))
    compare(request, "stats", same(shown))
    shown = said(server.cli("stats", "--app", app, "--bucket", "day", "--type", "GOOD"))
    compare(request, "stats_day", same(shown))
    shown = said(server.cli("stats", "--app", app, "--url", did.url("/bad")))
    compare(request, "stats_url", same(shown))
    assert said(server.cli("stats", "--app", "nobody")).endswith("\n\nnothing\n")
    told = json.loads(said(server.cli("stats", "--app", app, "--json")))["result"]
    assert told["items"] == items(server.api, appId=app)
    complained(server.cli("stats", "--bucket", "week"), 2, "--bucket", "hour or day", "week")
    complained(server.cli("stats", "--from", "2026-01-01T00:10:00Z"), 1, "from", "whole hour")


def test_targets(server, receiver, request):
    app = "acme"
    receiver.script("/gone?token=t0ken", Reply(status=410))
    receiver.always("/bad", 500)
    subscribe(server.api, app, receiver.url("/gone?token=t0ken"), "GONE")
    subscribe(server.api, app, receiver.url("/bad"), "BAD", retry={"schedule": [3600]})
    subscribe(server.api, app, receiver.url("/new"), "NEW")
    settled(server.api, server.api.send(event(app, "GONE"))["deliveries"][0]["id"], "dead")
    (held,) = server.api.send(event(app, "GONE"))["deliveries"]
    server.api.send(event(app, "BAD"))

    def states():
        told = server.api.get("/v1/targets", appId=app).result["items"]
        assert [(t["state"], t["inFlight"]) for t in told] == [
            ("failing", 0), ("disabled", 0), ("ok", 0)
        ]  # fmt: skip
        return True

    eventually(states)
    shown = said(server.cli("targets", "--app", app))
    assert "t0ken" not in shown
    compare(request, "targets", same(shown))
    told = json.loads(said(server.cli("targets", "--app", app, "--json")))["result"]
    assert told == server.api.get("/v1/targets", appId=app).result

    shown = said(server.cli("targets", "--app", app, "--enable", receiver.url("/gone")))
    assert " ok " in shown and "disabled" not in shown
    settled(server.api, held["id"], "delivered")
    complained(server.cli("targets"), 1, "appId: is required")
    complained(server.cli("targets", "--enable", receiver.url("/gone")), 2, "--app")
    complained(server.cli("targets", "--app", app, "--enable", receiver.url("/x")), 1, "no config")
    assert "no targets" in said(server.cli("targets", "--app", "nobody"))
