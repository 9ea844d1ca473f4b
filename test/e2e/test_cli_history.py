"""`gwh config history`: who changed what of a config, and when; and the audit log behind it."""

import json
import re

import pytest

from harness.cli import failed, said
from harness.events import TYPE, subscribe
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(60))

URL = "https://93.184.216.34/hook"  # a public address; nothing is sent to it here


@pytest.fixture
def own(shared, app):
    """The environment of somebody with a key for the app."""
    key = shared.call("POST", "/v1/keys", {"roles": ["client"], "scope": app}).expect(201).result
    return {"GWH_KEY": f"{key['appid']}:{key['appkey']}"}


def blocks(text):
    """Each entry: its head, and its lines."""
    entries = [block.splitlines() for block in text.split("\n\n")]
    return [(head, [line.strip() for line in lines]) for head, *lines in entries]


def test_the_history_of_a_config(shared_server, app, own):
    cli = shared_server.cli
    secret = re.findall(r"whsec_\S+", said(cli("config", "create", app, TYPE, "--url", URL)))[0]
    said(cli("config", "update", app, TYPE, "--header", "x-a: 1", "--header", "x-key: hidden",
             "--product", "shop", "--retry", "1,2", env=own))  # fmt: skip
    said(cli("config", "update", app, TYPE, "--url", URL + "/new", "--header", "x-a: 2",
             "--filter", '{"n":[1]}', "--inactive", env=own))  # fmt: skip
    said(cli("config", "update", app, TYPE, "--header", "x-key: secret", "--filter", "none"))
    rotated = said(cli("config", "rotate", app, TYPE))
    failed(cli("config", "update", app, TYPE, "--max-in-flight", 0), 1)  # leaves no trace
    said(cli("config", "delete", app, TYPE))

    text = said(cli("config", "history", app, TYPE))
    deleted, new_secret, fourth, third, second, created = blocks(text)
    for entry, what in ((created, "created (version 1) by admin from 127.0.0.1"),
                        (second, f"updated (version 2) by {app}"), (third, "updated (version 3)"),
                        (new_secret, "rotated (version 5) by admin"), (deleted, "deleted")):  # fmt: skip
        assert what in entry[0] and re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", entry[0]), text
    assert f"+ webhookUrl: {URL}" in created[1] and "~ secret" in created[1]
    assert not re.search(r"\[\]|\{\}|null|appId", text)
    assert second[1] == [
        "+ product: shop", "+ headers.x-a: 1", "+ headers.x-key: …",
        "- retry.schedule: [5,300,1800,7200,18000,36000,36000]", "+ retry.schedule: [1,2]",
    ]  # fmt: skip
    assert third[1] == [
        f"- webhookUrl: {URL}", f"+ webhookUrl: {URL}/new", "- isActive: true", "+ isActive: false",
        "- headers.x-a: 1", "+ headers.x-a: 2", "+ filter.n: [1]",
    ]  # fmt: skip
    assert fourth[1] == ["~ headers", "- filter.n: [1]"]
    assert new_secret[1] == ["~ secret"]
    assert f"- webhookUrl: {URL}/new" in deleted[1]
    for hidden in (secret, *re.findall(r"whsec_\S+", rotated), "hidden", "x-key: secret"):
        assert hidden not in text
    told = json.loads(said(cli("config", "history", app, TYPE, "--json")))["result"]
    assert [i["action"] for i in told["items"]][:2] == ["config_deleted", "config_rotated"]
    assert "no such config" in said(cli("config", "history", app, "OTHER"))


def test_numbers_keep_their_digits(shared_server, app, tmp_path):
    """Also those that no double holds: in the history, on the page, and sent back from a file."""
    cli, pair = shared_server.cli, (app, TYPE)
    filters = ['{"n":[{"numeric":[">",123456789012345678901234567890.25]}]}', '{"n":[1e400]}']
    said(cli("config", "create", *pair, "--url", URL, "--filter", filters[0]))
    said(cli("config", "update", *pair, "--filter", filters[1]))
    file = tmp_path / "config.json"
    for filter in filters:
        said(cli("config", "update", *pair, "--filter", filter))
        assert filter[len('{"n":') : -1] in said(cli("config", "get", *pair))
        file.write_text(said(cli("config", "get", *pair, "--json")))
        said(cli("config", "update", "--file", file))
        assert f'"filter":{filter}' in said(cli("config", "get", *pair, "--json"))
    entries = blocks(said(cli("config", "history", *pair)))
    assert [f"(version {n})" in head for n, (head, _) in zip(range(6, 0, -1), entries)] == [True] * 6
    first, second = (filter[len('{"n":') : -1] for filter in filters)
    assert entries[4][1] == [f"- filter.n: {first}", f"+ filter.n: {second}"]
    assert f'"from":{filters[0]},"to":{filters[1]}' in said(cli("config", "history", *pair, "--json"))


def test_a_long_history_is_told_whole(shared_server, shared, app):
    subscribe(shared, app, URL)
    with shared.connect() as connection:
        for n in range(260):
            body = {"appId": app, "eventType": TYPE, "product": f"p{n}"}
            connection.call("PATCH", "/v1/config", body).expect(200)
    entries = blocks(said(shared_server.cli("config", "history", app, TYPE)))
    assert [f"(version {n})" in head for n, (head, _) in zip(range(261, 0, -1), entries)] == [True] * 261
    assert entries[0][1] == ["- product: p258", "+ product: p259"]


def test_what_commands_do_is_written_down(shared_server, shared, receiver, app, own):
    cli, pair = shared_server.cli, (app, TYPE)
    said(cli("config", "create", *pair, "--url", receiver.url()))
    said(cli("config", "get", *pair))
    said(cli("config", "get", *pair, "--show-secret", env=own))
    said(cli("config", "test", *pair, env=own))
    said(cli("config", "rotate", *pair, "--now"))
    said(cli("config", "delete", *pair))
    (id,) = re.findall(rb"key_[0-9a-f]+", cli("keys", "create", "--role", "viewer", "--scope", app).stderr)
    said(cli("keys", "revoke", id.decode()))
    items = shared.get("/v1/audit", appId=app).expect(200).result["items"]
    told = [(i["action"], i["actor"].split(" ")[0]) for i in reversed(items)]
    assert told == [
        ("key_created", "admin"), ("config_created", "admin"), ("secret_shown", app),
        ("test_sent", app), ("config_rotated", "admin"), ("config_deleted", "admin"),
        ("key_created", "admin"), ("key_revoked", "admin"),
    ]  # fmt: skip
    assert {i["address"] for i in items} == {"127.0.0.1"}
