"""The function on an emulator, out of its own template and zip."""

import json
import os

import pytest
from harness.events import TYPE, event
from harness.server import CANARY
from harness.stack import Stack
from harness.waiting import eventually, seconds

pytestmark = [
    pytest.mark.timeout(seconds(180)),
    pytest.mark.skipif(os.environ.get("GWH_VARIANT", "plain") != "plain",
                       reason="an instrumented program is never packed"),
]


@pytest.fixture(scope="module")
def stack(aws, tmp_path_factory):
    return Stack(aws, tmp_path_factory.mktemp("stack")).make(
        GWH_ALLOW_HTTP="true", GWH_ALLOW_NETS="127.0.0.0/8", GWH_ALLOW_PORTS="*")


def test_api_by_url(stack):
    answer = stack.request("GET", "/healthz", key=None)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert stack.request("GET", "/openapi.json").json()["openapi"].startswith("3.1")
    assert stack.request("GET", "/nothing").status_code == 404


# ── Events ──────────────────────────────────────────────────────────────────────────────────────

def put(stack, app, key=None, body=None, **more):
    """As a producer does."""
    body = body or json.dumps(event(app, **more)).encode()
    stack.aws.client("s3").put_object(
        Bucket=stack.bucket, Key=key or f"producer/{app}/webhook.json", Body=body)


def subscribe(stack, app, url, **more):
    answer = stack.request("POST", "/v1/config", json={
        "appId": app, "eventType": TYPE, "webhookUrl": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["result"]


def delivery(stack, app, status):
    """The app's only one, once it has that status."""

    def there():
        answer = stack.request("GET", f"/v1/deliveries?appId={app}")
        assert answer.status_code == 200, answer.text
        found = answer.json()["result"]["items"]
        assert [row["status"] for row in found] == [status], found
        return found[0]

    return eventually(there, 40, f"a delivery of {app} is {status}")


def test_object_is_delivered(stack, receiver, app):
    subscribe(stack, app, receiver.url("/hook"))
    put(stack, app, key="a+b/ü %25/webhook.json", eventId="e-1")
    eventually(lambda: receiver.all_requests, 40, "the webhook comes")
    assert json.loads(receiver.all_requests[0].body) == event(app, eventId="e-1")
    done = delivery(stack, app, "delivered")
    assert (done["attempts"], done["lastStatusCode"]) == (1, 200)
    put(stack, app, key="again/webhook.json", eventId="e-1")
    put(stack, app, key="other/webhook.json", eventId="e-2")
    eventually(lambda: len(receiver.all_requests) == 2, 40, "the next one comes, and no repeat")


def test_event_by_the_api(stack, receiver, app):
    subscribe(stack, app, receiver.url("/hook"))
    answer = stack.request("POST", "/v1/events", json=event(app, eventId="e-1"))
    assert answer.status_code == 202, answer.text
    taken = answer.json()["result"]
    assert (taken["deliveries"], taken["duplicate"], taken["skipped"]) == (None, None, None)
    assert delivery(stack, app, "delivered")["messageId"] == taken["id"]


def test_what_fails_is_woken(stack, receiver, app):
    receiver.script("/hook", 503, 503)
    subscribe(stack, app, receiver.url("/hook"), retry={"schedule": [1, 1]})
    put(stack, app)
    assert delivery(stack, app, "delivered")["attempts"] == 3
    assert len({request.id for request in receiver.all_requests}) == 1


def test_poison_is_set_aside(stack, app):
    """Alone: what came with it is done."""
    stack.be_impatient(visibility=1, receives=2)
    sqs = stack.aws.client("sqs")
    sqs.send_message_batch(QueueUrl=stack.queues["events"], Entries=[
        {"Id": "1", "MessageBody": "poison " + app},
        {"Id": "2", "MessageBody": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})}])

    def dead():
        got = sqs.receive_message(QueueUrl=stack.queues["dead"], VisibilityTimeout=0)
        return [message["Body"] for message in got.get("Messages", [])]

    assert eventually(dead, 40, "a dead letter") == ["poison " + app]
    eventually(lambda: stack.left("events") == 0, 40, "the other one is deleted")


def test_every_step_is_in_the_log(stack, receiver, app):
    subscribe(stack, app, receiver.url("/hook"))
    put(stack, app)
    delivery(stack, app, "delivered")
    wanted = ["post_delivery", "pre_delivery", "received"]
    eventually(lambda: sorted(row["phase"] for row in stack.rows(app)) == wanted, 40, "the rows")
    assert CANARY not in json.dumps(stack.rows(app))


def test_metrics(stack, receiver, app):
    """All that the functions have said sums up to what has come."""
    before = stack.metrics()
    subscribe(stack, app, receiver.url("/hook"))
    put(stack, app)
    delivery(stack, app, "delivered")

    def told():
        now = stack.metrics()
        return {name: now[name] - before.get(name, 0) for name in now}

    eventually(lambda: told().get("DeliveriesDelivered") == 1, 40, "the metric")
    assert told()["EventsReceived"] == 1
