"""`gwh init` on AWS: makes what is missing, touches nothing else, says which; and is told no lies."""

import pytest
from harness.cli import failed, said
from harness.ministack import Ministack
from harness.server import clean_environment, run

PREFIX = "here"
TABLES = [f"{PREFIX}-config", f"{PREFIX}-ledger", f"{PREFIX}-admin"]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    ministack = Ministack(tmp_path_factory.mktemp("ministack"))
    try:
        yield ministack.start()
    finally:
        ministack.stop()


def init(aws, *args, **more):
    return run("init", *args, env={**aws.environment(), **more})


def told(*made):
    return "".join(f"{table} {'was made' if table in made else 'is there'}\n" for table in TABLES)


def test_init(aws):
    dynamodb = aws.client("dynamodb")
    done = init(aws, "--store", "aws", "--tables", PREFIX, "--retention", "40")
    assert said(done) == told(*TABLES)
    assert done.stderr.decode() == ("gwh: the bucket of events must keep objects for 60 days at least, "
                           "--retention and 20 more\n")  # fmt: skip
    dynamodb.put_item(TableName=TABLES[0],
                      Item={"appId": {"S": "a"}, "eventType": {"S": "x"}})
    assert said(init(aws, GWH_STORE="aws", GWH_TABLES=PREFIX)) == told()
    dynamodb.delete_table(TableName=TABLES[1])
    assert said(init(aws, "--tables", PREFIX, GWH_STORE="aws")) == told(TABLES[1])
    assert dynamodb.scan(TableName=TABLES[0])["Count"] == 1
    ledger = dynamodb.describe_table(TableName=TABLES[1])["Table"]
    assert {index["IndexName"] for index in ledger["GlobalSecondaryIndexes"]} == {
        "by_app", "by_key", "open"}  # fmt: skip
    for table in TABLES[1:]:
        ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "ttl")


def test_init_fails_well(aws):
    failed(init(aws, "--store", "mars"), 2, "--store: must be embedded or aws")
    failed(init(aws, GWH_STORE="mars"), 2, "GWH_STORE: must be embedded or aws")
    failed(init(aws, "--store", "embedded"), 2, "--log-url: must be given")
    failed(init(aws, "--store", "aws", AWS_SECRET_ACCESS_KEY="wrong"), 1, "were not made")
    failed(run("init", "--store", "aws", env=clean_environment()), 2, "AWS_REGION")
