"""`gwh init` on AWS: makes what is missing, touches nothing else, says which; and is told no lies."""

import pytest
from cfnlint.decode import decode
from harness.cli import failed, said
from harness.server import ROOT, clean_environment, run

pytestmark = pytest.mark.one_thread

PREFIX = "here"
TABLES = [f"{PREFIX}-config", f"{PREFIX}-ledger", f"{PREFIX}-admin"]


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


def schema(table):
    """What a table is, however it was made."""
    return {
        "keys": table["KeySchema"],
        "attributes": {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]},
        "indexes": {index["IndexName"]: (
            index["KeySchema"], index["Projection"]["ProjectionType"],
            set(index["Projection"]["NonKeyAttributes"]))
            for index in table.get("GlobalSecondaryIndexes", [])}}


def test_the_template_makes_the_same(aws):
    """What an index does not hold is not there for whoever asks it."""
    template, problems = decode(str(ROOT / "deploy/aws/template.yaml"))
    assert not problems
    dynamodb = aws.client("dynamodb")
    said(init(aws, "--store", "aws", "--tables", "same"))
    for name in ("config", "ledger", "admin"):
        wanted = template["Resources"][f"{name.title()}Table"]["Properties"]
        made = dynamodb.describe_table(TableName=f"same-{name}")["Table"]
        ttl = dynamodb.describe_time_to_live(TableName=f"same-{name}")["TimeToLiveDescription"]
        assert schema(made) == schema(wanted)
        assert made["BillingModeSummary"]["BillingMode"] == wanted["BillingMode"]
        assert ttl.get("AttributeName") == wanted.get("TimeToLiveSpecification", {}).get(
            "AttributeName")


def test_init_fails_well(aws):
    failed(init(aws, "--store", "mars"), 2, "--store: must be embedded or aws")
    failed(init(aws, GWH_STORE="mars"), 2, "GWH_STORE: must be embedded or aws")
    failed(init(aws, "--store", "embedded"), 2, "--log-url: must be given")
    failed(init(aws, "--store", "aws", AWS_SECRET_ACCESS_KEY="wrong"), 1, "were not made")
    failed(run("init", "--store", "aws", env=clean_environment()), 2, "AWS_REGION")


# ── config import --table ─────────────────────────────────────────────────────────────────────


def make_table(aws, name, items):
    dynamodb = aws.client("dynamodb")
    keys = [("appId", "HASH"), ("eventType", "RANGE")]
    dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys])  # fmt: skip
    for item in items:
        dynamodb.put_item(TableName=name, Item=item)


def variables(aws):
    return {name: text for name, text in aws.environment().items() if name.startswith("AWS_")}


def item(app, event_type, **more):
    return {"appId": {"S": app}, "eventType": {"S": event_type},
            "webhookUrl": {"S": "https://client.example/hook"}, **more}  # fmt: skip


def test_import_of_a_table(aws, shared_server, shared, app):
    whole = item(
        app, "WHOLE", isActive={"BOOL": False}, product={"S": "é"}, rateLimit={"N": "7"},
        headers={"M": {"x-a": {"S": "1"}}}, additionalMetadataKeys={"SS": ["a", "b"]},
        worfklows={"M": {"w": {"L": [{"S": "https://w.example/"}]}}}, filter={"NULL": True},
        retry={"M": {"schedule": {"L": [{"N": "1"}, {"N": "20"}]}}},
        createdAt={"S": "2024-01-01"})  # fmt: skip
    bad = item(app, "BAD", rateLimit={"S": "seven"})
    other = item(app, "BYTES", product={"B": b"\x01"})
    # More than a page of a megabyte: what is too large is refused, and the rest still comes.
    large = [item(app, f"LARGE{i}", product={"S": "x" * 300000}) for i in range(5)]
    make_table(aws, "old-config", [whole, bad, other, *large, item(app, "z")])

    def took(*more, code=1):
        return said(shared_server.cli("config", "import", "--table", "old-config", *more,
                                      env=variables(aws)), code)  # fmt: skip

    told = took()
    assert "2 created, 0 changed, 0 kept, 7 refused" in told
    for part in ("BAD", "rateLimit: must be", "BYTES", "product: must be S, N, BOOL", "LARGE4"):
        assert part in told, told
    got = shared.config(app, "WHOLE").result
    assert (got["isActive"], got["product"], got["rateLimit"]) == (False, "é", 7)
    assert got["headers"] == {"x-a": "1"} and got["retry"]["schedule"] == [1, 20]
    assert got["workflows"] == {"w": ["https://w.example/"]}
    assert sorted(got["additionalMetadataKeys"]) == ["a", "b"]
    assert "0 created, 0 changed, 2 kept, 7 refused" in took()
    assert "0 created, 2 changed, 0 kept, 7 refused" in took("--update")
    assert took("--json").count('"statusCode"') == 9


def test_import_of_no_table(aws, shared_server):
    def tried(*more):
        return shared_server.cli("config", "import", *more, env=variables(aws))

    failed(tried("--table", "none"), 1, "--table none", "Scan")
    failed(tried("--table", "none", "-"), 2, "a FILE or --table")
    failed(tried(), 2, "a FILE or --table", "usage")
