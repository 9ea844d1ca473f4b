"""Answers of AWS that are cut, false or hostile: none of them is ever taken for data."""

import re

import pytest
from harness.aws_tool import AwsTool
from harness.hostile import Peer, hang, reset
from harness.server import CANARY, clean_environment

pytestmark = pytest.mark.one_thread

GET = ("s3_get", {"bucket": "bucket", "key": "k", "max": 100})
LIST = ("s3_list", {"bucket": "bucket"})
ITEM = ("dynamodb", {"name": "GetItem", "request": {"TableName": "table"}})
OK = "HTTP/1.1 200 OK\r\n"


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.I)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)


def ask(call, behave, **more):
    def after_request(peer, connection):
        read_request(connection)
        behave(peer, connection)

    peer = Peer(after_request)
    tool = AwsTool(env=clean_environment(
        AWS_REGION="eu-west-1", AWS_ENDPOINT_URL=peer.url("/"), AWS_ACCESS_KEY_ID="id",
        AWS_SECRET_ACCESS_KEY=CANARY))
    op, request = call
    answer = tool.ask(op, **request, **more)
    tool.close()
    peer.close()
    assert CANARY not in answer["text"]
    return answer


def says(text):
    return lambda peer, connection: connection.sendall(text.encode())


@pytest.mark.parametrize("call,reply,error,text", [
    (GET, OK + "Content-Length: 10\r\n\r\nabc", "unavailable", "the answer was cut short"),
    (GET, OK + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "unavailable", "cut short"),
    (GET, OK + "Content-Length: 70000\r\n\r\n" + "x" * 70000, "too_large", "at most"),
    (GET, OK + "Content-Length: 101\r\n\r\n" + "x" * 101, "too_large", "at most 100 bytes"),
    (GET, OK + "Content-Length: 100\r\n\r\n" + "x" * 100, None, ""),
    (GET, OK + "\r\n" + "x", "unavailable", "cut short"),  # who knows
    (GET, OK + "\r\n", "unavailable", "cut short"),
    (GET, OK + "".join(f"x-amz-meta-{n}: x\r\n" for n in range(65)) + "Content-Length: 0\r\n\r\n",
     "too_large", "metadata: must have at most 64 names"),
    (GET, f"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/{CANARY}\r\nContent-Length: 0\r\n\r\n",
     "invalid", "status 301"),
    (GET, "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n<E", "unavailable", "status 500"),
    (GET, "HTTP/1.1 403 No\r\nContent-Length: 60\r\n\r\n<Error><Code>AccessDenied</Code>"
          "<Message>not you</Message></Err", "key", "AccessDenied: not you"),
    (GET, "nonsense\r\n\r\n", "unavailable", "not HTTP"),
    (GET, OK + f"{CANARY}\r\n\r\n", "unavailable", "not HTTP"),
    (LIST, OK + "Content-Length: 9\r\n\r\n<!DOCTYPE", "unavailable", "malformed"),
    (ITEM, OK + "Content-Length: 9\r\n\r\n{\"Item\":{", "unavailable", "no JSON"),
    (ITEM, OK + "Content-Length: 20\r\n\r\n{\"Item\":{}}", "unavailable", "cut short"),
    (ITEM, OK + "Content-Length: 2\r\n\r\n[]", "unavailable", "no JSON object"),
    (ITEM, OK + "Content-Length: 0\r\n\r\n", "unavailable", "the answer is empty"),
    (ITEM, OK + "Content-Length: 2\r\n\r\n{}", None, ""),
    (ITEM, "HTTP/1.1 400 No\r\nx-amzn-ErrorType: a#ThrottlingException:http://x\r\nRetry-After: 3\r\n"
           "Content-Length: 0\r\n\r\n", "busy", "ThrottlingException"),
])
def test_replies(call, reply, error, text):
    answer = ask(call, says(reply))
    assert answer["error"] == error and text in answer["text"], answer
    if error == "busy":
        assert answer["retryAfterMs"] == 3000


def test_no_reply():
    assert ask(GET, lambda peer, connection: None)["error"] == "unavailable"
    assert ask(GET, lambda peer, connection: reset(connection))["error"] == "unavailable"
    assert ask(GET, hang, deadlineMs=300)["error"] == "timeout"
    answer = ask(ITEM, hang, deadlineMs=300)
    assert (answer["error"], answer["status"]) == ("timeout", 0)
