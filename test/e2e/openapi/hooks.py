"""What schemathesis has to be told: loopback only, and what NDJSON is."""

import json
import os
import re

import jsonschema_rs
import schemathesis

URL = re.compile(r"https?://[^/?#]+")
RECEIVER = os.environ["OPENAPI_TEST_RECEIVER"]


def aimed(value):
    """Whatever host was made up: it is the test's own receiver that is called."""
    return URL.sub(RECEIVER, value, count=1) if isinstance(value, str) else value


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict):
        return
    if "webhookUrl" in body:
        body["webhookUrl"] = aimed(body["webhookUrl"])
    if isinstance(body.get("workflows"), dict):
        for name, urls in body["workflows"].items():
            if isinstance(urls, list):
                body["workflows"][name] = [aimed(url) for url in urls]


@schemathesis.serializer("application/x-ndjson")
def to_lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.check
def each_line_conforms(ctx, response, case):
    """An answer to each line, each of the form that the file says."""
    if response.status_code != 200 or case.media_type != "application/x-ndjson":
        return
    raw = case.operation.schema.raw_schema
    line = {"$ref": "#/components/schemas/BatchLine", "components": raw["components"]}
    conforms = jsonschema_rs.Draft202012Validator(line)
    assert response.content.endswith(b"\n")
    lines = response.content[:-1].split(b"\n")
    for text in lines:
        conforms.validate(json.loads(text))
    sent = response.request.body or b""
    assert len(lines) == sent.count(b"\n") + (not sent.endswith(b"\n"))
