"""The SigV4 signer, compared with botocore: the same signature for the same request, and for S3 the
same request target for the same key."""

import datetime
import random

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from harness.aws_tool import AwsTool

pytestmark = pytest.mark.one_thread

AWKWARD_KEYS = [
    "a/../b", "../b", "a/./b", ".", "..", "/", "//", "a//b", "/a", "a/", "a+b", "a b", "a%2Fb",
    "%2F", "%", "%25", "ü/ß/漢字", "🦀", "a?b=c&d", "#x", "~user", "a=b", "a:b@c!$'()*,;[]", "\\",
    "\"<>^`{|}", "a\tb", "a\nb", "é", "e\u0301", "x" * 900,
]


@pytest.fixture(scope="module")
def tool():
    tool = AwsTool()
    yield tool
    tool.close()


def at(monkeypatch, now_ms):
    now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: now)


def authorization(lines):
    return next(line.split(": ", 1)[1] for line in lines if line.startswith("authorization: "))


def random_text(rng, chars, most, least=0):
    return "".join(rng.choice(chars) for _ in range(rng.randint(least, most)))


ANY = "abcXYZ019-_.~/+%=&?#:;,@!$'()*[] \"<>\\^`{|}\t" "éüß漢🦀"
VALUES = "abcXYZ019  -_./+%=&?;,\"\t"


def random_request(rng):
    service = rng.choice(["s3", "s3", "sqs", "dynamodb", "firehose", "sts"])
    names = {random_text(rng, "abcxyz019-", 12, 1).strip("-") or "n" for _ in range(rng.randint(0, 5))}
    return {
        "service": service,
        "region": rng.choice(["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"]),
        "id": random_text(rng, "AKI019", 20, 16),
        "secret": rng.choice([random_text(rng, "abcXYZ019/+", 40, 1), "kept" * 10]),
        "token": rng.choice(["", random_text(rng, "abcXYZ019/+=", 400, 1)]),
        "now_ms": rng.randint(1_300_000_000_000, 4_000_000_000_000),
        "method": rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "host": rng.choice(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:4566", "[::1]:80"]),
        "path": "/" + (random_text(rng, ANY, 40) if service == "s3" else ""),
        "params": [[random_text(rng, ANY, 6, 1), random_text(rng, ANY, 12)]
                   for _ in range(rng.randint(0, 5))],
        "fields": [["x-" + name, random_text(rng, VALUES, 30)] for name in sorted(names)],
        "body": random_text(rng, ANY, 200),
    }


def botocores(monkeypatch, request, target):
    """The Authorization that botocore gives a request for this very target."""
    at(monkeypatch, request["now_ms"])
    theirs = AWSRequest(request["method"], f"http://{request['host']}{target}",
                        headers={"Host": request["host"], **dict(request["fields"])},
                        data=request["body"].encode())
    kind = botocore.auth.S3SigV4Auth if request["service"] == "s3" else botocore.auth.SigV4Auth
    keys = Credentials(request["id"], request["secret"], request["token"] or None)
    kind(keys, request["service"], request["region"]).add_auth(theirs)
    return theirs.headers["Authorization"]


def test_random_requests(tool, monkeypatch):
    rng = random.Random(20261124)
    for number in range(4000):
        request = random_request(rng)
        answer = tool.ask("sign", **request)
        wanted = botocores(monkeypatch, request, answer["target"])
        assert authorization(answer["lines"]) == wanted, f"request {number}: {request}"


def sent_by_botocore(key, params):
    """What botocore would send for this key: the target and the whole header."""
    client = botocore.session.Session().create_client(
        "s3", region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret")
    seen = []

    def keep(request, **_):
        seen.append(request)
        return AWSResponse(request.url, 200, {}, None)

    client.meta.events.register("before-send.s3.GetObject", keep)
    try:
        client.get_object(Bucket="bucket", Key=key, **params)
    except Exception:  # it wants a body; the request is all that counts
        assert seen
    return seen[0]


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_awkward_keys(tool, monkeypatch, key):
    now_ms = 1_790_000_000_000
    at(monkeypatch, now_ms)
    theirs = sent_by_botocore(key, {"VersionId": "a+b/c=="})
    answer = tool.ask("sign", service="s3", region="eu-west-1", id="id", secret="secret", token="",
                      now_ms=now_ms, method="GET", host="bucket.s3.eu-west-1.amazonaws.com",
                      path="/" + key, params=[["versionId", "a+b/c=="]], fields=[], body="")
    assert theirs.url == "https://bucket.s3.eu-west-1.amazonaws.com" + answer["target"]
    signed = theirs.headers["Authorization"].decode()
    extra = sorted(set(signed.split("SignedHeaders=")[1].split(",")[0].split(";")) -
                   {"host", "x-amz-date", "x-amz-content-sha256"})
    fields = [[name, theirs.headers[name].decode() if isinstance(theirs.headers[name], bytes)
               else theirs.headers[name]] for name in extra]
    answer = tool.ask("sign", service="s3", region="eu-west-1", id="id", secret="secret", token="",
                      now_ms=now_ms, method="GET", host="bucket.s3.eu-west-1.amazonaws.com",
                      path="/" + key, params=[["versionId", "a+b/c=="]], fields=fields, body="")
    assert authorization(answer["lines"]) == signed
