"""`gwh keys`: who may call, and with what."""

import json
import re

import pytest

from harness.api import Api
from harness.cli import failed, said
from harness.events import TYPE, event
from harness.waiting import seconds

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


def test_an_admin_key_with_colons(servers):
    """The last one parts the two, for the server as for its clients."""
    key = "ops:eu:0123456789abcdef"
    server = servers(env={"GWH_ADMIN_KEY": key}).start()
    said(server.cli("keys", "list"))
    assert Api(server.address, key).headers["appid"] == "ops:eu"
    server.api.get("/v1/keys").expect(200)
    failed(server.cli("keys", "list", env={"GWH_KEY": "ops:eu:x"}), 1, "credentials")


def test_bad_keys(shared_server, app):
    cli = shared_server.cli
    failed(cli("keys", "create", "--scope", app), 2, "--role is missing")
    failed(cli("keys", "create", "--role", "admin"), 2, "--scope is missing")
    failed(cli("keys", "create", "--role", "boss", "--scope", app), 1, "roles", "boss", "producer")
    failed(cli("keys", "create", "--role", "", "--scope", app), 1, "roles")
    failed(cli("keys", "revoke"), 2, "usage")
    failed(cli("keys", "list", env={"GWH_KEY": "no colon"}), 2, "GWH_KEY: must be appid:appkey")
