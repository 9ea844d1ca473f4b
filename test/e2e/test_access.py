"""Who may call what: every operation by every kind of caller, for its own app and for another's;
keys, tokens and the external service; what is written down."""

import itertools
import json
import threading
import time
from types import SimpleNamespace

import pytest

from harness.access import FOREIGN, MISSING, Signer, caller, make_key
from harness.api import Connection, failed
from harness.dns import NameServer
from harness.events import TYPE, event, settled, subscribe
from harness.openapi import DOC
from harness.receiver import Reply
from harness.server import run
from harness.tls import Authority
from harness.waiting import eventually, seconds

ADMIN, PRODUCER, CLIENT, VIEWER = "admin", "producer", "client", "viewer"
ROLES = (ADMIN, PRODUCER, CLIENT, VIEWER)
LOOKING = (ADMIN, CLIENT, VIEWER)

# ── The world ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def signer():
    return Signer()


@pytest.fixture(scope="module")
def service():
    """The external service: 200 for the key "right", and it counts."""
    from harness.receiver import Receiver

    made = Receiver()
    made.always("/check", lambda request: 200 if request.header("appkey") == "right" else 401)
    yield made
    made.close()


def _populate(api, receiver, app):
    """An app with a config, a delivered and a dead event."""
    subscribe(api, app, receiver.url(f"/{app}?token=t0ken-{app}"), headers={"x-app": app})
    subscribe(api, app, receiver.url(f"/{app}/gone"), "GONE")
    receiver.always(f"/{app}/gone", 410)
    ids = SimpleNamespace(app=app, url=receiver.url(f"/{app}/gone"))
    sent = api.send(event(app, eventId="e-1", transactionId="t-1"))
    ids.message, ids.delivery = sent["id"], sent["deliveries"][0]["id"]
    settled(api, ids.delivery, "delivered")
    sent = api.send(event(app, "GONE", eventId="e-2", transactionId="t-1"))
    ids.dead = sent["deliveries"][0]["id"]
    settled(api, ids.dead, "dead")
    ids.key, ids.viewer = make_key(api, VIEWER, scope=app)
    return ids


@pytest.fixture(scope="module")
def world(servers_of_module, signer, service):
    """A server with two apps of each kind of caller: what is one's own, and what is not."""
    from harness.receiver import Receiver

    receiver = Receiver()
    server = servers_of_module(
        "--auth-url", service.url("/check"), env={"PUBLIC_CERT": signer.pem}
    ).start()
    world = SimpleNamespace(server=server, api=server.api, receiver=receiver, service=service)
    world.apps = {name: _populate(server.api, receiver, name) for name in ("acme", "globex", "ext")}
    # The service is asked about appids that no key has.
    for ids in world.apps.values():
        if ids.app == "ext":
            server.api.call("DELETE", f"/v1/keys/{ids.key['id']}").expect(200)
    world.callers = {role: make_key(server.api, role, scope="acme")[1] for role in ROLES}
    world.callers["token"] = signer.caller(server.api, appId="acme", exp=time.time() + 3600)
    world.callers["service"] = caller(server.api, appid="ext", appkey="right")
    yield world
    receiver.close()


FOR_ONE_TEST = "for one test"

_fresh = itertools.count()


def _new_config(ids):
    return {"appId": ids.app, "eventType": f"NEW-{next(_fresh)}", "webhookUrl": "http://127.0.0.1/"}


def _deleted(world, ids):
    """The query of a config that is there to be deleted."""
    config = _new_config(ids)
    world.api.create(**config)
    return {"appId": config["appId"], "eventType": config["eventType"]}


def _scope(ids):
    """The service is asked about `ext` for want of a key."""
    return "ext-keys" if ids.app == "ext" else ids.app


def _key_of(world, ids):
    return make_key(world.api, VIEWER, scope=_scope(ids), name=FOR_ONE_TEST)[0]["id"]


@pytest.fixture(autouse=True)
def _tidy(request):
    """Only so many keys may share an appid."""
    yield
    if "world" in request.fixturenames:
        api = request.getfixturevalue("world").api
        for key in api.get("/v1/keys", limit=250).expect(200).result["items"]:
            if key["name"] == FOR_ONE_TEST:
                api.call("DELETE", f"/v1/keys/{key['id']}").expect(200)


def _wish(ids):
    return {"roles": [VIEWER], "scope": _scope(ids), "name": FOR_ONE_TEST}


class Row:
    """One way to call an operation. `ask(world, ids)` is (path, body, query) about an app;
    `other` is the answer when that app is not the caller's: 404, 403, or what hides it."""

    def __init__(self, method, path, roles, status, other, ask, says=""):
        self.method, self.path, self.roles = method, path, roles
        self.status, self.other, self.ask, self.says = status, other, ask, says

    def __repr__(self):
        return f"{self.method} {self.path}"

    def call(self, api, world, ids):
        path, body, query = self.ask(world, ids)
        return api.call(self.method, path, body, query=query)


def _path(path, **query):
    """About an app by its query."""
    return lambda world, ids: (
        path,
        None,
        {k: v(ids) if callable(v) else v for k, v in query.items()},
    )


def _id(path, which):
    return lambda world, ids: (path.replace("{id}", getattr(ids, which)), None, None)


def _line(world, ids):
    return "/v1/events/batch", json.dumps(event(ids.app)) + "\n", None


def _hides(world, answer, ids):
    """It is answered, and holds nothing of that app."""
    answer.expect(200)
    assert ids.app.encode() not in answer.body, answer


def _refused_line(world, answer, ids):
    answer.expect(200)
    line = json.loads(answer.body)
    assert line["statusCode"] == 403 and "another app" in line["error"], line


def _unknown(world, answer, ids):
    assert answer.expect(200).result["verdict"] == "unknown"
    assert not answer.result["events"]


app_id = {"appId": lambda ids: ids.app}
config_id = {**app_id, "eventType": TYPE}

ROWS = [
    Row("POST", "/v1/events", (ADMIN, PRODUCER), 202, 403,
        lambda world, ids: ("/v1/events", event(ids.app), None), "another app"),
    Row("POST", "/v1/events/batch", (ADMIN, PRODUCER), 200, _refused_line, _line),
    Row("GET", "/v1/events", LOOKING, 200, 404, _path("/v1/events", **app_id, eventId="e-1")),
    Row("GET", "/v1/events/{id}", LOOKING, 200, 404, _id("/v1/events/{id}", "message")),
    Row("GET", "/v1/catalog", ROLES, 200, _hides, _path("/v1/catalog")),
    Row("POST", "/v1/config", (ADMIN, CLIENT), 201, 403,
        lambda world, ids: ("/v1/config", _new_config(ids), None), "another app"),
    Row("GET", "/v1/config", LOOKING, 200, 404, _path("/v1/config", **config_id)),
    Row("GET", "/v1/config", LOOKING, 200, 404, _path("/v1/config", **app_id)),
    Row("PATCH", "/v1/config", (ADMIN, CLIENT), 200, 403,
        lambda world, ids: ("/v1/config", {"appId": ids.app, "eventType": TYPE}, None),
        "another app"),
    Row("DELETE", "/v1/config", (ADMIN, CLIENT), 200, 404,
        lambda world, ids: ("/v1/config", None, _deleted(world, ids))),
    Row("POST", "/v1/config/test", (ADMIN, CLIENT), 200, 403,
        lambda world, ids: ("/v1/config/test", {"appId": ids.app, "eventType": TYPE}, None),
        "another app"),
    Row("GET", "/v1/config/history", LOOKING, 200, 404, _path("/v1/config/history", **config_id)),
    Row("GET", "/v1/deliveries", LOOKING, 200, 404, _path("/v1/deliveries", **app_id)),
    Row("GET", "/v1/deliveries/{id}", LOOKING, 200, 404, _id("/v1/deliveries/{id}", "delivery")),
    Row("POST", "/v1/deliveries/{id}/retry", (ADMIN, CLIENT), 202, 404,
        _id("/v1/deliveries/{id}/retry", "dead")),
    Row("GET", "/v1/why/{id}", LOOKING, 200, _unknown, _id("/v1/why/{id}", "message")),
    Row("GET", "/v1/why/{id}", LOOKING, 200, _unknown, _id("/v1/why/{id}", "delivery")),
    Row("POST", "/v1/keys", (ADMIN,), 201, 403,
        lambda world, ids: ("/v1/keys", _wish(ids), None),
        "another app"),
    Row("GET", "/v1/keys", (ADMIN,), 200, _hides, _path("/v1/keys")),
    Row("DELETE", "/v1/keys/{id}", (ADMIN,), 200, 404,
        lambda world, ids: (f"/v1/keys/{_key_of(world, ids)}", None, None)),
    Row("GET", "/v1/audit", (ADMIN,), 200, 404, _path("/v1/audit", **app_id)),
    Row("GET", "/v1/stats", LOOKING, 200, 404, _path("/v1/stats", **app_id)),
    Row("GET", "/v1/ledger", LOOKING, 200, 404, _path("/v1/ledger", **app_id)),
    Row("GET", "/v1/targets", LOOKING, 200, 404, _path("/v1/targets", **app_id)),
    Row("POST", "/v1/targets/enable", (ADMIN, CLIENT), 200, 403,
        lambda world, ids: ("/v1/targets/enable", {"appId": ids.app, "url": ids.url}, None),
        "another app"),
]  # fmt: skip

# What needs an allowed address only, and what needs not even that.
ADDRESS_ONLY = ["/metrics", "/openapi.json"]
OPEN = ["/healthz", "/readyz"]

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method}-{row.path}")


def test_the_table_is_whole():
    """Whoever adds an operation says here who may call it."""
    listed = {(m.upper(), p): o for p, ms in DOC["paths"].items() for m, o in ms.items()}
    told = {(row.method, row.path) for row in ROWS}
    assert set(listed) == told | {("GET", path) for path in ADDRESS_ONLY + OPEN}
    for row in ROWS:
        assert set(listed[row.method, row.path]["x-roles"]) == set(row.roles), row


# ── Every operation ──────────────────────────────────────────────────────────────────────────────

# Headers of nobody. `acme` has keys, `ext` has none, so the service is asked about it.
NOBODY = {
    "nothing": {},
    "an appid alone": {"appid": "acme"},
    "an appkey alone": {"appkey": "x"},
    "empty ones": {"appid": "", "appkey": ""},
    "a wrong appkey": {"appid": "acme", "appkey": "x"},
    "the administrator's name": {"appid": "admin", "appkey": "x"},
    "what the service does not know": {"appid": "ext", "appkey": "x"},
    "no token": {"authorization": "Bearer x.y.z"},
    "another scheme": {"authorization": "Basic YWNtZTp4"},
}


@rows
def test_nobody(world, row):
    for name, headers in NOBODY.items():
        answer = row.call(caller(world.api, **headers), world, world.apps["acme"])
        assert (answer.status, answer.json) == (401, MISSING), (name, answer)


@rows
@pytest.mark.parametrize("who", [*ROLES, "token", "service"])
def test_each_role(world, row, who):
    """What the role allows, for its own app; else 403 that names the roles that would do."""
    api = world.callers[who]
    role = who if who in ROLES else CLIENT
    ids = world.apps["ext" if who == "service" else "acme"]
    answer = row.call(api, world, ids)
    if role in row.roles:
        answer.expect(row.status)
    else:
        wanted = " or ".join(r for r in ROLES if r in row.roles)
        failed(answer, 403)
        assert answer.error == f"this call needs the role {wanted}"


@rows
@pytest.mark.parametrize("who", [*ROLES, "token", "service"])
def test_another_app_is_not_there(world, row, who):
    role = who if who in ROLES else CLIENT
    ids = world.apps["globex"]
    answer = row.call(world.callers[who], world, ids)
    if role not in row.roles:
        failed(answer, 403, "this call needs the role")
    elif callable(row.other):
        row.other(world, answer, ids)
    else:
        failed(answer, row.other, row.says)
        assert ids.app not in answer.error


@rows
def test_a_key_for_any_app(world, row):
    _, api = make_key(world.api, *ROLES, scope="*", name=FOR_ONE_TEST)
    for ids in world.apps.values():
        row.call(api, world, ids).expect(row.status)


@pytest.mark.parametrize("path", ADDRESS_ONLY + OPEN)
def test_what_needs_no_key(world, path):
    for headers in NOBODY.values():
        caller(world.api, **headers).get(path).expect(200)


@pytest.fixture(scope="module")
def elsewhere(servers_of_module):
    """A server that may not be called from here."""
    return servers_of_module("--allowed-ips", "10.0.0.1,2001:db8::/32").start()


SPOOFS = [
    {},
    {"x-forwarded-for": "10.0.0.1"},
    {"x-forwarded-for": "10.0.0.1, 127.0.0.1"},
    {"forwarded": "for=10.0.0.1"},
    {"x-real-ip": "10.0.0.1"},
    {"x-client-ip": "10.0.0.1", "true-client-ip": "10.0.0.1", "cf-connecting-ip": "10.0.0.1"},
]


@rows
def test_a_wrong_address(elsewhere, row):
    """Before anything else, and whatever the caller says of itself."""
    path = row.path.replace("{id}", "x")
    for headers, spoof in itertools.product(({}, elsewhere.api.headers), SPOOFS):
        answer = caller(elsewhere.api, **headers, **spoof).call(row.method, path)
        assert (answer.status, answer.json) == (403, FOREIGN), answer


def test_a_wrong_address_elsewhere(elsewhere):
    for path in [*ADDRESS_ONLY, "/", "/nothing"]:
        answer = elsewhere.api.get(path)
        assert (answer.status, answer.json) == (403, FOREIGN), answer
    for path in OPEN:
        elsewhere.api.get(path).expect(200)


# ── Two apps ─────────────────────────────────────────────────────────────────────────────────────


def _pages(api, path, **query):
    """All pages' bytes."""
    bodies, cursor = [], None
    while True:
        answer = api.get(path, limit=1, **query, **({"cursor": cursor} if cursor else {}))
        bodies.append(answer.expect(200).body)
        cursor = answer.result["next"]
        if not cursor:
            return b"".join(bodies)


def test_lists_hold_ones_own_alone(world):
    """Of each app its own rows, and not a byte of the other's: no name, no id."""
    _, acme = make_key(world.api, *ROLES, scope="acme", name=FOR_ONE_TEST)
    _, globex = make_key(world.api, *ROLES, scope="globex", name=FOR_ONE_TEST)
    for path in ("/v1/config", "/v1/deliveries", "/v1/keys", "/v1/audit"):
        for api, mine, theirs in ((acme, "acme", "globex"), (globex, "globex", "acme")):
            body = _pages(api, path)
            ids = world.apps[theirs]
            assert mine.encode() in body, path
            for secret in (theirs, ids.message, ids.delivery, ids.dead, ids.key["id"]):
                assert secret.encode() not in body, (path, secret)
    # So is what was refused.
    world.api.post_event({"appId": "globex", "eventId": "e-bad"}).expect(400)
    assert acme.why("e-bad")["verdict"] == "unknown"
    assert globex.why("e-bad")["verdict"] == "refused"
    # What both call by the same name is each one's own.
    for api, mine in ((acme, "acme"), (globex, "globex")):
        assert api.get("/v1/events", appId=mine, eventId="e-1").result["id"] == (
            world.apps[mine].message
        )
        for some_id in ("e-1", "t-1"):
            story = json.dumps(api.why(some_id))
            ids = world.apps["globex" if mine == "acme" else "acme"]
            assert ids.message not in story and ids.delivery not in story
        deliveries = api.deliveries(transactionId="t-1")
        assert {d["appId"] for d in deliveries} == {mine}


def test_a_cursor_of_somebody_else_shows_nothing_more(world):
    """A cursor says where to go on, not what may be seen."""
    _, acme = make_key(world.api, *ROLES, scope="acme", name=FOR_ONE_TEST)
    _, globex = make_key(world.api, *ROLES, scope="globex", name=FOR_ONE_TEST)
    for path in ("/v1/config", "/v1/deliveries", "/v1/keys", "/v1/audit"):
        for giver in (world.api, globex):
            cursor = giver.get(path, limit=1).expect(200).result["next"]
            assert cursor, path
            answer = acme.get(path, limit=250, cursor=cursor)
            if answer.status == 200:
                assert b"globex" not in answer.body, (path, answer)
            else:
                failed(answer, 400, "cursor")


def test_what_a_viewer_does_not_see(world):
    """No payload, no secret, no token in a URL, nothing that a client's server answered."""
    ids = world.apps["acme"]
    world.receiver.always("/acme?token=t0ken-acme", Reply(body=b"what-they-answered"))
    sent = world.api.send(event("acme"))
    delivery = sent["deliveries"][0]["id"]
    settled(world.api, delivery, "delivered")
    viewer, client = world.callers[VIEWER], world.callers[CLIENT]
    for path, query in (
        ("/v1/config", {"appId": "acme", "eventType": TYPE}),
        ("/v1/config", {}),
        ("/v1/config/history", {"appId": "acme", "eventType": TYPE}),
        (f"/v1/deliveries/{delivery}", {}),
        (f"/v1/events/{sent['id']}", {}),
        ("/v1/deliveries", {}),
        (f"/v1/why/{delivery}", {}),
    ):
        body = viewer.get(path, **query).expect(200).body
        for hidden in (b"t0ken", b"what-they-answered", b"canary", b"whsec_M"):
            assert hidden not in body, (path, hidden)
    assert b"t0ken" in client.config("acme", TYPE).body
    assert b"what-they-answered" in client.get(f"/v1/deliveries/{delivery}").body
    for path, query in (
        ("/v1/config", {"appId": "acme", "eventType": TYPE, "shareSecret": "true"}),
        ("/v1/config", {"shareSecret": "true"}),
        (f"/v1/events/{ids.message}", {"payload": "true"}),
        ("/v1/events", {"appId": "acme", "eventId": "e-1", "payload": "true"}),
    ):
        failed(viewer.get(path, **query), 403, "needs the role admin or client")


# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────


def test_tokens(world, signer):
    now = time.time()
    expired = signer.caller(world.api, appId="acme", exp=now - 1).get("/v1/config")
    assert expired.json == {"statusCode": 401, "status": "failed", "error": "Token Expired"}
    assert expired.status == 401
    wrong = {
        "not yet": {"appId": "acme", "nbf": now + 3600},
        "no app": {"exp": now + 3600},
        "an empty app": {"appId": ""},
        "an app that is a list": {"appId": ["acme"]},
        "a time that is a text": {"appId": "acme", "exp": str(now + 3600)},
    }
    for name, claims in wrong.items():
        answer = signer.caller(world.api, **claims).get("/v1/config")
        assert (answer.status, answer.json) == (401, MISSING), name
    good = signer.token(appId="acme")
    for name, token in {
        "another key's": Signer().token(appId="acme"),
        "none": signer.token({"alg": "none"}, appId="acme"),
        "HS256": signer.token({"alg": "HS256"}, appId="acme"),
        "crit": signer.token({"crit": ["exp"]}, appId="acme"),
        "unsigned": good.rpartition(".")[0] + ".",
        "padded": good + "==",
        "cut": good[:-1],
        "large": signer.token(appId="acme", x="y" * 8000),
    }.items():
        answer = caller(world.api, authorization=f"Bearer {token}").get("/v1/config")
        assert (answer.status, answer.json) == (401, MISSING), name
    for scheme in ("Bearer", "bearer", "BEARER"):
        caller(world.api, authorization=f"{scheme} {good}").get("/v1/config").expect(200)
    # A token that is shown decides, also beside a good key.
    both = {**world.api.headers, "authorization": "Bearer x.y.z"}
    caller(world.api, **both).get("/v1/config").expect(401)


def test_the_key_of_tokens_in_a_file(servers, signer, tmp_path, app):
    file = tmp_path / "cert.pem"
    file.write_text(signer.pem)
    server = servers("--public-cert", f"@{file}").start()
    signer.caller(server.api, appId=app).get("/v1/config").expect(200)
    flat = servers(env={"GWH_PUBLIC_CERT": signer.pem.replace("\n", "\\n")}).start()
    signer.caller(flat.api, appId=app).get("/v1/config").expect(200)
    # Without one no token is taken.
    none = servers().start()
    failed(signer.caller(none.api, appId=app).get("/v1/config"), 401, "Missing/Invalid")


@pytest.mark.parametrize(
    "flags, code, words",
    [
        (["--public-cert", "x"], 2, ["--public-cert", "PEM"]),
        (["--public-cert", "@"], 2, ["--public-cert", "@FILE"]),
        (["--public-cert", "@/nowhere/at.pem"], 3, ["--public-cert", "/nowhere/at.pem"]),
        (["--auth-url", "example.com"], 2, ["--auth-url"]),
        (["--auth-url", "ftp://example.com/"], 2, ["--auth-url"]),
        (["--auth-url", "https://me:canary@example.com/"], 2, ["--auth-url", "user name"]),
    ],
)
def test_settings_that_are_refused(tmp_path, flags, code, words):
    got = run("serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", *flags, timeout=30)
    told = got.stderr.decode()
    assert got.returncode == code, got
    for word in words:
        assert word in told, told
    assert "canary" not in told


# ── Keys, on every thread ────────────────────────────────────────────────────────────────────────

CONNECTIONS = 24  # the kernel spreads them over the shards


@pytest.fixture
def many(servers):
    """A server of four threads, and a connection to each many times."""
    server = servers(shards=4).start()
    connections = [Connection(server.address) for _ in range(CONNECTIONS)]
    yield server.api, connections
    for connection in connections:
        connection.close()


def _statuses(connections, api):
    return {c.call("GET", "/v1/config", headers=api.headers).status for c in connections}


def test_a_key_is_in_force_at_once(many):
    """Made, and revoked, on all threads by the time that is answered; also where it was known that
    there is none, or that there is one."""
    api, connections = many
    nobody = caller(api, appid="acme", appkey="x")
    for _ in range(5):
        assert _statuses(connections, nobody) == {401}
        key, made = make_key(api, VIEWER, scope="acme")
        assert _statuses(connections, made) == {200}
        assert _statuses(connections, nobody) == {401}
        api.call("DELETE", f"/v1/keys/{key['id']}").expect(200)
        assert _statuses(connections, made) == {401}


def test_a_key_takes_anothers_place(many):
    api, connections = many
    old, by_old = make_key(api, VIEWER, scope="acme", name="old")
    _, by_new = make_key(api, PRODUCER, scope="acme", name="new")
    assert _statuses(connections, by_old) == {200}
    assert _statuses(connections, by_new) == {403}
    api.call("DELETE", f"/v1/keys/{old['id']}").expect(200)
    assert _statuses(connections, by_old) == {401}
    assert _statuses(connections, by_new) == {403}


def test_a_key_that_is_in_use_while_it_is_revoked(many):
    """Of what is asked once the revocation is answered, nothing is let in."""
    api, connections = many
    key, made = make_key(api, VIEWER, scope="acme")
    revoked = threading.Event()
    late, early = [], []

    def ask(connection):
        for _ in range(100000):
            began_after = revoked.is_set()
            status = connection.call("GET", "/v1/config", headers=made.headers).status
            (late if began_after else early).append(status)
            if began_after:
                return

    threads = [threading.Thread(target=ask, args=(c,)) for c in connections]
    for thread in threads:
        thread.start()
    eventually(lambda: len(early) > 10 * CONNECTIONS, what="they all ask")
    api.call("DELETE", f"/v1/keys/{key['id']}").expect(200)
    revoked.set()
    for thread in threads:
        thread.join(seconds(30))
    assert set(early) <= {200, 401} and early.count(200) > CONNECTIONS
    assert late == [401] * CONNECTIONS


def test_keys_survive_a_restart_and_their_text_is_nowhere(servers, app):
    server = servers().start()
    key, made = make_key(server.api, CLIENT, scope=app)
    revoked, gone = make_key(server.api, CLIENT, scope=app)
    server.api.call("DELETE", f"/v1/keys/{revoked['id']}").expect(200)
    server.restart()
    for api in (made, gone):
        api.address = server.api.address
    made.get("/v1/config").expect(200)
    gone.get("/v1/config").expect(401)
    for file in server.data.rglob("*"):
        if file.is_file():
            assert key["appkey"].encode() not in file.read_bytes(), file
    assert key["appkey"] not in server.log
    told = server.api.get("/v1/keys").body + server.api.get("/v1/audit").body
    assert key["appkey"].encode() not in told


# ── The external service ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def outside(servers, receiver):
    """A server that asks the receiver."""
    server = servers("--auth-url", receiver.url("/check?for=gwh")).start()
    return SimpleNamespace(server=server, api=server.api, receiver=receiver)


PATH = "/check?for=gwh"


def _ask(outside, appkey, appid="acme"):
    return caller(outside.api, appid=appid, appkey=appkey).get("/v1/config")


def test_the_service_says_yes(outside):
    for _ in range(20):  # on either thread
        _ask(outside, "good-canary-7c1f").expect(200)
    assert len(outside.receiver.requests()) == 1  # it is remembered
    asked = outside.receiver.one(PATH)
    assert asked.started.startswith(b"GET ") and asked.body == b""
    assert asked.header("appid") == "acme" and asked.header("appkey") == "good-canary-7c1f"
    assert asked.header("authorization") is None
    # The client of its app, and of no other.
    api = caller(outside.api, appid="acme", appkey="good-canary-7c1f")
    subscribe(outside.api, "other", outside.receiver.url())
    assert api.get("/v1/config").result["items"] == []
    failed(api.config("other", TYPE), 404)
    failed(api.get("/v1/keys"), 403, "admin")
    assert "canary" not in outside.server.log
    # Another appkey is another question.
    outside.receiver.always(PATH, 401)
    failed(_ask(outside, "bad"), 401)
    _ask(outside, "good-canary-7c1f").expect(200)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 204, 301, 302, 307])
def test_the_service_says_no(outside, status):
    moved = {"location": outside.receiver.url("/moved")}
    outside.receiver.always(PATH, Reply(status, headers=moved))
    answer = _ask(outside, "x")
    assert (answer.status, answer.json) == (401, MISSING)
    assert outside.receiver.requests("/moved") == []
    _ask(outside, "x").expect(401)
    assert len(outside.receiver.requests()) == 2  # a no is not remembered
    outside.receiver.always(PATH, 200)
    _ask(outside, "x").expect(200)


def _later(answer):
    failed(answer, 503, "does not answer")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("reply", [500, 503, 429, Reply(reset=True), Reply(raw=b"rubbish\r\n")])
def test_the_service_is_ill(outside, reply):
    outside.receiver.always(PATH, reply)
    _later(_ask(outside, "x"))
    outside.receiver.always(PATH, 200)
    _ask(outside, "x").expect(200)
    for told in ("auth_service_failing", "auth_service_well"):
        eventually(lambda told=told: outside.server.logged(told))


def test_the_service_hangs(outside):
    outside.receiver.always(PATH, Reply(hang=True))
    began = time.monotonic()
    _later(_ask(outside, "x"))
    assert 4 < time.monotonic() - began < seconds(15)
    outside.api.get("/v1/config").expect(200)  # who needs it not does not wait


def test_the_service_is_gone(outside):
    outside.receiver.down()
    _later(_ask(outside, "x"))
    outside.receiver.up()
    _ask(outside, "x").expect(200)
    outside.receiver.down()
    _ask(outside, "x").expect(200)  # known
    _later(_ask(outside, "y"))
    outside.receiver.up()


def test_the_service_proves_who_it_is(servers, receivers, tmp_path):
    """Over https it needs a certificate that is trusted; its address may be any, for the operator
    names it."""
    authority = Authority(tmp_path)
    good, other = receivers(tls=authority.server()), receivers(tls=authority.server("127.0.0.2"))

    def status(service, *flags):
        server = servers("--auth-url", service.url("/check"), *flags, lenient=False).start()
        return caller(server.api, appid="acme", appkey="x").get("/v1/config").status

    assert status(good, "--ca-file", authority.file) == 200
    assert status(good) == 503
    assert status(other, "--ca-file", authority.file) == 503
    assert len(good.requests()) == 1 and other.requests() == []


def test_the_service_has_a_name(servers, receiver):
    names = NameServer()
    try:
        url = f"http://auth.test:{receiver.port}/check"
        server = servers("--auth-url", url, "--name-servers", names.address).start()
        api = caller(server.api, appid="acme", appkey="x")
        _later(api.get("/v1/config"))  # nobody knows the name
        names.names["auth.test"] = ["127.0.0.1"]
        eventually(lambda: api.get("/v1/config").status == 200)
        assert receiver.one("/check").header("host") == f"auth.test:{receiver.port}"
    finally:
        names.close()


def test_the_service_is_asked_once_by_many(outside):
    hold = threading.Event()
    outside.receiver.always(PATH, Reply(200, hold=hold))
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(_ask(outside, "x").status))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    outside.receiver.wait(1)
    hold.set()
    for thread in threads:
        thread.join(seconds(30))
    assert answers == [200] * 16
    assert len(outside.receiver.requests()) == 1


def test_the_service_is_not_asked_about_what_is_known_here(outside):
    _, made = make_key(outside.api, CLIENT, scope="acme")
    made.get("/v1/config").expect(200)
    _ask(outside, "wrong").expect(401)
    _ask(outside, "wrong", appid="admin").expect(401)
    assert outside.receiver.requests() == []


# ── What is written down ─────────────────────────────────────────────────────────────────────────


def test_every_change_and_everything_shown_is_written_down(servers, receiver, app, signer):
    server = servers(env={"PUBLIC_CERT": signer.pem}).start()
    key, client = make_key(server.api, CLIENT, scope=app, name="ci")
    receiver.always("/gone?token=t0ken", 410)
    config = subscribe(client, app, receiver.url("/gone?token=t0ken"))
    client.patch(app, TYPE, product="kyc").expect(200)
    client.patch(app, TYPE, updateSecret=True).expect(200)
    shown = client.config(app, TYPE, shareSecret="true").expect(200).result["secret"]
    body = {"appId": app, "eventType": TYPE}
    client.call("POST", "/v1/config/test", body).expect(200)
    sent = server.api.send(event(app))
    delivery = sent["deliveries"][0]["id"]
    settled(server.api, delivery, "dead")
    client.event(sent["id"], payload="true")
    client.retry(delivery).expect(202)
    signer.caller(server.api, appId=app).delete(app, TYPE).expect(200)
    server.api.call("DELETE", f"/v1/keys/{key['id']}").expect(200)
    server.restart()

    items = server.api.get("/v1/audit").expect(200).result["items"]
    admin, ci, token = "admin", f"ci ({key['id']})", f"{app} (token)"
    assert [(i["actor"], i["action"], i["appId"], i["subject"]) for i in items] == [
        (admin, "key_revoked", app, key["id"]),
        (token, "config_deleted", app, TYPE),
        (ci, "delivery_retried", app, delivery),
        (ci, "payload_shown", app, sent["id"]),
        (ci, "test_sent", app, TYPE),
        (ci, "secret_shown", app, TYPE),
        (ci, "config_rotated", app, TYPE),
        (ci, "config_updated", app, TYPE),
        (ci, "config_created", app, TYPE),
        (admin, "key_created", app, key["id"]),
    ]
    assert {i["address"] for i in items} == {"127.0.0.1"}
    assert items[-1]["detail"] == {
        "appid": app, "roles": [CLIENT], "scope": app, "name": "ci",
    }  # fmt: skip
    told = json.dumps(items)
    for secret in (config["secret"], shown, key["appkey"], "t0ken", "canary"):
        assert secret not in told

    history = server.api.get("/v1/config/history", appId=app, eventType=TYPE).expect(200).result
    assert history["next"] is None
    assert [(i["action"], i["version"]) for i in history["items"]] == [
        ("config_deleted", 3),
        ("config_rotated", 3),
        ("config_updated", 2),
        ("config_created", 1),
    ]
    assert history["items"][2]["changes"] == [{"field": "product", "from": None, "to": "kyc"}]
    assert {"field": "secret"} in history["items"][1]["changes"]


def test_what_fails_leaves_no_line(server, receiver, app):
    subscribe(server.api, app, receiver.url())
    before = server.api.get("/v1/audit").body
    server.api.call("POST", "/v1/config", _new_config(SimpleNamespace(app=""))).expect(400)
    server.api.patch(app, "NOTHING", product="x").expect(404)
    server.api.patch(app, TYPE, if_match='"7"', product="x").expect(412)
    server.api.delete(app, "NOTHING").expect(404)
    server.api.config(app, "NOTHING", shareSecret="true").expect(404)
    server.api.call("DELETE", "/v1/keys/key_0123456789abcdef").expect(404)
    server.api.call("POST", "/v1/keys", {"roles": [], "scope": app}).expect(400)
    assert server.api.get("/v1/audit").body == before
