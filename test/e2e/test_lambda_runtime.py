"""`gwh lambda` and a fake of Lambda's runtime API: how a function's process begins, answers and ends."""

import base64
import json
import signal
import threading

import pytest
from harness.receiver import Reply
from harness.runtime_api import Function, RuntimeApi
from harness.server import CANARY, clean_environment, run
from harness.waiting import eventually, seconds

pytestmark = [pytest.mark.one_thread, pytest.mark.timeout(seconds(120))]

SETTINGS = {
    "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "GWH_ADMIN_KEY": "admin:" + CANARY,
    "GWH_QUEUE_URL": "http://sqs.example/0/events",
    "GWH_MASTER_KEY": base64.b64encode(b"k" * 32).decode(),
}


@pytest.fixture
def runtime():
    api = RuntimeApi()
    yield api
    api.close()


@pytest.fixture
def functions(runtime):
    made = []

    def start(*flags, **settings):
        made.append(Function(runtime, *flags, **settings))
        return made[-1]

    yield start
    for function in made:
        function.kill()


@pytest.fixture
def function(functions):
    """One whose AWS nobody answers for: what needs no store works."""
    function = functions(**SETTINGS)
    yield function
    assert function.stop() == 0, function.log


# ── The beginning ───────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("settings, why", [
    ({"GWH_RETENTION": "no"}, "GWH_RETENTION: must be"),
    ({"AWS_REGION": ""}, "AWS_REGION"),
    ({"GWH_QUEUE_URL": ""}, "GWH_QUEUE_URL: must be set"),
    ({"GWH_BUCKETS": "a,=b"}, "--buckets: must be"),
    ({"GWH_MASTER_KEY": ""}, "GWH_MASTER_KEY: must be set"),
    ({"GWH_LOG_URL": "mysql://" + CANARY}, "GWH_LOG_URL: must be postgres://"),
])
def test_what_is_wrong_is_said_to_lambda(runtime, functions, settings, why):
    function = functions(**{**SETTINGS, **settings})
    assert function.wait() == 1
    assert [error["errorType"] for error in runtime.init_errors] == ["Runtime.CannotStart"]
    assert why in runtime.init_errors[0]["errorMessage"]
    assert runtime.asked == 0
    assert why in function.logged("cannot_start")[0]["why"]
    function.stop()


def test_without_lambda():
    done = run("lambda", env=clean_environment(AWS_REGION="eu-west-1"))
    assert done.returncode == 3
    assert b"AWS_LAMBDA_RUNTIME_API: must be set" in done.stderr


# ── Requests ────────────────────────────────────────────────────────────────────────────────────

def test_one_request_after_the_other(runtime, function):
    for _ in range(20):
        status, said = function.request("GET", "/healthz")
        assert status == 200, said
    assert function.request("GET", "/v1/nothing")[0] == 404
    answer = function.request("GET", "/v1/deliveries?limit=9999", headers={
        "appid": "admin", "appkey": CANARY})
    assert answer[0] == 400
    eventually(lambda: runtime.asked == 23)


def test_the_caller_is_who_aws_says(function):
    forwarded = {"x-forwarded-for": "127.0.0.1"}
    status, said = function.request("GET", "/openapi.json", peer="203.0.113.7", headers=forwarded)
    assert (status, said["error"]) == (403, "IP not whitelisted")


def test_nobody_without_a_key(functions):
    function = functions(**{**SETTINGS, "GWH_ADMIN_KEY": ""})
    for headers in ({}, {"appid": "", "appkey": ""}):
        assert function.request("GET", "/v1/alerts", headers=headers)[0] in (401, 404)
        assert function.request("GET", "/v1/config", headers=headers)[0] == 401
    assert function.stop() == 0


def test_body_is_bounded(function):
    assert function.request("POST", "/v1/events", "x" * 1_048_577)[0] == 413
    assert function.request("POST", "/v1/config", "x" * 1_000_000)[0] == 413


@pytest.mark.parametrize("event", [
    b"{", b"[]", b"null", b'"text"', {}, {"Records": []}, {"Records": [{"eventSource": "aws:s3"}]},
    {"httpMethod": "GET", "path": "/healthz", "requestContext": {}},
    {"version": "1.0", "requestContext": {"http": {"method": "GET", "sourceIp": "127.0.0.1"}}},
    {"version": "2.0", "rawPath": "/healthz", "requestContext": {"http": {"method": "GET"}}},
    {"note": CANARY},
])
def test_other_events_are_refused(runtime, function, event):
    error = runtime.invoke(event).error()
    assert error["errorType"] == "Function.Event"
    assert CANARY not in json.dumps(error)
    assert function.request("GET", "/healthz")[0] == 200


# ── Batches ─────────────────────────────────────────────────────────────────────────────────────

TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "events"})


def notice(bucket):
    return json.dumps({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket},
               "object": {"key": "a/webhook.json", "eTag": "0" * 32, "size": 10}}}]})


def batch(*bodies):
    return {"Records": [
        {"messageId": f"m-{at}", "receiptHandle": "r", "body": body, "attributes": {},
         "eventSource": "aws:sqs"} for at, body in enumerate(bodies)]}


def failures(runtime, *bodies, **kwargs):
    said = runtime.invoke(batch(*bodies), **kwargs).response()
    assert list(said) == ["batchItemFailures"]
    return [list(item.values()) for item in said["batchItemFailures"]]


def test_each_message_fails_alone(runtime, function):
    assert failures(runtime, TEST_EVENT) == []
    assert failures(runtime, "no JSON", TEST_EVENT, "{}", CANARY) == [["m-0"], ["m-2"], ["m-3"]]
    assert failures(runtime, *[TEST_EVENT] * 1000) == []
    assert failures(runtime, notice("another")) == [["m-0"]]
    assert len(function.logged("message_left")) == 4


def test_what_cannot_be_done_in_time_comes_again(runtime, functions):
    function = functions("--buckets", "events", **SETTINGS)  # and nobody is S3
    invocation = runtime.invoke(batch(TEST_EVENT, notice("events"), notice("events")), within=6)
    said = invocation.response()["batchItemFailures"]
    assert said == [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]
    assert function.logged("timeout_too_short")
    assert failures(runtime, TEST_EVENT) == []
    assert function.stop() == 0


@pytest.mark.parametrize("record", [
    {"eventSource": "aws:kinesis", "messageId": "m"}, {"eventSource": "aws:sqs"}, {}, CANARY])
def test_batch_that_is_none(runtime, function, record):
    event = batch(TEST_EVENT)
    event["Records"].append(record)
    error = runtime.invoke(event).error()
    assert "must be" in error["errorMessage"] and CANARY not in error["errorMessage"]
    assert failures(runtime, TEST_EVENT) == []


# ── What Lambda does not take ───────────────────────────────────────────────────────────────────

HEALTHZ = {"version": "2.0", "rawPath": "/healthz", "rawQueryString": "", "headers": {},
           "requestContext": {"http": {"method": "GET", "sourceIp": "127.0.0.1"}}}


def test_answer_that_is_too_large(runtime, function):
    assert "too large" in runtime.invoke(HEALTHZ, takes=413).error()["errorMessage"]
    assert function.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("takes", [400, 403, 500])
def test_answer_that_is_not_taken(runtime, functions, takes):
    function = functions(**SETTINGS)
    runtime.invoke(HEALTHZ, takes=takes)
    assert function.wait() == 1
    assert f"status {takes}" in function.logged("runtime_failed")[0]["why"]
    function.stop()


@pytest.mark.parametrize("id", ["a/b", "a b", "a" * 129, "../../x"])
def test_invocation_with_a_bad_id(runtime, functions, id):
    function = functions(**SETTINGS)
    runtime.invoke(HEALTHZ, id=id)
    assert function.wait() == 1
    assert "malformed invocation" in function.logged("runtime_failed")[0]["why"]
    assert not any(invocation.answers for invocation in runtime.all.values())
    function.stop()


# ── The end ─────────────────────────────────────────────────────────────────────────────────────

def test_what_is_begun_is_answered_first(runtime, functions, receiver):
    hold = threading.Event()
    receiver.script("/events/a/webhook.json", Reply(status=404, hold=hold))
    function = functions("--buckets", "events",
                         **{**SETTINGS, "AWS_ENDPOINT_URL": receiver.url("")})
    invocation = runtime.invoke(batch(notice("events")))
    eventually(lambda: receiver.all_requests, what="S3 is asked for the object")
    assert not invocation.answers
    function.process.send_signal(signal.SIGTERM)
    eventually(lambda: function.logged("stopping"))
    hold.set()
    assert function.wait() == 0
    assert invocation.response() == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
    assert runtime.asked == 1
    function.stop()
