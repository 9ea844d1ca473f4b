"""Changes of configs in DynamoDB: what is woken for them, and that none is half done."""

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.aws_proxy import AwsProxy
from harness.server import GWH, clean_environment
from harness.server import run as run_gwh

PROGRAM = Path(GWH).parent / "test/store/test_store_dynamodb_configs"
CHANGE, WAKE = "TransactWriteItems", "SendMessageBatch"


@pytest.fixture(scope="module")
def aws(aws):
    aws.queue = aws.client("sqs").create_queue(QueueName="wakes")["QueueUrl"]
    return aws


def run(aws, proxy, *arguments):
    env = aws.environment(GWH_TEST_BUCKET="none", GWH_TEST_QUEUE=aws.queue,
                          AWS_ENDPOINT_URL_DYNAMODB=proxy.url, AWS_ENDPOINT_URL_SQS=proxy.url)
    try:
        done = subprocess.run([PROGRAM, *arguments], env=env, capture_output=True, text=True,
                              check=False, timeout=300)
    finally:
        proxy.close()
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_woken(aws):
    """What may be sent otherwise from now on: that which becomes active, is led elsewhere, is removed.
    Before the change, and with all lanes that the config had."""
    wakes, order = [], []

    def look(operation, request, answer):
        if operation in (CHANGE, WAKE):
            order.append(operation)
        if operation == WAKE:
            wakes.extend(json.loads(request)["Entries"])

    run(aws, AwsProxy(aws.port, rewrite=look))
    assert all(wake["DelaySeconds"] == 8 for wake in wakes)
    wakes = [json.loads(wake["MessageBody"]) for wake in wakes]
    assert [(wake["wake"], wake["app"], len(wake["lanes"])) for wake in wakes] == [
        ("lanes", "app", 2), ("lanes", "app", 2), ("lanes", "app", 2), ("lanes", "app", 1)]  # fmt: skip
    assert wakes[0]["lanes"] == wakes[1]["lanes"] == wakes[2]["lanes"]
    # Created, product, isActive false; true; webhookUrl; workflows; removed; two of a key; a line.
    assert order == [CHANGE] * 3 + [WAKE, CHANGE] * 4 + [CHANGE] * 3


class EverySecond:
    """Every other change: one whose connection breaks is sent once more, and meets itself."""

    def __init__(self):
        self.count = 0

    def __contains__(self, operation):
        self.count += operation == CHANGE
        return operation == CHANGE and self.count % 2 == 1


@pytest.mark.parametrize("lost", [(CHANGE,), EverySecond()], ids=["each", "every second"])
def test_answers_to_changes_are_lost(aws, lost):
    proxy = AwsProxy(aws.port, lost=lost)
    run(aws, proxy)
    assert proxy.seen.count(CHANGE) == 20  # 10 changes, each twice


def test_no_wake_can_be_sent(aws):
    run(aws, AwsProxy(aws.port, refused=(WAKE,), code="RequestThrottled"), "unwoken")


def test_more_than_is_read_at_a_time(aws):
    run(aws, AwsProxy(aws.port), "many")


def test_pages_are_empty_and_go_on(aws):
    """DynamoDB may end a page anywhere: before its first item, too."""
    cut_off = set()

    def cut(operation, request, answer):
        reply = json.loads(answer)
        if operation != "Query" or not reply.get("Items") or request in cut_off:
            return None
        asked = json.loads(request)
        if "ExclusiveStartKey" in asked:
            return None
        cut_off.add(request)
        first = reply["Items"][0]
        part, sort = ("pk", "sk") if "pk" in first else ("appId", "eventType")
        values = asked["ExpressionAttributeValues"]
        edge = values.get(":after", {"S": "\x00"}) if asked["ScanIndexForward"] else values[":last"]
        key = {part: first[part], sort: edge}
        return json.dumps({"Items": [], "Count": 0, "ScannedCount": 0,
                           "LastEvaluatedKey": key}).encode()

    run(aws, AwsProxy(aws.port, rewrite=cut))
    assert any(b"eventType" in request or b"appId" in request for request in cut_off)
    assert any(b"audit" in request for request in cut_off)


# ── Two processes that serve one store ────────────────────────────────────────────────────────


@pytest.fixture
def two(aws, servers):
    """Each with the same keys and tables, and nothing else in common."""
    env = {name: text for name, text in aws.environment().items() if name.startswith("AWS_")}
    env |= {"GWH_STORE": "aws", "GWH_TABLES": "two", "GWH_QUEUE_URL": aws.queue,
            "GWH_EVENTS_BUCKET": "events", "GWH_ADMIN_KEY": "admin:the-key-of-both",
            "GWH_MASTER_KEY": base64.b64encode(b"k" * 32).decode()}  # fmt: skip
    assert run_gwh("init", env=clean_environment(**env)).returncode == 0
    return [servers(env=env).start() for _ in range(2)]


def test_two_servers_lose_no_change(two, app):
    """Each change that was answered 200 is there, whoever made it, and has its line."""
    one, other = (server.api for server in two)
    one.create(appId=app, eventType="T", webhookUrl="https://c.example/")

    def change(number):
        api = two[number % 2].api
        answer = api.patch(app, "T", headers={f"x-{number}": "1"})
        return number if answer.status == 200 else (answer.status, answer.error)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(change, range(24)))
    done = [answer for answer in answers if isinstance(answer, int)]
    assert all(answer[0] == 503 for answer in answers if answer not in done), answers
    assert len(done) >= 12, answers
    for api in (one, other):
        got = api.config(app, "T").result
        assert set(got["headers"]) == {f"x-{number}" for number in done}
        assert got["version"] == 1 + len(done)
        history = api.get("/v1/config/history", appId=app, eventType="T", limit=250).result["items"]
        assert len(history) == 1 + len(done)
