"""The delivery log on its way to Firehose: every row is one JSON line in the stream's bucket, the last
ones too when the server ends; a stream that is not there costs rows, never deliveries."""

import json

import pytest
from harness.events import attempted, event, settled, subscribe
from harness.server import CANARY
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(120))

BUCKET = "log-of-deliveries"


@pytest.fixture(scope="module")
def aws(aws):
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName="log.1", DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BucketARN": f"arn:aws:s3:::{BUCKET}", "Prefix": "log/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})
    return aws


def logging(servers, aws, stream):
    return servers(env=aws.environment(GWH_LOG_URL=f"firehose://{stream}")).start()


def rows_of(aws, app):
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="log/").get("Contents", [])
    texts = [s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().decode()
             for item in found]
    assert CANARY not in "".join(texts)
    rows = [json.loads(line) for line in "".join(texts).splitlines()]
    return sorted(row["row_id"].rpartition("-")[2] for row in rows if row["app_id"] == app)


def test_rows(servers, aws, receiver, app):
    server = logging(servers, aws, "log.1")
    receiver.script("/hook?token=hidden", 503)
    subscribe(server.api, app, receiver.url("/hook?token=hidden"), retry={"schedule": [0]})
    sent = server.api.send(event(app, eventId="e-1"))
    settled(server.api, sent["deliveries"][0]["id"], "delivered")
    wanted = ["failure", "post", "post", "pre", "pre", "received"]
    eventually(lambda: rows_of(aws, app) == wanted, 40, "the rows in the bucket")


def test_last_rows(servers, aws, receiver, app):
    server = logging(servers, aws, "log.1")
    subscribe(server.api, app, receiver.url("/hook"))
    sent = server.api.send(event(app))
    settled(server.api, sent["deliveries"][0]["id"], "delivered")
    server.stop()
    assert rows_of(aws, app) == ["post", "pre", "received"]
    assert server.logged("delivery_log_closed")[0]["dropped"] == 0


def test_no_such_stream(servers, aws, receiver, app):
    server = logging(servers, aws, "missing")
    subscribe(server.api, app, receiver.url("/hook"))
    sent = server.api.send(event(app))
    attempted(server.api, sent["deliveries"][0]["id"], 1)
    eventually(lambda: server.logged("delivery_log_down"), 40, "it is said")
    server.stop()
    end = server.logged("delivery_log_closed")[0]
    assert (end["written"], end["dropped"]) == (0, 3)


def test_url_is_checked(servers):
    server = servers(env={"GWH_LOG_URL": "firehose://a/b"}).launch()
    assert server.wait() == 2
    assert "GWH_LOG_URL: must be firehose:// and the name of a stream" in server.log
