"""The ledger closes: what it says of a mixed load is what was sent and what came, also after
kill -9, and every row says the same."""

import json
import random
import threading
from collections import Counter

import pytest

from harness.api import failed
from harness.events import event, settled, subscribe
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(120))

LATER = {"schedule": [3600]}
NEVER = {"schedule": []}


def ledger(api, **query):
    return api.get("/v1/ledger", **query).expect(200).result


def expected(counted):
    """The two objects, of a Counter of what happened."""
    skipped = {reason: counted[reason] for reason in ("no_config", "inactive", "filtered")}
    ends = ("delivered", "pending", "held", "dead", "cancelled")
    created = sum(counted[end] for end in ends)
    events = {
        "received": created + sum(skipped.values()),
        "routed": created,
        "skipped": skipped,
        "duplicate": counted["duplicate"],
    }
    deliveries = {"created": created, "replayed": 0, **{end: counted[end] for end in ends}}
    return events, deliveries


def assert_is(api, app, counted):
    """Soon, and by both ways."""
    events, deliveries = expected(counted)

    def says():
        got = ledger(api, appId=app, full="true")
        assert (got["events"], got["deliveries"]) == (events, deliveries)
        assert got["recount"] == {"agrees": True, "differences": []}, got
        assert got["closes"] is True
        short = ledger(api, appId=app)
        assert short == {name: value for name, value in got.items() if name != "recount"}
        return True

    eventually(says, what=f"the ledger says {deliveries}")


def mixed_load(api, app, receiver):
    """Returns what was done, and a dead delivery."""
    receiver.always("/good", 200)
    receiver.script("/again", 503, 503)
    subscribe(api, app, receiver.url("/good"), "GOOD")
    subscribe(api, app, receiver.url("/again"), "AGAIN", retry={"schedule": [0, 0, 0]})
    # Each has a target of its own: one that fails ten times would be probed, and all else wait.
    for type, retry in (("DEAD", NEVER), ("WAITS", LATER), ("HELD", LATER), ("GOES", LATER)):
        receiver.always(f"/{type}", 500)
        subscribe(api, app, receiver.url(f"/{type}"), type, retry=retry)
    subscribe(api, app, receiver.url("/good"), "OFF", isActive=False)
    subscribe(api, app, receiver.url("/good"), "NO", filter={"eventId": [{"exists": False}]})
    counted, waiting, dead = Counter(), [], []
    kinds = ["GOOD"] * 40 + ["AGAIN"] * 3 + ["DEAD"] * 7 + ["WAITS"] * 5 + ["HELD"] * 4
    kinds += ["GOES"] * 3 + ["OFF"] * 6 + ["NO"] * 5 + ["NOBODY"] * 2
    random.Random(1).shuffle(kinds)
    state = {"GOOD": "delivered", "AGAIN": "delivered", "DEAD": "dead", "WAITS": "pending",
             "HELD": "held", "GOES": "cancelled", "OFF": "inactive",
             "NO": "filtered", "NOBODY": "no_config"}  # fmt: skip
    for number, type in enumerate(kinds):
        sent = event(app, type, eventId=f"{app}-{number}")
        result = api.send(sent)
        counted[state[type]] += 1
        if type in ("HELD", "GOES", "WAITS"):
            waiting += [delivery["id"] for delivery in result["deliveries"]]
        if type == "DEAD":
            dead += [delivery["id"] for delivery in result["deliveries"]]
        if type == "GOOD" and number % 3 == 0:
            assert api.send(sent)["duplicate"]
            counted["duplicate"] += 1
    for delivery in waiting:
        eventually(lambda d=delivery: api.delivery(d)["attempts"] > 0)
    for delivery in dead:
        settled(api, delivery, "dead")
    api.patch(app, "HELD", isActive=False).expect(200)
    api.delete(app, "GOES").expect(200)
    return counted, dead


def test_mixed_load(server, app, receiver):
    api = server.api
    counted, dead = mixed_load(api, app, receiver)
    assert_is(api, app, counted)

    # A manual retry takes a dead one back, and counts its end again.
    receiver.script("/DEAD", 200)
    api.retry(dead[0]).expect(202)
    settled(api, dead[0], "delivered")
    api.retry(dead[1]).expect(202)
    eventually(lambda: api.delivery(dead[1])["attempts"] == 2)
    settled(api, dead[1], "dead")
    counted["dead"] -= 1
    counted["delivered"] += 1
    assert_is(api, app, counted)

    api.patch(app, "HELD", isActive=True).expect(200)
    counted["pending"] += counted.pop("held")
    assert_is(api, app, counted)

    for end in (server.kill, server.stop):
        end()
        server.start()
        assert_is(server.api, app, counted)


def test_cut_off(server, app, receiver):
    """Killed in the middle of everything: whatever was taken is counted once."""
    subscribe(server.api, app, receiver.url("/good"), "GOOD")
    subscribe(server.api, app, receiver.url("/bad"), "BAD", retry={"schedule": [0, 0]})
    receiver.always("/bad", lambda request: random.choice((500, 200)))
    for round in range(3):
        over = threading.Event()
        api = server.api

        def post(number, api=api, over=over, round=round):
            count = 0
            while not over.is_set():
                type = ("GOOD", "BAD", "NOBODY")[count % 3]
                try:
                    api.send(event(app, type, eventId=f"{round}-{number}-{count // 2}"))
                except Exception:  # the server has gone
                    return
                count += 1

        threads = [threading.Thread(target=post, args=(n,), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        wanted = len(receiver.requests()) + 200
        eventually(lambda n=wanted: len(receiver.requests()) >= n)
        server.kill()
        over.set()
        for thread in threads:
            thread.join()
        server.start()
        eventually(lambda: ledger(server.api, appId=app)["deliveries"]["pending"] == 0, 40)
        got = ledger(server.api, appId=app, full="true")
        assert got["closes"] and got["recount"]["agrees"], got
        assert got["events"]["duplicate"] > 0
        items = server.api.deliveries(appId=app)
        states = Counter(item["status"] for item in items)
        assert got["deliveries"]["created"] == len(items)
        assert got["deliveries"]["delivered"] == states["delivered"]
        assert got["deliveries"]["dead"] == states["dead"]


def test_of_nobody(shared, app):
    got = ledger(shared, appId=app)
    assert got["events"]["received"] == 0 and got["closes"] is True
    got = ledger(shared, appId=app, to="2026-01-01T00:00:00Z")
    assert got["from"] == "2025-12-31T00:00:00.000Z"


def test_refusals(shared):
    failed(shared.get("/v1/ledger", to="2026-01-01T00:00:01Z"), 400, "to", "whole hour")
    failed(shared.get("/v1/ledger", hour="1"), 400, "hour")


def test_command(server, app, receiver):
    api = server.api
    counted, _ = mixed_load(api, app, receiver)
    assert_is(api, app, counted)
    for args in (["--app", app], ["--full"]):
        shown = server.cli("ledger", *args)
        assert shown.returncode == 0, shown
        text = shown.stdout.decode()
        assert "closes" in text and "received" in text
        rows = [line.split() for line in text.splitlines()]
        assert any(row[:2] == ["received", "75"] for row in rows), text
    as_json = server.cli("ledger", "--app", app, "--full", "--json")
    result = json.loads(as_json.stdout)["result"]
    assert (result["events"], result["deliveries"]) == expected(counted)
    wrong = server.cli("ledger", "--from", "2026-01-01T00:10:00Z")
    assert wrong.returncode == 1 and b"whole hour" in wrong.stderr
