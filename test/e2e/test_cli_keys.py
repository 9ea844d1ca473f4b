"""`gwh keys` and `gwh config history`: who may call, and who did what."""

import json
import re

import pytest

from harness.api import Api
from harness.cli import failed, said
from harness.events import TYPE, event
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(60))

URL = "https://93.184.216.34/hook"  # a public address; nothing is sent to it here


def make_key(server, *args):
    """The key alone, as GWH_KEY=$(gwh keys create …) takes it; and its id."""
    result = server.cli("keys", "create", *args)
    text = said(result)
    assert text.endswith("\n") and text.count("\n") == 1
    (id,) = re.findall(rb"key_[0-9a-f]{16}", result.stderr)
    assert text.strip().rpartition(":")[2].encode() not in result.stderr
    return text.strip(), id.decode()


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_from_its_making_to_its_end(shared_server, shared, app):
    cli = shared_server.cli
    key, id = make_key(shared_server, "--role", "client", "--scope", app, "--name", "the shop")
    assert key.startswith(app + ":")
    own = {"GWH_KEY": key}
    said(cli("config", "create", app, TYPE, "--url", URL, env=own))
    assert TYPE in said(cli("config", "list", env=own))
    failed(cli("config", "create", app + "x", TYPE, "--url", URL, env=own), 1, "appId")
    failed(cli("keys", "list", env=own), 1, "admin")
    failed(cli("send", "-", input=json.dumps(event(app)), env=own), 1, "producer")

    (row,) = [line for line in said(cli("keys", "list")).splitlines() if id in line]
    assert app in row and "the shop" in row and "client" in row
    (listed,) = [k for k in all_keys(cli) if k["id"] == id]
    assert listed == {
        "id": id, "appid": app, "roles": ["client"], "scope": app, "name": "the shop",
        "createdAt": listed["createdAt"],
    }  # fmt: skip
    assert key.partition(":")[2] not in said(cli("keys", "list", "--wide"))

    assert id in said(cli("keys", "revoke", id))
    for _ in range(8):  # on whichever thread it comes
        failed(cli("config", "list", env=own), 1, "credentials")
    failed(cli("keys", "revoke", id), 1, "no such key")
    assert id not in said(cli("keys", "list"))


def all_keys(cli):
    items, cursor = [], ()
    while True:
        page = json.loads(said(cli("keys", "list", "--json", *cursor)))["result"]
        items += page["items"]
        if not page["next"]:
            return items
        cursor = ("--cursor", page["next"])


def test_a_key_for_any_app(shared_server, shared, receiver, app):
    failed(shared_server.cli("keys", "create", "--role", "producer", "--scope", "*"), 1, "name")
    key, id = make_key(shared_server, "--role", "producer", "--scope", "*", "--name", app + "-portal")
    own = {"GWH_KEY": key}
    assert key.startswith(app + "-portal:")
    for name in (app, app + "-2"):
        said(shared_server.cli("send", "-", input=json.dumps(event(name)), env=own))
    failed(shared_server.cli("deliveries", env=own), 1, "role")
    said(shared_server.cli("keys", "revoke", id))


def test_two_keys_of_one_app(shared_server, shared, app):
    """One takes the other's place without a gap."""
    old, old_id = make_key(shared_server, "--role", "viewer", "--scope", app)
    new, new_id = make_key(shared_server, "--role", "client, viewer", "--scope", app)
    for key in (old, new):
        said(shared_server.cli("deliveries", env={"GWH_KEY": key}))
    failed(shared_server.cli("config", "create", app, TYPE, "--url", URL, env={"GWH_KEY": old}), 1,
           "client")  # fmt: skip
    said(shared_server.cli("keys", "revoke", old_id))
    failed(shared_server.cli("deliveries", env={"GWH_KEY": old}), 1, "credentials")
    said(shared_server.cli("config", "create", app, TYPE, "--url", URL, env={"GWH_KEY": new}))
    text = said(shared_server.cli("keys", "create", "--role", "client", "--scope", app, "--json"))
    made = json.loads(text)["result"]
    assert made["appid"] == made["scope"] == app and made["roles"] == ["client"] and made["appkey"]
    both = shared_server.cli("keys", "revoke", new_id, "key_" + "0" * 16, made["id"])
    failed(both, 1, "no such key")  # the others are revoked all the same
    assert not {made["id"], new_id} & {k["id"] for k in all_keys(shared_server.cli)}


@pytest.mark.parametrize("name", ["a b", "a:b", "漢字 é", "x" * 256])
def test_keys_of_apps_with_any_name(shared_server, name):
    key, id = make_key(shared_server, "--role", "viewer", "--scope", name)
    assert "no deliveries" in said(shared_server.cli("deliveries", env={"GWH_KEY": key}))
    said(shared_server.cli("keys", "revoke", id))


def test_bad_keys(shared_server, app):
    cli = shared_server.cli
    failed(cli("keys", "create", "--scope", app), 2, "--role is missing")
    failed(cli("keys", "create", "--role", "admin"), 2, "--scope is missing")
    failed(cli("keys", "create", "--role", "boss", "--scope", app), 1, "roles", "boss", "producer")
    failed(cli("keys", "create", "--role", "", "--scope", app), 1, "roles")
    failed(cli("keys", "revoke"), 2, "usage")
    failed(cli("keys", "list", env={"GWH_KEY": "no colon"}), 2, "GWH_KEY: must be appid:appkey")


# ── config history ───────────────────────────────────────────────────────────────────────────────


def blocks(text):
    """Each entry: its head, and its lines."""
    entries = [block.splitlines() for block in text.split("\n\n")]
    return [(head, [line.strip() for line in lines]) for head, *lines in entries]


def test_the_history_of_a_config(shared_server, shared, app):
    cli = shared_server.cli
    key, id = make_key(shared_server, "--role", "client", "--scope", app)
    own = {"GWH_KEY": key}
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
    said(cli("keys", "revoke", id))


def test_a_long_history_is_told_whole(shared_server, shared, app):
    shared.create(appId=app, eventType=TYPE, webhookUrl=URL)
    with shared.connect() as connection:
        for n in range(260):
            body = {"appId": app, "eventType": TYPE, "product": f"p{n}"}
            connection.call("PATCH", "/v1/config", body).expect(200)
    entries = blocks(said(shared_server.cli("config", "history", app, TYPE)))
    assert [f"(version {n})" in head for n, (head, _) in zip(range(261, 0, -1), entries)] == [True] * 261
    assert entries[0][1] == ["- product: p258", "+ product: p259"]
