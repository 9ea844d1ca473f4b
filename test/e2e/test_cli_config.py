"""`gwh config` and `gwh keys`: what was asked for is what happens, and it is told as it is."""

import json
import re

import pytest

from harness import signature
from harness.cli import failed, said
from harness.events import TYPE, subscribe
from harness.receiver import Reply
from harness.server import CANARY
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(60))


# ── Every field ──────────────────────────────────────────────────────────────────────────────────


def test_every_field_has_an_option(shared_server, shared, receiver, app, tmp_path):
    cli, pair = shared_server.cli, (app, TYPE)
    (tmp_path / "filter.json").write_text('{"b": [{"exists": true}]}')
    said(cli("config", "create", *pair, "--url", receiver.url(), "--filter", '{"a":["x"]}',
             "--block", "customer.name", "--block", "/a.b/c", "--metadata-key", "workflowId",
             "--rate-limit", 50, "--schemes", "standard,ed25519,body", "--body-header", "x-sig",
             "--body-encoding", "base64", "--delete-app-id", "--max-in-flight", 3))  # fmt: skip
    stored = shared.config(*pair).result
    told = {
        "filter": {"a": ["x"]},
        "payloadBlocklist": ["customer.name", "/a.b/c"],
        "additionalMetadataKeys": ["workflowId"],
        "rateLimit": 50,
        "signing": {"schemes": ["standard", "ed25519", "body"], "bodyHeader": "x-sig",
                    "bodyEncoding": "base64"},
        "deleteAppId": True,
        "maxInFlight": 3,
    }  # fmt: skip
    assert {f: stored[f] for f in told} == told
    text = said(cli("config", "get", *pair))
    for shown in ("customer.name", "/a.b/c", "workflowId", "whpk_", "x-sig", "base64"):
        assert shown in text

    # What is given is replaced, objects member by member.
    said(cli("config", "update", *pair, "--filter", "@" + str(tmp_path / "filter.json"),
             "--block", "x", "--schemes", "body", "--rate-limit", "none"))  # fmt: skip
    changed = shared.config(*pair).result
    assert changed["filter"] == {"a": ["x"], "b": [{"exists": True}]}
    assert changed["payloadBlocklist"] == ["x"] and changed["rateLimit"] is None
    assert changed["signing"] == told["signing"] | {"schemes": ["body"]}
    assert changed["additionalMetadataKeys"] == ["workflowId"]

    said(cli("config", "update", *pair, "--filter", "none", "--block", "none",
             "--metadata-key", "none", "--delete-app-id=false"))  # fmt: skip
    empty = shared.config(*pair).result
    assert (empty["filter"], empty["payloadBlocklist"]) == (None, [])
    assert (empty["additionalMetadataKeys"], empty["deleteAppId"]) == ([], False)
    failed(cli("config", "update", *pair, "--filter", "{"), 2, "--filter: must be a JSON object")
    failed(cli("config", "update", *pair, "--filter", "@/nothing/there"), 1, "/nothing/there")
    failed(cli("config", "update", *pair, "--schemes", "hmac"), 1, "signing.schemes[0]", "hmac")


# ── config test ──────────────────────────────────────────────────────────────────────────────────


def test_a_test_that_arrives(shared_server, shared, receiver, app):
    made = subscribe(shared, app, receiver.url("/hook"))
    receiver.script("/hook", Reply(status=202, body=b"thank\x1b you\n"))
    text = said(shared_server.cli("config", "test", app, TYPE))
    assert text.startswith("delivered\n") and "answered 202 after" in text and "127.0.0.1" in text
    assert "It answered: thank\ufffd you\n" in text
    request = receiver.one("/hook")
    signature.check(request, made["secret"])
    assert json.loads(request.body)["appId"] == app
    assert shared.deliveries(appId=app) == []


def test_a_test_with_an_event_of_ones_own(shared_server, shared, receiver, app, tmp_path):
    subscribe(shared, app, receiver.url())
    event = b' {"n": 1.50,\n "note": "%s"} ' % CANARY.encode()
    file = tmp_path / "event.json"
    file.write_bytes(event)
    told = json.loads(said(shared_server.cli("config", "test", app, TYPE, "--event", file, "--json")))
    assert told["result"]["outcome"] == "success" and told["result"]["n"] == 1
    said(shared_server.cli("config", "test", "--event", "-", app, "--type", TYPE, input=event))
    assert [r.body.strip() for r in receiver.wait(2)] == [event.strip()] * 2
    for wrong in ("[1]", "{", "", CANARY):
        result = shared_server.cli("config", "test", app, TYPE, "--event", "-", input=wrong)
        failed(result, 2, "--event: must be a JSON object")
    assert len(receiver.requests()) == 2


def test_a_test_that_fails(shared_server, shared, receiver, app):
    subscribe(shared, app, receiver.url())
    ending = Reply(status=500, body=b"out of order", close=True)
    receiver.script("/", ending, Reply(reset=True))
    text = said(shared_server.cli("config", "test", app, TYPE), 1)
    assert text.startswith("not delivered\n") and "http_error" in text and "500" in text
    assert "out of order" in text
    text = said(shared_server.cli("config", "test", app, TYPE), 1)
    assert "reset" in text and len(text.splitlines()) > 2  # and what to do about it
    told = json.loads(said(shared_server.cli("config", "test", app, TYPE, "--json")))
    assert told["result"]["outcome"] == "success"
    failed(shared_server.cli("config", "test", app, "OTHER"), 1, "no config")


# ── The pair ─────────────────────────────────────────────────────────────────────────────────────


def test_app_and_type_as_words_or_as_options(shared_server, receiver, app):
    cli = shared_server.cli
    said(cli("config", "create", app, "--url", receiver.url(), "--type", TYPE))
    for pair in ((app, TYPE), (TYPE, "--app", app), ("--type", TYPE, "--app", app)):
        assert app in said(cli("config", "get", *pair))
    failed(cli("config", "get", app, TYPE, "more"), 2, "more")
    failed(cli("config", "get", app, "--app", app, TYPE), 2, TYPE)
    failed(cli("config", "rotate", app), 2, "TYPE is missing")
    failed(cli("config", "delete"), 2, "APP is missing")
    failed(cli("config", "update", app, TYPE, "--file", "-"), 2, "--file")
    failed(cli("config", "create", app, TYPE), 2, "--url")
    (secret,) = re.findall(r"whsec_\S+", said(cli("config", "rotate", app, TYPE, "--now")))
    assert secret in said(cli("config", "get", app, TYPE, "--show-secret"))
    said(cli("config", "delete", app, TYPE))
    failed(cli("config", "get", app, TYPE), 1, "no config")


# ── import ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def elsewhere(servers_of_module):
    """Another server, to which configs move."""
    return servers_of_module().start()


def test_configs_move_to_another_server(shared_server, shared, elsewhere, receiver, app, tmp_path):
    """With their secrets, so that their clients notice nothing."""
    more = {"filter": {"n": [12345678901234567890123]}, "headers": {"x-a": "1"}, "rateLimit": 5}
    made = [subscribe(shared, app, receiver.url(), type=type, **more) for type in ("A", "B")]
    file = tmp_path / "configs.json"
    file.write_text(said(shared_server.cli("config", "list", "--app", app, "--show-secret", "--json")))
    text = said(elsewhere.cli("config", "import", file))
    assert "2 created, 0 changed, 0 kept, 0 refused" in text and "new secret" not in text
    for one in made:
        there = elsewhere.api.config(app, one["eventType"], shareSecret="true").result
        here = shared.config(app, one["eventType"], shareSecret="true").result
        for told in ("createdAt", "updatedAt"):
            del there[told], here[told]
        assert there == here and there["secret"] == one["secret"]


def test_import_tells_what_became_of_each(shared_server, shared, receiver, app):
    old = subscribe(shared, app, receiver.url("/old"), type="OLD")
    lines = [
        {"appId": app, "eventType": "NEW", "webhookUrl": receiver.url(), "secret": "whsec_…AbCd",
         "version": 7},
        {"appId": app, "eventType": "OLD", "webhookUrl": receiver.url("/new")},
        {"appId": app, "eventType": "BAD", "webhookUrl": "ftp://x/"},
        [7],
    ]  # fmt: skip
    text = "\n".join(json.dumps(line) for line in lines)
    told = said(shared_server.cli("config", "import", "-", input=text), 1)
    assert "1 created, 0 changed, 1 kept, 2 refused" in told and "1 got a new secret" in told
    assert "webhookUrl" in told and "must be a JSON object" in told
    assert shared.config(app, "NEW").result["version"] == 1
    assert shared.config(app, "OLD").result["webhookUrl"] == receiver.url("/old")
    told = said(shared_server.cli("config", "import", "--update", "-", input=json.dumps(lines[1])))
    assert "0 created, 1 changed, 0 kept, 0 refused" in told
    now = shared.config(app, "OLD", shareSecret="true").result
    assert now["webhookUrl"] == receiver.url("/new") and now["secret"] == old["secret"]
    answers = said(shared_server.cli("config", "import", "-", "--json", input=text), 1)
    assert [json.loads(line)["statusCode"] for line in answers.splitlines()] == [409, 409, 400, 400]


def test_import_bad_usage(shared_server, app):
    good = json.dumps({"appId": app, "eventType": "T", "webhookUrl": "https://a.example/"})
    result = shared_server.cli("config", "import", "-", input=good + "\n{nonsense")
    failed(result, 1, "config import", "standard input", f"byte {len(good) + 3}")
    assert "1 created" in result.stdout.decode()
    failed(shared_server.cli("config", "import"), 2, "usage")
    failed(shared_server.cli("config", "import", "/nothing/there"), 1, "/nothing/there")
    failed(shared_server.cli("config", "list", "--show-secret"), 2, "--show-secret", "--json")
