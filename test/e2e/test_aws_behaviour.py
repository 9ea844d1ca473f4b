"""What is said of the home on AWS alone: events that a worker routes, repeats of them, what is held and
comes back, statistics out of the delivery log, and what is not asked without an app. What both homes
promise, the other files test in both."""

import pytest
from harness.api import failed
from harness.aws_home import AwsServer
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.postgres import Postgres
from harness.redshift import refusals
from harness.server import Server, run
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(120))


@pytest.fixture(scope="module")
def cluster():
    made = Postgres()
    try:
        yield made.create().start()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def server(emulator, cluster, tmp_path_factory):
    server = AwsServer(emulator, tmp_path_factory.mktemp("aws") / "data", log_url=cluster.url)
    try:
        yield server.start()
        server.stop()
        server.check_log()
    finally:
        server.kill()


@pytest.fixture
def api(server):
    return server.api


def test_an_event_is_handed_over(api, receiver, app):
    subscribe(api, app, receiver.url())
    answer = api.post_event(event(app, eventId="e")).expect(202).result
    assert answer == {"id": answer["id"], "eventId": "e", "duplicate": None, "deliveries": None,
                      "skipped": None}  # fmt: skip
    assert receiver.one(id=answer["id"])
    assert api.routed(answer["id"])["deliveries"]


def test_a_repeat_is_the_same_event(api, receiver, app):
    """Also of other bytes: the first ones are sent, once."""
    subscribe(api, app, receiver.url())
    first = api.send(event(app, eventId="e"))
    settled(api, first["deliveries"][0]["id"], "delivered")
    again = api.post_event(event(app, eventId="e", other=1)).expect(202).result
    assert again["id"] == first["id"]
    last = api.send(event(app, eventId="last"))
    settled(api, last["deliveries"][0]["id"], "delivered")
    assert len(receiver.requests(id=first["id"])) == 1
    assert "other" not in receiver.one(id=first["id"]).body.decode()


def test_a_repeat_after_a_skip_is_routed(api, receiver, app):
    first = api.send(event(app, eventId="e"))
    assert first["skipped"] == {"reason": "no_config"} and first["deliveries"] == []
    subscribe(api, app, receiver.url())
    assert api.post_event(event(app, eventId="e")).expect(202).result["id"] == first["id"]
    assert receiver.one(id=first["id"])
    eventually(lambda: api.why("e")["verdict"] in ("delivered", "waiting") or None)


def test_waiting_until_a_worker_has_seen_it(server, app):
    """The worker is away: the event lies in the bucket."""
    server.worker.stop()
    try:
        sent = server.api.post_event(event(app, eventId="e", transactionId=app + "-t")).expect(202)
        for id in (sent.result["id"], "e", app + "-t"):
            story = server.api.why(id)
            assert story["verdict"] == "waiting", story
            assert story["events"][0]["id"] == sent.result["id"]
    finally:
        server.worker.start().wait_working()
    server.api.routed(sent.result["id"])
    assert server.api.why("e")["verdict"] == "skipped"


def test_what_was_held_comes_back(api, receiver, app):
    """Nothing is in any queue for what is held: activating it sends wakes."""
    receiver.script("/", 500)
    subscribe(api, app, receiver.url(), retry={"schedule": [1]})
    sent = api.send(event(app))
    (delivery,) = sent["deliveries"]
    attempted(api, delivery["id"], 1)
    api.patch(app, TYPE, isActive=False).expect(200)
    eventually(lambda: api.delivery(delivery["id"])["status"] == "held")
    api.patch(app, TYPE, isActive=True).expect(200)
    settled(api, delivery["id"], "delivered", 40)


def test_a_target_that_is_enabled(api, receiver, app):
    """It was disabled by what the worker saw; another event that waits for it goes out then."""
    receiver.script("/", 410)
    subscribe(api, app, receiver.url(), retry={"schedule": []})
    dead = api.send(event(app))
    settled(api, dead["deliveries"][0]["id"], "dead")

    def state():
        (item,) = api.get("/v1/targets", appId=app).expect(200).result["items"]
        return item["state"]

    eventually(lambda: state() == "disabled")
    waiting = api.send(event(app))["deliveries"][0]["id"]
    eventually(lambda: api.delivery(waiting)["status"] == "held")
    body = {"appId": app, "url": receiver.url()}
    api.call("POST", "/v1/targets/enable", body).expect(200)
    assert state() == "ok"
    settled(api, waiting, "delivered", 40)


def test_a_retry_by_hand(api, receiver, app):
    receiver.script("/", 500)
    subscribe(api, app, receiver.url(), retry={"schedule": []})
    delivery = api.send(event(app))["deliveries"][0]["id"]
    settled(api, delivery, "dead")
    api.retry(delivery).expect(202)
    assert settled(api, delivery, "delivered")["attempts"] == 2
    failed(api.retry(delivery), 409, "delivered")


def test_one_app_at_a_time(api, app):
    failed(api.call("GET", "/v1/deliveries"), 400, "appId")
    failed(api.call("GET", "/v1/ledger"), 400, "appId")
    days = {"appId": app, "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T01:00:00Z"}
    failed(api.get("/v1/ledger", **days), 400, "24 hours")


# ── Statistics ───────────────────────────────────────────────────────────────────────────────────


def figures(item):
    names = ("received", "skipped", "delivered", "failedAttempts", "dead", "successRate")
    return [item[name] for name in names]


def test_statistics(api, cluster, receiver, app):
    receiver.script("/?token=x", 500)
    receiver.always("/bad", 500)
    subscribe(api, app, receiver.url("/?token=x"), retry={"schedule": [0]})
    subscribe(api, app, receiver.url("/bad"), type="BAD", retry={"schedule": [0]})
    settled(api, api.send(event(app))["deliveries"][0]["id"], "delivered")
    settled(api, api.send(event(app, type="BAD"))["deliveries"][0]["id"], "dead")
    api.send(event(app, type="NONE"))

    def by_type(**query):
        items = api.get("/v1/stats", appId=app, **query).expect(200).result["items"]
        return {item["eventType"]: item for item in items}

    wanted = {TYPE: [1, 0, 1, 1, 0, 0.5], "BAD": [1, 0, 0, 2, 1, 0.0], "NONE": [1, 1, 0, 0, 0, None]}
    # Each row twice, as after an answer that was lost: nothing changes.
    for twice in (False, True):
        if twice:
            for table in ("webhook_delivery", "webhook_failure"):
                cluster.run(f"INSERT INTO {table} SELECT * FROM {table} WHERE app_id = '{app}'")
        eventually(lambda: {t: figures(i) for t, i in by_type().items()} == wanted, 30)
    got = by_type()
    assert got[TYPE]["p50Ms"] is not None and got["BAD"]["p50Ms"] is None
    assert 0 <= got[TYPE]["p50Ms"] <= got[TYPE]["p99Ms"] < 60000
    assert all(item["bucket"].endswith(":00:00.000Z") for item in got.values())
    of_url = by_type(url=receiver.url("/"), bucket="day")
    assert {t: figures(i) for t, i in of_url.items()} == {TYPE: [None, None, 1, 1, 0, 0.5]}
    assert list(by_type(eventType="BAD")) == ["BAD"]
    assert by_type(url=receiver.url("/other")) == {}
    asked = [s for s in cluster.statements() if "counted AS" in s]
    assert asked and not [why for s in set(asked) for why in refusals(s)]


def test_without_a_log_there_are_none(emulator, tmp_path):
    server = AwsServer(emulator, tmp_path / "data")
    try:
        server.start()
        failed(server.api.get("/v1/stats", appId="a"), 501, "--log-url")
    finally:
        server.kill()


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("missing", ["GWH_EVENTS_BUCKET", "GWH_QUEUE_URL"])
def test_what_is_needed(server, tmp_path, missing):
    env = {k: v for k, v in server.place.environment().items() if k != missing}
    done = run("serve", "--data", tmp_path, env=env)
    option = "--" + missing.removeprefix("GWH_").lower().replace("_", "-")
    assert (done.returncode, option in done.stderr.decode()) == (2, True), done.stderr


def test_a_master_key_is_never_made(server, tmp_path):
    env = {k: v for k, v in server.place.environment().items() if k != "GWH_MASTER_KEY"}
    other = Server(tmp_path / "data", env=env)
    other.launch()
    assert other.wait() == 3
    (line,) = other.logged("cannot_start")
    assert "GWH_MASTER_KEY" in line["why"] and not list(tmp_path.glob("**/master.key"))
