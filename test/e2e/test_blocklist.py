"""`payloadBlocklist`: what a client never sees, and that every other byte stays."""

import pytest

from harness import signature
from harness.events import TYPE, settled, subscribe
from harness.server import CANARY

pytestmark = pytest.mark.homes("embedded", "aws")


def body_of(app, rest):
    return '{"appId":"%s","eventType":"%s"%s}' % (app, TYPE, rest)


@pytest.mark.parametrize(
    "paths, sent, received",
    [
        (["a"], ',"a":1,"b":2', ',"b":2'),
        (["b"], ',"a":1 ,\n "b": 2 ', ',"a":1  '),
        (["nothing", "a.b.c"], ',"a":{"b":1.50}', ',"a":{"b":1.50}'),
        (["a.b"], ', "a" : { "b" : 1 }', ', "a" : { }'),
        (["a.b", "a.c"], ',"a":{"b":1,"d":1e2,"c":{"b":1}}', ',"a":{"d":1e2}'),
        (["a.b"], ',"a":[{"b":1,"c":2},3,{"b":{}},[{"b":1}]]', ',"a":[{"c":2},3,{},[{}]]'),
        (["/a.b/c"], ',"a.b":{"c":1,"d":2},"a":{"b":{"c":3}}', ',"a.b":{"d":2},"a":{"b":{"c":3}}'),
        (["a"], ',"\\u0061":"\\u00e9","b":"\\u00e9é"', ',"b":"\\u00e9é"'),
    ],
)
def test_removed(shared, receiver, app, paths, sent, received):
    made = subscribe(shared, app, receiver.url(), payloadBlocklist=paths)
    assert made["payloadBlocklist"] == paths
    shared.send(body_of(app, sent).encode())
    request = receiver.one()
    assert request.body == body_of(app, received).encode()
    assert request.header("content-length") == str(len(request.body))
    signature.check(request, made["secret"])


def test_with_the_app_s_id(shared, receiver, app):
    made = subscribe(shared, app, receiver.url(), payloadBlocklist=["x.appId"], deleteAppId=True)
    shared.send(body_of(app, ',"x":{"appId":1},"y":{"appId":2}'))
    request = receiver.one()
    assert request.body == b'{"eventType":"%s","x":{},"y":{"appId":2}}' % TYPE.encode()
    signature.check(request, made["secret"])


def test_as_the_config_is_at_each_attempt(shared, receiver, app, in_force_s):
    """The event stays whole; what is removed follows the config."""
    receiver.script("/", 500, 500)
    retry = {"schedule": [1 + in_force_s] * 2}
    subscribe(shared, app, receiver.url(), payloadBlocklist=["a"], retry=retry)
    (waiting,) = shared.send(body_of(app, ',"a":"%s","b":2' % CANARY))["deliveries"]
    receiver.wait(1)
    shared.patch(app, TYPE, payloadBlocklist=["b"]).expect(200)
    receiver.wait(2)
    assert shared.patch(app, TYPE, payloadBlocklist=None).expect(200).result["payloadBlocklist"] == []
    settled(shared, waiting["id"], "delivered")
    bodies = [r.body.decode() for r in receiver.requests()]
    rests = [',"b":2', ',"a":"%s"' % CANARY, ',"a":"%s","b":2' % CANARY]
    assert bodies == [body_of(app, rest) for rest in rests]


def test_no_attempt_keeps_it(shared, receiver, app):
    """Neither the record of an attempt nor what explains it holds what was removed."""
    receiver.always("/", 500)
    subscribe(shared, app, receiver.url(), payloadBlocklist=["a"], retry={"schedule": []})
    result = shared.send(body_of(app, ',"a":"%s"' % CANARY))
    (failed,) = result["deliveries"]
    settled(shared, failed["id"], "dead")
    answers = [
        shared.get(f"/v1/deliveries/{failed['id']}"),
        shared.get("/v1/deliveries", appId=app),
        shared.get(f"/v1/why/{result['id']}"),
    ]
    for answer in answers:
        assert CANARY.encode() not in answer.expect(200).body
