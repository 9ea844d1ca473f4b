"""What the store on AWS keeps, with an emulator of it: the contract of all stores, and what only
one that many processes share does. Then the same where answers are lost, pages are empty, and AWS
refuses."""

import json
import subprocess
from pathlib import Path

import pytest
from harness.aws_proxy import AwsProxy
from harness.ministack import REGION
from harness.server import GWH

pytestmark = pytest.mark.one_thread

WRITES = ("TransactWriteItems", "UpdateItem")


@pytest.fixture(scope="module")
def aws(aws):
    s3 = aws.client("s3")
    for name in ("payloads", "versions"):
        s3.create_bucket(Bucket=name,
                         CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="versions",
                             VersioningConfiguration={"Status": "Enabled"})
    aws.queue = aws.client("sqs").create_queue(QueueName="wakes")["QueueUrl"]
    return aws


def run(aws, program, *arguments, proxy=None):
    env = aws.environment(GWH_TEST_BUCKET="payloads", GWH_TEST_VERSIONS="versions",
                          GWH_TEST_QUEUE=aws.queue)
    if proxy:
        env["AWS_ENDPOINT_URL_DYNAMODB"] = proxy.url
    try:
        done = subprocess.run([Path(GWH).parent / "test/store" / program, *arguments], env=env,
                              capture_output=True, text=True, check=False, timeout=300)
    finally:
        if proxy:
            proxy.close()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_contract(aws):
    run(aws, "test_store_contract", "dynamodb")


def test_what_is_shared(aws):
    run(aws, "test_store_dynamodb")
    run(aws, "test_store_dynamodb_lists")


def test_each_answer_to_a_write_is_lost(aws):
    proxy = AwsProxy(aws.port, lost=WRITES)
    run(aws, "test_store_dynamodb", "unpaced", proxy=proxy)
    assert all(write in proxy.seen for write in WRITES)


def start_before(request, item):
    """A key right before the item, in the direction of the query, and in its bounds."""
    index = request.get("IndexName")
    sort = f"{index}_sk" if index else "sk"
    place = item[sort]["S"]
    edge = place[:-1] if request.get("ScanIndexForward", True) else place + "!"
    last = request["ExpressionAttributeValues"].get(":to", {"S": edge})["S"]
    edge = min(edge, last)
    names = {"pk", "sk", sort} | ({index} if index else set())
    return {name: {"S": edge or "!"} if name == sort else item[name] for name in names}


def test_pages_are_empty_and_go_on(aws):
    """DynamoDB may end a page anywhere: before its first item, too."""
    seen = set()

    def cut(operation, request, answer):
        reply = json.loads(answer)
        if operation != "Query" or not reply.get("Items") or request in seen:
            return None
        seen.add(request)
        request = json.loads(request)
        if "ExclusiveStartKey" in request or not request["TableName"].endswith("-ledger"):
            return None
        return json.dumps({"Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey":
                           start_before(request, reply["Items"][0])}).encode()

    run(aws, "test_store_dynamodb", "unpaced", proxy=AwsProxy(aws.port, rewrite=cut))
    run(aws, "test_store_dynamodb_lists", proxy=AwsProxy(aws.port, rewrite=cut))
    assert any(b"IndexName" in request for request in seen)


def test_a_batch_is_done_in_part(aws):
    """DynamoDB may leave any keys of a batch for another time."""
    left = []

    def leave(operation, request, answer):
        request = json.loads(request)
        if operation != "BatchGetItem":
            return None
        ((table, wanted),) = request["RequestItems"].items()
        if wanted["Keys"] in left:
            return None
        rest = wanted["Keys"][::2]
        left.append(rest)
        items = json.loads(answer)["Responses"][table]
        done = [item for item in items if {"pk": item["pk"], "sk": item["sk"]} not in rest]
        return json.dumps({"Responses": {table: done},
                           "UnprocessedKeys": {table: {**wanted, "Keys": rest}}}).encode()

    run(aws, "test_store_dynamodb_lists", proxy=AwsProxy(aws.port, rewrite=leave))
    assert left


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException",
                                  "TransactionConflictException"])
def test_aws_asks_to_wait(aws, code):
    proxy = AwsProxy(aws.port, refused=WRITES, code=code)
    run(aws, "test_store_dynamodb", "throttled", proxy=proxy)
