"""`filter`: which events go out, and what becomes of the others."""

from harness.api import failed
from harness.events import TYPE, event, settled, subscribe

APPROVED = {"status": ["approved"], "order": {"total": [{"numeric": [">", 100]}]}}


def sends(api, app, **more):
    """Does one more event go out? Whatever it answers else is wrong."""
    result = api.send(event(app, **more))
    assert len(result["deliveries"]) == (result["skipped"] is None)
    assert result["skipped"] in (None, {"reason": "filtered"})
    return result["skipped"] is None


def test_what_does_not_match_stays(shared, receiver, app):
    subscribe(shared, app, receiver.url(), filter=APPROVED)
    matching = event(app, status="approved", order={"total": 100.01, "items": []})
    result = shared.send(matching)
    assert receiver.one().id == result["id"]
    for other in (
        {"status": "declined", "order": {"total": 101}},
        {"status": "approved", "order": {"total": 100}},
        {"status": "approved", "order": {"total": "101"}},
        {"status": "approved"},
        {},
    ):
        assert not sends(shared, app, **other)
    last = shared.send(matching)["id"]  # behind all that might have gone out
    receiver.one(id=last)
    assert len(receiver.requests()) == 2


def test_what_is_filtered_is_kept_and_explained(servers, receiver, app):
    api = servers().start().api
    subscribe(api, app, receiver.url(), filter=APPROVED)
    id = api.send(event(app, eventId="e-1", status="declined"))["id"]
    found = api.get(f"/v1/events/{id}").expect(200).result
    assert found["skipped"] == {"reason": "filtered"} and found["deliveries"] == []
    why = api.why("e-1")
    assert why["verdict"] == "skipped"
    assert "filter" in str(why["events"][0])
    ledger = api.get("/v1/ledger", appId=app).expect(200).result
    assert ledger["closes"] and ledger["events"]["skipped"]["filtered"] == 1
    # only what was routed blocks a repeat
    api.patch(app, TYPE, filter=None).expect(200)
    again = api.send(event(app, eventId="e-1", status="declined"))
    assert again["duplicate"] is False and again["skipped"] is None
    settled(api, again["deliveries"][0]["id"], "delivered")


def test_a_filter_is_in_force_when_it_is_answered(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    for n in range(10):
        shared.patch(app, TYPE, filter={"n": [n]}).expect(200)
        assert sends(shared, app, n=n) and not sends(shared, app, n=n + 1)
        shared.patch(app, TYPE, filter=None).expect(200)
        assert sends(shared, app, n=n + 1)


def test_a_filter_merges(shared, receiver, app):
    """RFC 7396: null takes a rule away, [null] is the value."""
    subscribe(shared, app, receiver.url(), filter=APPROVED)

    def patched(**rules):
        return shared.patch(app, TYPE, filter=rules).expect(200).result["filter"]

    assert patched(order=None, kind=["a", "b"]) == {"status": ["approved"], "kind": ["a", "b"]}
    assert sends(shared, app, status="approved", kind="b")
    assert patched(kind=[None]) == {"status": ["approved"], "kind": [None]}
    assert sends(shared, app, status="approved", kind=None)
    assert not sends(shared, app, status="approved", kind="b")
    assert patched(kind=None, status=None) == {}
    assert sends(shared, app)
    assert shared.patch(app, TYPE, filter=None).expect(200).result["filter"] is None
    # where there is no filter, null has nothing to take away
    failed(shared.patch(app, TYPE, filter={"status": None}), 400, "filter.status")
    body = dict(appId=app, eventType="other", webhookUrl=receiver.url())
    body["filter"] = {"order": {"total": None}}
    failed(shared.call("POST", "/v1/config", body), 400, "filter.order.total")


def test_numbers_of_a_filter_keep_their_digits(shared, receiver, app):
    number = 123456789012345678901234567890
    text = '{"appId":"%s","eventType":"%s","webhookUrl":"%s","filter":{"n":[%d]}}'
    made = shared.call("POST", "/v1/config", text % (app, TYPE, receiver.url(), number))
    assert made.expect(201).result["filter"] == {"n": [number]}
    assert b'{"n":[%d]}' % number in shared.config(app, TYPE).body
    for n, goes in ((number, True), (number + 1, False)):
        result = shared.send('{"appId":"%s","eventType":"%s","n":%d}' % (app, TYPE, n))
        assert (result["skipped"] is None) == goes


def test_a_filter_of_every_type(shared, receiver, app):
    """The config of * filters too; a nearer one decides alone."""
    subscribe(shared, app, receiver.url("/any"), type="*", filter={"n": [1]})
    subscribe(shared, app, receiver.url("/near"), type="near", filter={"n": [2]})
    for type, n, path in (("far", 1, "/any"), ("far", 2, None), ("near", 2, "/near"), ("near", 1, None)):
        result = shared.send(event(app, type=type, n=n))
        assert [d["url"] for d in result["deliveries"]] == ([receiver.url(path)] if path else [])


def test_a_filter_sees_what_is_then_removed(shared, receiver, app):
    subscribe(
        shared, app, receiver.url(), filter={"appId": [app], "secret": [{"exists": True}]},
        deleteAppId=True, payloadBlocklist=["secret"],
    )  # fmt: skip
    body = '{"appId":"%s","eventType":"%s","secret":1,"n":2}' % (app, TYPE)
    shared.send(body)
    assert receiver.one().body == b'{"eventType":"%s","n":2}' % TYPE.encode()
