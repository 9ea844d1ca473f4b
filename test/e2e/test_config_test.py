"""POST /v1/config/test: one real signed POST to the client's server, told at once, kept nowhere."""

import threading

import pytest

from harness import signature
from harness.api import failed
from harness.events import TYPE, subscribe
from harness.receiver import Reply
from harness.waiting import eventually

pytestmark = pytest.mark.homes("embedded", "aws")

EVENT = '{ "appId":"x", "amount": 10.50, "big":123456789012345678901234567890 ,"s":"\\u00e9{"}'


def test_a_config(shared, receiver, app):
    """As a delivery would come: signed, with the config's headers; its answer is told whole."""
    made = subscribe(
        shared, app, receiver.url("/hook"), headers={"x-tenant": "one"}, deleteAppId=True
    )
    receiver.script("/hook", Reply(status=418, body=b"teapot"))
    body = f'{{"appId":"{app}","event":{EVENT},"eventType":"{TYPE}"}}'
    attempt = shared.call("POST", "/v1/config/test", body.encode()).expect(200).result
    request = receiver.one()
    assert request.body.decode() == EVENT.replace(' "appId":"x",', "")
    assert (request.attempt, request.header("webhook-event-type")) == (1, TYPE)
    assert request.header("x-tenant") == "one" and request.header("webhook-replay") is None
    signature.check(request, made["secret"])
    assert (attempt["n"], attempt["outcome"], attempt["statusCode"]) == (1, "http_error", 418)
    assert attempt["responseExcerpt"] == "teapot" and attempt["advice"]
    assert attempt["phases"]["firstByte"] > 0

    assert shared.deliveries(appId=app) == []
    assert shared.why(request.id)["verdict"] == "unknown"


def test_a_shape_as_of_a_delivery(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    (delivery,) = shared.send(dict(appId=app, eventType=TYPE))["deliveries"]
    (logged,) = eventually(lambda: shared.delivery(delivery["id"])["attemptLog"])
    tested = shared.call("POST", "/v1/config/test", dict(appId=app, eventType=TYPE))
    assert tested.expect(200).result.keys() == logged.keys()
    failed(shared.call("POST", "/v1/config/test", dict(appId=app, eventType="other")), 404)


def test_a_stop_does_not_wait_for_ever(servers, receiver, app):
    """The grace time holds for a test too, and its caller is told."""
    server = servers(grace=1).start()
    subscribe(server.api, app, receiver.url(), retry={"timeoutMs": 30000})
    receiver.always("/", Reply(hang=True))
    answers = []
    body = dict(appId=app, eventType=TYPE)
    ask = threading.Thread(
        target=lambda: answers.append(server.api.call("POST", "/v1/config/test", body))
    )
    ask.start()
    receiver.wait(1)
    server.signal()
    assert server.wait() == 0
    ask.join()
    failed(answers[0], 503, "stopping")
