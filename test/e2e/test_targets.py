"""Targets that fail: probed, disabled, enabled again; and nobody else notices."""

import pytest

from harness.api import failed
from harness.events import TYPE, event, settled, subscribe
from harness.receiver import Reply
from harness.waiting import eventually

pytestmark = pytest.mark.homes("embedded", "aws")

AT_ONCE = {"schedule": [0] * 24}


def target(api, app):
    (item,) = api.get("/v1/targets", appId=app).expect(200).result["items"]
    return item


def in_state(api, app, state):
    def reached():
        item = target(api, app)
        assert item["state"] == state, item
        return item

    return eventually(reached)


def test_a_target_that_fails_is_probed(shared, receiver, app, shows_rates):
    """Ten failures, then one attempt at a time with a gap; the first success ends it."""
    receiver.always("/", Reply(status=500))
    subscribe(shared, app, receiver.url(), retry=AT_ONCE)
    (first,) = shared.send(event(app))["deliveries"]
    item = in_state(shared, app, "probed")
    assert item["reason"] == "http_error" and item["streak"] >= 10
    assert item["successRate"] == (0 if shows_rates else None)
    rest = [shared.send(event(app))["deliveries"][0] for _ in range(5)]
    receiver.wait(12)
    tenth, eleventh, twelfth = receiver.requests()[9:12]
    assert 0.9 < eleventh.at - tenth.at and 1.9 < twelfth.at - eleventh.at
    receiver.always("/", Reply(status=200))
    for delivery in [first, *rest]:
        settled(shared, delivery["id"], "delivered", timeout=60)
    tried = [shared.delivery(d["id"])["attempts"] for d in rest]
    assert sum(tried) <= len(rest) + 2, tried  # who waits behind a probe uses up nothing
    item = in_state(shared, app, "ok")
    assert item["waiting"] == 0 and item["streak"] == 0 and item["since"] is None


def test_gone(servers, receiver, app):
    """After a 410 what waits is held, over a restart too, until somebody enables the target."""
    server = servers().start()
    subscribe(server.api, app, receiver.url("/?token=1"))
    receiver.script("/?token=1", Reply(status=410))
    (dead,) = server.api.send(event(app))["deliveries"]
    settled(server.api, dead["id"], "dead")
    item = in_state(server.api, app, "disabled")
    assert (item["url"], item["reason"]) == (receiver.url("/"), "gone")
    (held,) = server.api.send(event(app, eventId="held"))["deliveries"]
    assert server.api.delivery(held["id"])["status"] == "held"
    server.restart()
    assert target(server.api, app)["state"] == "disabled"
    assert server.api.why("held")["verdict"] == "held"
    assert len(receiver.requests()) == 1

    body = dict(appId=app, url=receiver.url("/other"))
    failed(server.api.call("POST", "/v1/targets/enable", body), 404, "no config")
    body["url"] = item["url"]
    (enabled,) = server.api.call("POST", "/v1/targets/enable", body).expect(200).result["items"]
    assert enabled["state"] == "ok"
    settled(server.api, held["id"], "delivered")
    server.restart()
    assert target(server.api, app)["state"] == "ok"


def test_a_change_that_names_the_url_enables(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    receiver.script("/", Reply(status=410))
    settled(shared, shared.send(event(app))["deliveries"][0]["id"], "dead")
    in_state(shared, app, "disabled")
    (held,) = shared.send(event(app))["deliveries"]
    shared.patch(app, TYPE, product="p").expect(200)
    assert shared.delivery(held["id"])["status"] == "held"
    shared.patch(app, TYPE, webhookUrl=receiver.url()).expect(200)
    settled(shared, held["id"], "delivered")


def test_a_rate(shared, receiver, app):
    """Never more than so many in any second."""
    subscribe(shared, app, receiver.url(), rateLimit=5, maxInFlight=100)
    for _ in range(20):
        shared.send(event(app))
    receiver.wait(20)
    at = [request.at for request in receiver.requests()]
    assert all(later - earlier > 0.9 for earlier, later in zip(at, at[5:]))
