"""The store's contract, kept by DynamoDB and S3 (an emulator of them)."""

import subprocess
from pathlib import Path

import pytest
from harness.ministack import REGION, Ministack
from harness.server import GWH

PROGRAM = Path(GWH).parent / "test/store/test_store_contract"


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    ministack = Ministack(tmp_path_factory.mktemp("ministack"))
    try:
        ministack.start()
        ministack.client("s3").create_bucket(
            Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
        ministack.queue = ministack.client("sqs").create_queue(QueueName="wakes")["QueueUrl"]
        yield ministack
    finally:
        ministack.stop()


def test_contract(aws):
    done = subprocess.run([PROGRAM, "dynamodb"], capture_output=True, text=True, check=False,
                          timeout=300, env=aws.environment(GWH_TEST_BUCKET="payloads",
                                                           GWH_TEST_QUEUE=aws.queue))
    assert done.returncode == 0, done.stdout + done.stderr
