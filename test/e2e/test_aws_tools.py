"""The commands that speak to AWS themselves, on an emulator; boto3 is the witness."""

import base64
import hmac
import json
import subprocess
import urllib.parse

import pytest
from harness.cli import failed, said
from harness.ministack import REGION
from harness.server import CANARY, GWH, Server
from harness.worker import Home, running

pytestmark = pytest.mark.one_thread


@pytest.fixture
def bucket(aws, app):
    aws.client("s3").create_bucket(
        Bucket=app, CreateBucketConfiguration={"LocationConstraint": REGION})
    return app


def run(aws, *args, **env):
    return subprocess.run([GWH, *map(str, args)], env={**aws.environment(), **env},
                          capture_output=True, timeout=120, check=False)


def objects(aws, bucket):
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"]) for item in found}


# ── simulate ──────────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("prefix,under", [("", ""), ("/", ""), ("/a/b", "a/b/"), ("/a b/", "a b/")])
def test_simulate_writes_as_producers_do(aws, bucket, prefix, under):
    told = json.loads(said(run(aws, "simulate", "audit-portal", "--to", f"s3://{bucket}{prefix}",
                               "--app", "ü+1", "--rate", 500, "--count", 30, "--json")))
    assert (told["sent"], told["accepted"], told["failed"], told["skipped"]) == (30, 30, 0, None)
    found = objects(aws, bucket)
    assert len(found) == 30
    workflows = 0
    for key, got in found.items():
        event = json.loads(got["Body"].read())
        assert event["appId"] == "ü+1" and got["ContentType"] == "application/json"
        assert key == f"{under}{event['transactionId']}/{event['eventId']}/webhook.json"
        metadata = {"transactionid": event["transactionId"]}
        if "workflowId" in event:
            metadata["workflowid"] = event["workflowId"]
            workflows += 1
        assert got["Metadata"] == metadata
    assert 0 < workflows


def test_simulate_tells_what_s3_says(aws, bucket):
    text = said(run(aws, "simulate", "link-kyc", "--to", f"s3://{bucket}", "--rate", 100,
                    "--count", 5))
    assert text.splitlines()[0].split() == ["TYPE", "SENT", "ACCEPTED", "FAILED"]
    assert "5 stored, 0 failed" in text and "nowhere" not in text


@pytest.mark.parametrize("to,change,words", [
    ("missing-bucket", {}, ["s3 PutObject", "NoSuchBucket"]),
    (None, {"AWS_SECRET_ACCESS_KEY": CANARY}, ["s3 PutObject", "SignatureDoesNotMatch"]),
    (None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ["connection refused"]),
    ("no", {}, ["bucket: must be the name of a bucket"]),
])
def test_simulate_ends_where_it_is_hopeless(aws, bucket, to, change, words):
    result = run(aws, "simulate", "link-kyc", "--to", f"s3://{to or bucket}", "--rate", 0.01,
                 "--count", 100, **change)
    failed(result, 1, *words)
    assert not objects(aws, bucket)


def test_simulate_needs_a_region(aws):
    result = run(aws, "simulate", "link-kyc", "--to", "s3://bucket", AWS_REGION="")
    failed(result, 2, "AWS_REGION")


# ── reconcile ─────────────────────────────────────────────────────────────────────────────────

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def tables(aws):
    """A ledger that knows nothing."""
    aws.client("dynamodb").create_table(
        TableName="nothing-ledger", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"},
                   {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"},
                              {"AttributeName": "sk", "AttributeType": "S"}])
    return "nothing"


@pytest.fixture
def queue(aws, app):
    return aws.client("sqs").create_queue(QueueName=app)["QueueUrl"]


def reconcile(aws, place, *args, **env):
    return run(aws, "reconcile", f"s3://{place}", "--until", "0s", *args,
               **{"GWH_MASTER_KEY": MASTER_KEY, **env})


def received(aws, queue):
    """What stands in the queue, as the objects that it names."""
    found = []
    sqs = aws.client("sqs")
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            [record] = json.loads(message["Body"])["Records"]
            assert record["s3"]["configurationId"] == "gwh reconcile"
            found.append((record["s3"]["bucket"]["name"],
                          urllib.parse.unquote_plus(record["s3"]["object"]["key"]),
                          record["s3"]["object"]))
    return found


def put(aws, bucket, key, **event):
    body = json.dumps({"appId": "acme", "eventType": "T", **event})
    return aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def test_reconcile_feeds_in_what_is_unknown(aws, bucket, queue, tables):
    events = {f"a b+%2F/ü/{n}/webhook.json": f"e-{n}" for n in range(23)}
    for key, event_id in events.items():
        put(aws, bucket, key, eventId=event_id)
    put(aws, bucket, "webhook.json")
    put(aws, bucket, "a/notwebhook.json")
    put(aws, bucket, "a/webhook.json/")
    flags = ["--queue-url", queue, "--tables", tables, "--json"]
    told = json.loads(said(reconcile(aws, bucket, "--dry-run", *flags), 1))
    assert told == {"objects": 26, "events": 24, "known": 0, "unknown": 24, "sent": 0, "gone": 0,
                    "unreadable": 0, "failed": 0}
    assert received(aws, queue) == []
    told = json.loads(said(reconcile(aws, bucket, *flags)))
    assert (told["unknown"], told["sent"], told["failed"]) == (24, 24, 0)
    found = received(aws, queue)
    assert len(found) == 24
    assert {key for _, key, _ in found} == set(events) | {"webhook.json"}
    s3 = aws.client("s3")
    for name, key, one in found:
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (name, one["size"]) == (bucket, head["ContentLength"])
        assert one["eTag"] == head["ETag"].strip('"') and "versionId" not in one


def hkdf(key, salt, info):
    prk = hmac.digest(salt, key, "sha256")
    return hmac.digest(prk, info + b"\1", "sha256")


def message_id(*parts):
    """As the contract has it: a keyed HMAC-SHA256, 16 bytes of it."""
    key = hkdf(bytes(range(32)), b"gwh dynamodb 1", b"id")
    framed = b"".join(len(part).to_bytes(8, "big") + part.encode() for part in parts)
    cut = hmac.digest(key, framed, "sha256")[:16]
    return "msg_" + base64.b32encode(cut).decode().lower().rstrip("=")


def test_reconcile_knows_what_is_in_the_ledger(aws, bucket, queue, tables):
    put(aws, bucket, "1/webhook.json", eventId="known")
    put(aws, bucket, "2/webhook.json", eventId="unknown")
    etag = put(aws, bucket, "3/webhook.json")["ETag"].strip('"')
    put(aws, bucket, "4/webhook.json")
    put(aws, bucket, "5/webhook.json", appId="other", eventId="known")
    for pk in (message_id("event", "acme", "known"),
               message_id("object", bucket, "3/webhook.json", etag)):
        numbers = {"accepted_ms": 1, "skip": 0, "config_version": 1, "bytes": 2, "made": 3,
                   "deliveries": 0}
        aws.client("dynamodb").put_item(TableName="nothing-ledger", Item={
            "pk": {"S": pk}, "sk": {"S": "E"}, "app": {"S": "acme"}, "type": {"S": "T"},
            "hash": {"B": bytes(16)}, **{name: {"N": str(n)} for name, n in numbers.items()}})
    told = json.loads(said(reconcile(aws, bucket, "--queue-url", queue, "--tables", tables,
                                     "--json")))
    assert (told["known"], told["unknown"], told["sent"]) == (2, 3, 3)
    assert {key[0] for _, key, _ in received(aws, queue)} == {"2", "4", "5"}


def test_reconcile_names_versions(aws, bucket, queue, tables):
    aws.client("s3").put_bucket_versioning(Bucket=bucket,
                                           VersioningConfiguration={"Status": "Enabled"})
    put(aws, bucket, "a/webhook.json", n=1)
    made = put(aws, bucket, "a/webhook.json", n=2)
    text = said(reconcile(aws, bucket, "--queue-url", queue, "--tables", tables))
    assert "1 objects" in text and "1 sent to the queue" in text
    [(_, _, one)] = received(aws, queue)
    assert one["versionId"] == made["VersionId"]


def test_reconcile_looks_at_what_it_was_told_to(aws, bucket, queue, tables):
    put(aws, bucket, "a/1/webhook.json")
    put(aws, bucket, "b/1/webhook.json")
    flags = ["--queue-url", queue, "--tables", tables]
    assert "1 objects" in said(reconcile(aws, f"{bucket}/a/", *flags))
    assert [key for _, key, _ in received(aws, queue)] == ["a/1/webhook.json"]
    for young in (["--until", "15m"], ["--until", "1h"]):  # what has just come is left alone
        text = said(reconcile(aws, bucket, *young, *flags))
        assert "2 objects, of which 0 are events of this time" in text
    assert "of which 0" in said(reconcile(aws, bucket, "--since", "0s", *flags))
    assert received(aws, queue) == []


def test_reconcile_names_what_is_no_event(aws, bucket, queue, tables):
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key="bad\x1b[2J/webhook.json", Body=CANARY)
    s3.put_object(Bucket=bucket, Key="large/webhook.json", Body=b"{" + b" " * 4096 + b"}")
    put(aws, bucket, "good/webhook.json")
    result = reconcile(aws, bucket, "--queue-url", queue, "--tables", tables,
                       GWH_MAX_BODY_BYTES="2048")
    failed(result, 1, "bad\ufffd[2J/webhook.json: is no event", "large/webhook.json: is no event")
    assert "2 that are no events" in result.stdout.decode()
    assert [key for _, key, _ in received(aws, queue)] == ["good/webhook.json"]


def test_reconcile_over_pages(aws, bucket, queue, tables):
    said(run(aws, "simulate", "link-kyc", "--to", f"s3://{bucket}", "--rate", 10000,
             "--count", 1003))
    told = json.loads(said(reconcile(aws, bucket, "--queue-url", queue, "--tables", tables,
                                     "--json")))
    assert (told["objects"], told["unknown"], told["sent"]) == (1003, 1003, 1003)
    found = [key for _, key, _ in received(aws, queue)]
    assert len(found) == 1003 and len(set(found)) == 1003


@pytest.mark.parametrize("args,env,code,words", [
    (["s3://bucket"], {}, 2, ["--queue-url: must be given"]),
    (["bucket"], {}, 2, ["must be s3://BUCKET", '"bucket"']),
    (["s3://bucket", "--dry-run", "--since", "31d"], {}, 2, ["--since", "retention of 30 days", '"31d"']),
    (["s3://bucket", "--dry-run", "--since", "h"], {}, 2, ["--since"]),
    (["s3://bucket", "--dry-run", "--until", "15"], {}, 2, ["--until", "15m"]),
    (["s3://bucket", "--dry-run"], {"GWH_MASTER_KEY": ""}, 3, ["master"]),
    (["s3://bucket", "--dry-run"], {"GWH_MASTER_KEY": CANARY}, 2, ["GWH_MASTER_KEY"]),
    (["s3://missing-bucket", "--dry-run"], {}, 1, ["s3 ListObjectsV2", "NoSuchBucket"]),
])
def test_reconcile_bad_usage(aws, args, env, code, words):
    failed(run(aws, "reconcile", *args, **{"GWH_MASTER_KEY": MASTER_KEY, **env}), code, *words)


def test_reconcile_says_what_refused_it(aws, bucket, queue):
    put(aws, bucket, "1/webhook.json")
    result = reconcile(aws, bucket, "--queue-url", queue, "--tables", "missing")
    failed(result, 1, "not everything was seen")
    assert received(aws, queue) == []
    result = reconcile(aws, bucket, "--queue-url", queue, AWS_SECRET_ACCESS_KEY=CANARY)
    failed(result, 1, "SignatureDoesNotMatch")


# ── Together ──────────────────────────────────────────────────────────────────────────────────

@pytest.fixture(scope="module")
def home(aws):
    return Home(aws, "tools").init()


@pytest.fixture
def worker(home):
    with running(home) as worker:
        yield worker


@pytest.fixture
def api(home, tmp_path):
    server = Server(tmp_path / "serve", env=home.environment())
    try:
        yield server.start().api
        server.stop()
        server.check_log()
    finally:
        server.kill()


def test_what_nobody_announced_is_delivered_once(home, worker, api, receiver, app):
    def command(*args, code=0):
        done = subprocess.run([GWH, *map(str, args), "--json"], env=home.environment(),
                              capture_output=True, timeout=120, check=False)
        return json.loads(said(done, code))

    def simulate(count):
        command("simulate", "audit-portal", "--to", f"s3://{home.bucket}/{app}", "--app", app,
                "--rate", 200, "--count", count)

    def told(*flags, code=0):
        found = command("reconcile", f"s3://{home.bucket}/{app}", "--until", "0s", *flags,
                        code=code)
        return [found[name] for name in ("known", "unknown", "sent", "failed")]

    api.call("POST", "/v1/config", {"appId": app, "eventType": "*",
                                    "webhookUrl": receiver.url()}).expect(201)
    simulate(20)
    receiver.wait(20)
    home.wait_empty()
    home.s3.put_bucket_notification_configuration(Bucket=home.bucket, NotificationConfiguration={})
    simulate(12)
    assert told("--dry-run", code=1) == [20, 12, 0, 0]
    assert told() == [20, 12, 12, 0]
    receiver.wait(32)
    home.wait_empty()
    assert told("--dry-run") == [32, 0, 0, 0]
    assert len(receiver.requests()) == len({one.id for one in receiver.requests()}) == 32
