"""The commands that speak to AWS themselves, on an emulator; boto3 is the witness."""

import json
import subprocess

import pytest
from harness.cli import failed, said
from harness.ministack import REGION, Ministack
from harness.server import CANARY, GWH


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    ministack = Ministack(tmp_path_factory.mktemp("ministack"))
    try:
        yield ministack.start()
    finally:
        ministack.stop()


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
