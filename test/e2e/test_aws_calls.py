"""The calls to S3, SQS and DynamoDB, on an emulator that checks signatures; boto3 is the witness."""

import json

import pytest
from harness.aws_tool import AwsTool
from harness.ministack import EVERYTHING, REGION
from harness.server import CANARY, clean_environment
from harness.waiting import eventually

pytestmark = pytest.mark.one_thread

AWKWARD_KEYS = [
    "a/../b", "b", "a/./b", ".", "..", "x//y", "x/y", "/lead", "trail/", "a+b", "a b", "a%2Fb",
    "%2F", "%25", "ü/ß/漢字", "🦀", "a?b=c&d", "#x", "~u", "a=b", "a:b@c!$'()*,;[]", "\"<>^`{|}",
    "&amp;", "a\tb", "x" * 900,
]


@pytest.fixture(scope="module")
def tool(aws):
    tool = AwsTool(env=aws.environment())
    yield tool
    tool.close()


TRUST = """{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",
"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"]}]}"""


@pytest.fixture(scope="module")
def role(aws):
    iam = aws.client("iam")
    made = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST)["Role"]
    iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=EVERYTHING)
    return made["Arn"]


def allow(action, arn):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": arn}]})


def well(answer):
    assert answer["error"] is None, answer
    return answer


def refused(answer, error, status, code):
    assert (answer["error"], answer["status"], answer["code"]) == (error, status, code), answer
    assert CANARY not in answer["text"]
    return answer


# ── S3 ────────────────────────────────────────────────────────────────────────────────────────

@pytest.fixture(scope="module")
def bucket(aws):
    name = "my-events"
    aws.client("s3").create_bucket(Bucket=name,
                                   CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def test_objects_with_awkward_keys(aws, tool, bucket):
    s3 = aws.client("s3")
    for key in AWKWARD_KEYS:
        put = well(tool.ask("s3_put", bucket=bucket, key=key, body=f"body of {key}",
                            type="application/json", metadata=[["workflowid", key[:40]]]
                            if key.isascii() and key.isprintable() else []))
        theirs = s3.get_object(Bucket=bucket, Key=key)
        assert theirs["Body"].read().decode() == f"body of {key}"
        assert theirs["ETag"] == put["etag"]
        assert theirs["ContentType"] == "application/json"
    for key in AWKWARD_KEYS:  # each is still itself: no two were taken for one
        got = well(tool.ask("s3_get", bucket=bucket, key=key))
        assert got["body"] == f"body of {key}"
        assert got["size"] == len(got["body"].encode())
        if key.isascii() and key.isprintable():
            assert got["metadata"] == {"workflowid": key[:40].strip()}
        head = well(tool.ask("s3_head", bucket=bucket, key=key))
        assert {**head, "body": None} == {**got, "body": None}
    listed, token = [], None
    while True:
        page = well(tool.ask("s3_list", bucket=bucket, limit=7, **({"token": token} if token else {})))
        listed += [item["key"] for item in page["items"]]
        token = page["next"]
        if token is None:
            break
    assert listed == sorted(AWKWARD_KEYS, key=str.encode)
    page = well(tool.ask("s3_list", bucket=bucket, prefix="a+", after="a"))
    assert [item["key"] for item in page["items"]] == ["a+b"]
    assert page["items"][0]["size"] == len("body of a+b")


def test_object_as_it_was(aws, tool, bucket):
    s3 = aws.client("s3")
    first = well(tool.ask("s3_put", bucket=bucket, key="k", body="1", absent=True))
    refused(tool.ask("s3_put", bucket=bucket, key="k", body="2", absent=True),
            "conflict", 412, "PreconditionFailed")
    for etag in (first["etag"], first["etag"].strip('"')):
        assert well(tool.ask("s3_get", bucket=bucket, key="k", match=etag))["body"] == "1"
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    refused(tool.ask("s3_get", bucket=bucket, key="k", match=first["etag"]),
            "conflict", 412, "PreconditionFailed")
    refused(tool.ask("s3_get", bucket=bucket, key="gone", match=first["etag"]),
            "not_found", 404, "NoSuchKey")
    assert tool.ask("s3_head", bucket=bucket, key="gone")["error"] == "not_found"
    refused(tool.ask("s3_get", bucket="no-such-bucket", key="k"), "not_found", 404, "NoSuchBucket")


def test_versions(aws, tool):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    old = well(tool.ask("s3_put", bucket="versions", key="k", body="old"))
    new = well(tool.ask("s3_put", bucket="versions", key="k", body="new"))
    assert old["version"] != new["version"]
    got = well(tool.ask("s3_get", bucket="versions", key="k", version=old["version"]))
    assert (got["body"], got["version"]) == ("old", old["version"])
    s3.delete_object(Bucket="versions", Key="k")
    refused(tool.ask("s3_get", bucket="versions", key="k"), "not_found", 404, "NoSuchKey")
    got = well(tool.ask("s3_get", bucket="versions", key="k", version=new["version"]))
    assert got["body"] == "new"


def test_large_objects(aws, tool, bucket):
    body = "0123456789abcdef" * 65536
    well(tool.ask("s3_put", bucket=bucket, key="large", body=body))
    assert well(tool.ask("s3_get", bucket=bucket, key="large", max=1 << 20))["body"] == body
    assert tool.ask("s3_get", bucket=bucket, key="large", max=(1 << 20) - 1)["error"] == "too_large"
    assert tool.ask("s3_get", bucket=bucket, key="k" * 10, max=3)["error"] == "not_found"
    well(tool.ask("s3_put", bucket=bucket, key="small", body="1234"))
    assert well(tool.ask("s3_get", bucket=bucket, key="small", max=4))["body"] == "1234"
    assert tool.ask("s3_get", bucket=bucket, key="small", max=3)["error"] == "too_large"


@pytest.mark.parametrize("request_", [
    {"bucket": "x", "key": "k"}, {"bucket": "../x", "key": "k"}, {"bucket": "bucket", "key": ""},
    {"bucket": "bucket", "key": "k" * 1025}, {"bucket": "bucket", "key": "k", "match": "a\r\nb: c"},
    {"bucket": "bucket", "key": "k", "metadata": [["UPPER", "x"]]},
    {"bucket": "bucket", "key": "k", "metadata": [["a", "x"], ["a", "y"]]},
    {"bucket": "bucket", "key": "k", "metadata": [["a", "ü"]]},
])
def test_requests_that_cannot_be(tool, request_):
    answer = tool.ask("s3_put", body="x", **request_)
    assert (answer["error"], answer["status"]) == ("invalid", 0)
    assert answer["text"].startswith("s3 PutObject: ")


# ── SQS ───────────────────────────────────────────────────────────────────────────────────────

@pytest.fixture
def queue(aws, app):
    return aws.client("sqs").create_queue(QueueName=app)["QueueUrl"]


def test_messages(aws, tool, queue):
    bodies = ["a", "ü", "{\"x\":\"\\\"\"}", "x" * 100_000] + [str(i) for i in range(6)]
    sent = well(tool.ask("sqs_send", queue=queue, entries=[{"body": body} for body in bodies]))
    assert sent["entries"] == ["ok"] * 10
    messages = []
    while len(messages) < 10:
        messages += well(tool.ask("sqs_receive", queue=queue, wait=5, hidden=600))["messages"]
    assert sorted(message["body"] for message in messages) == sorted(bodies)
    assert {message["count"] for message in messages} == {1}
    assert well(tool.ask("sqs_receive", queue=queue))["messages"] == []
    well(tool.ask("sqs_hide", queue=queue, receipt=messages[0]["receipt"], hidden=0))
    again = well(tool.ask("sqs_receive", queue=queue, wait=5))["messages"]
    assert [(message["id"], message["count"]) for message in again] == [(messages[0]["id"], 2)]
    receipts = [again[0]["receipt"]] + [message["receipt"] for message in messages[1:]]
    gone = well(tool.ask("sqs_delete", queue=queue,
                         entries=[{"receipt": receipt} for receipt in receipts]))
    assert gone["entries"] == ["ok"] * 10
    counts = aws.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages",
                                        "ApproximateNumberOfMessagesNotVisible"])["Attributes"]
    assert set(counts.values()) == {"0"}


def test_an_entry_fails_alone(tool, queue):
    well(tool.ask("sqs_send", queue=queue, entries=[{"body": "a"}]))
    receipt = well(tool.ask("sqs_receive", queue=queue, wait=5))["messages"][0]["receipt"]
    answer = well(tool.ask("sqs_delete", queue=queue,
                           entries=[{"receipt": "nonsense"}, {"receipt": receipt}]))
    assert answer["entries"] == ["invalid", "ok"]


def test_a_delayed_message(tool, queue):
    well(tool.ask("sqs_send", queue=queue, entries=[{"body": "late", "delay": 900}]))
    assert well(tool.ask("sqs_receive", queue=queue))["messages"] == []


def test_no_queue(tool, queue):
    refused(tool.ask("sqs_receive", queue=queue + "-gone"), "not_found", 400, "QueueDoesNotExist")
    answer = tool.ask("sqs_delete", queue=queue + "-gone", entries=[{"receipt": CANARY}])
    assert answer["error"] == "not_found" and answer["entries"] == ["not_found"]
    assert CANARY not in answer["text"]


# ── Notices ───────────────────────────────────────────────────────────────────────────────────

OBJECTS, TEST = 0, 1


def read_all(tool, queue, wanted):
    """What the queue's messages tell, until that many objects were told."""
    found = {}
    while len(found) < wanted:
        messages = well(tool.ask("sqs_receive", queue=queue, wait=10, hidden=600))["messages"]
        assert messages, f"only {len(found)} of {wanted} objects were told"
        for message in messages:
            notice = tool.ask("notice", message=message["body"])
            assert notice["kind"] in (OBJECTS, TEST), message
            found.update(zip(notice["keys"], notice["versions"]))
    return found


@pytest.mark.parametrize("way", ["sqs", "sns", "eventbridge"])
def test_notices(aws, tool, queue, app, way):
    s3, sqs = aws.client("s3"), aws.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = arn["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket=app, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=app, VersioningConfiguration={"Status": "Enabled"})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": allow("sqs:SendMessage", arn)})
    if way == "sqs":
        how = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    elif way == "sns":
        sns = aws.client("sns")
        topic = sns.create_topic(Name=app)["TopicArn"]
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy",
                                 AttributeValue=allow("sns:Publish", topic))
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        how = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    else:
        events = aws.client("events")
        events.put_rule(Name=app, EventPattern='{"source":["aws.s3"]}')
        events.put_targets(Rule=app, Targets=[{"Id": "1", "Arn": arn}])
        how = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=app, NotificationConfiguration=how)
    versions = {key: well(tool.ask("s3_put", bucket=app, key=key, body="x"))["version"]
                for key in AWKWARD_KEYS}
    told = read_all(tool, queue, len(versions))
    assert told.keys() == versions.keys()
    if way != "eventbridge":  # there the emulator leaves versions out
        assert told == versions


# ── DynamoDB ──────────────────────────────────────────────────────────────────────────────────

@pytest.fixture(scope="module")
def table(tool):
    well(tool.ask("dynamodb", name="CreateTable", request={
        "TableName": "ledger", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
                      {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"},
                                 {"AttributeName": "sk", "AttributeType": "S"}]}))
    answer = well(tool.ask("dynamodb", name="DescribeTable", request={"TableName": "ledger"}))
    assert answer["reply"]["Table"]["TableStatus"] == "ACTIVE"
    return "ledger"


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def test_items(tool, table):
    item = {**key("é", "E"), "n": {"N": "-7"}, "b": {"B": "AAEC/w=="}, "t": {"BOOL": True}}
    well(tool.ask("dynamodb", name="PutItem", request={
        "TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}))
    answer = refused(tool.ask("dynamodb", name="PutItem", request={
        "TableName": table, "Item": {**key("é", "E"), "x": {"S": CANARY}},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
        "conflict", 400, "ConditionalCheckFailedException")
    assert answer["item"] == item
    got = well(tool.ask("dynamodb", name="GetItem", request={
        "TableName": table, "Key": key("é", "E"), "ConsistentRead": True}))
    assert got["item"] == item
    got = well(tool.ask("dynamodb", name="GetItem",
                        request={"TableName": table, "Key": key("é", "none")}))
    assert "item" not in got
    updated = well(tool.ask("dynamodb", name="UpdateItem", request={
        "TableName": table, "Key": key("é", "E"), "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": "UPDATED_NEW"}))
    assert updated["reply"]["Attributes"] == {"n": {"N": "-6"}}


def test_queries(tool, table):
    items = [{**key("q", f"D#{number:04}"), "n": {"N": str(number)}} for number in range(5)]
    well(tool.ask("dynamodb", name="BatchWriteItem", request={
        "RequestItems": {table: [{"PutRequest": {"Item": item}} for item in items]}}))
    query = {"TableName": table, "KeyConditionExpression": "pk = :p", "Limit": 2,
             "ExpressionAttributeValues": {":p": {"S": "q"}}}
    seen = []
    while True:
        page = well(tool.ask("dynamodb", name="Query", request=query))["reply"]
        seen += page["Items"]
        if not page.get("LastEvaluatedKey"):
            break
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert seen == items
    got = well(tool.ask("dynamodb", name="BatchGetItem", request={
        "RequestItems": {table: {"Keys": [key("q", f"D#{n:04}") for n in (1, 3, 9)]}}}))
    assert sorted(item["n"]["N"] for item in got["reply"]["Responses"][table]) == ["1", "3"]


def test_transactions(tool, table):
    def write(*puts):
        return tool.ask("dynamodb", name="TransactWriteItems", request={"TransactItems": [
            {"Put": {"TableName": table, "Item": item,
                     "ConditionExpression": "attribute_not_exists(pk)"}} for item in puts]})

    well(write(key("t", "E"), key("t", "D#0000")))
    answer = refused(write({**key("t", "new"), "x": {"S": CANARY}}, key("t", "E")),
                     "conflict", 400, "TransactionCanceledException")
    reasons = [reason["Code"] for reason in answer["reply"]["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    got = well(tool.ask("dynamodb", name="GetItem",
                        request={"TableName": table, "Key": key("t", "new")}))
    assert "item" not in got  # all or nothing


def test_what_dynamodb_refuses(tool, table):
    refused(tool.ask("dynamodb", name="GetItem", request={
        "TableName": "missing", "Key": key("a", "b")}),
        "not_found", 400, "ResourceNotFoundException")
    refused(tool.ask("dynamodb", name="GetItem", request={
        "TableName": table, "Key": {CANARY: {"S": CANARY}}}), "invalid", 400, "ValidationException")


# ── Firehose ──────────────────────────────────────────────────────────────────────────────────

def test_records(aws, tool, bucket, role):
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName="log", DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": "log/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})
    lines = ["{\"row\":1}\n", "{\"row\":\"ü\"}\n"]
    assert well(tool.ask("firehose_put", stream="log", records=lines))["put"] == [True, True]

    def written():
        s3 = aws.client("s3")
        found = s3.list_objects_v2(Bucket=bucket, Prefix="log/").get("Contents", [])
        return [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
                for item in found]

    # One object or two, whose names are drawn.
    eventually(lambda: sorted("".join(written()).splitlines(True)) == sorted(lines),
               what="the records in the bucket")
    answer = tool.ask("firehose_put", stream="missing", records=lines)
    refused(answer, "not_found", 400, "ResourceNotFoundException")
    assert answer["put"] == [False, False]


# ── Who we are ────────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("op,request_", [
    ("s3_get", {"bucket": "my-events", "key": "b"}),
    ("sqs_receive", {"queue": "http://localhost/000000000000/q"}),
    ("dynamodb", {"name": "DescribeTable", "request": {"TableName": "ledger"}}),
])
def test_wrong_keys(aws, bucket, table, op, request_):
    for change in ({"AWS_SECRET_ACCESS_KEY": CANARY}, {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN000000000"}):
        tool = AwsTool(env={**aws.environment(), **change})
        answer = tool.ask(op, **request_)
        tool.close()
        assert answer["error"] == "key", (change, answer)
        assert CANARY not in answer["text"]


def test_not_allowed(aws, bucket):
    iam = aws.client("iam")
    iam.create_user(UserName="nobody")
    made = iam.create_access_key(UserName="nobody")["AccessKey"]
    tool = AwsTool(env={**aws.environment(), "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
                        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]})
    answer = tool.ask("dynamodb", name="DescribeTable", request={"TableName": "ledger"})
    tool.close()
    assert answer["error"] == "key"
    assert "is not authorized to perform: dynamodb:DescribeTable" in answer["text"]


def test_a_session(aws, bucket, role):
    made = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    session = {"AWS_ACCESS_KEY_ID": made["AccessKeyId"],
               "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    tool = AwsTool(env={**aws.environment(), **session, "AWS_SESSION_TOKEN": made["SessionToken"]})
    well(tool.ask("s3_put", bucket=bucket, key="by-session", body="x"))
    tool.close()
    tool = AwsTool(env={**aws.environment(), **session})  # its token is missing
    assert tool.ask("s3_put", bucket=bucket, key="by-session", body="x")["error"] == "key"
    tool.close()


def test_keys_that_are_fetched(aws, bucket, role, tmp_path):
    token = tmp_path / "token"
    token.write_text("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.\n")
    base = clean_environment(AWS_REGION=REGION, AWS_ENDPOINT_URL=aws.url)
    for more, source in [
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}, "instance"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/v2/credentials/1"}, "container"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": role}, "web identity"),
    ]:
        tool = AwsTool(env={**base, **more})
        answer = well(tool.ask("credentials"))
        assert answer["source"] == source and answer["id"] and answer["token"]
        if source == "web identity":  # the emulator knows these keys, and whose they are
            well(tool.ask("s3_put", bucket=bucket, key="by-web-identity", body="x"))
        tool.close()


def test_nobody_there(aws):
    tool = AwsTool(env={**aws.environment(), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    answer = tool.ask("s3_get", bucket="bucket", key="k")
    tool.close()
    assert (answer["error"], answer["text"]) == ("unavailable",
                                                 "s3 GetObject: connection refused")
