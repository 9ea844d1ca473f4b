"""Configurations: created, read, changed, deleted; what is refused; what is in force when."""

import base64
import json
import threading

import pytest

from harness import signature
from harness.api import Api, failed
from harness.dns import NameServer
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.server import CANARY
from harness.waiting import eventually

URL = "https://93.184.216.34/hook"  # a public address; nothing is sent to it here
SECRET = "whsec_" + base64.b64encode(f"{CANARY}-and-a-few-more".encode()).decode()


# Every field with another value than its default.
OTHERS = {
    "webhookUrl": URL + "/other",
    "isActive": False,
    "product": "shop",
    "headers": {"x-a": "1"},
    "workflows": {"w": [URL + "/w"]},
    "additionalMetadataKeys": ["workflowId"],
    "deleteAppId": True,
    "payloadBlocklist": ["a.b", "/c.d"],
    "filter": {"status": ["done"]},
    "retry": {"schedule": [1], "timeoutMs": 2000},
    "rateLimit": 50,
    "maxInFlight": 3,
    "signing": {"schemes": ["body"], "bodyHeader": "x-sig", "bodyEncoding": "base64"},
}


# ── Create ───────────────────────────────────────────────────────────────────────────────────────


def test_create_makes_a_secret_and_shows_it_once(shared, app):
    answer = shared.call("POST", "/v1/config", dict(appId=app, eventType=TYPE, webhookUrl=URL))
    result = answer.expect(201).result
    assert answer.json == {"statusCode": 201, "status": "success", "result": result}
    secret = result["secret"]
    assert secret.startswith("whsec_") and len(signature.key_of(secret)) == 32
    masked = shared.config(app, TYPE).expect(200).result
    assert masked["secret"] == "whsec_…" + secret[-4:]
    assert masked == result | {"secret": masked["secret"]}
    shown = shared.config(app, TYPE, shareSecret="true").expect(200).result
    assert shown["secret"] == secret
    for item in shared.get("/v1/config", appId=app).expect(200).result["items"]:
        assert item["secret"] == masked["secret"]


def test_defaults(shared, app):
    result = subscribe(shared, app, URL)
    wanted = {
        "appId": app,
        "eventType": TYPE,
        "webhookUrl": URL,
        "isActive": True,
        "product": None,
        "headers": {},
        "workflows": {},
        "additionalMetadataKeys": [],
        "deleteAppId": False,
        "payloadBlocklist": [],
        "filter": None,
        "retry": {"schedule": [5, 300, 1800, 7200, 18000, 36000, 36000], "timeoutMs": 15000},
        "rateLimit": None,
        "maxInFlight": 16,
        "signing": {
            "schemes": ["standard"], "bodyHeader": "x-webhook-signature", "bodyEncoding": "hex",
        },
        "version": 1,
    }
    assert {k: result[k] for k in wanted} == wanted
    assert result["createdAt"].endswith("Z") and result["updatedAt"] == result["createdAt"]


def test_null_on_create_is_the_default(shared, app):
    plain = subscribe(shared, app, URL)
    nulls = dict.fromkeys(set(OTHERS) - {"webhookUrl"})
    result = subscribe(shared, app, URL, type="other", **nulls, secret=None, updateSecret=None)
    assert {f: result[f] for f in OTHERS} == {f: plain[f] for f in OTHERS}


def test_a_pair_is_there_once(shared, app):
    first = subscribe(shared, app, URL)
    again = dict(appId=app, eventType=TYPE, webhookUrl="https://93.184.216.34/other")
    failed(shared.call("POST", "/v1/config", again), 409)
    now = shared.config(app, TYPE, shareSecret="true").expect(200).result
    assert now == first


def test_only_one_of_many_creates_it(shared, app):
    answers, barrier = [], threading.Barrier(8)

    def create(n):
        barrier.wait(30)
        body = dict(appId=app, eventType=TYPE, webhookUrl=f"{URL}/{n}")
        answers.append(shared.call("POST", "/v1/config", body))

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(a.status for a in answers) == [201] + [409] * 7
    (made,) = (a.result for a in answers if a.status == 201)
    assert shared.config(app, TYPE, shareSecret="true").expect(200).result == made


@pytest.mark.parametrize(
    "secret", [SECRET, "0123456789abcdef", "old scheme; printable " + CANARY, "x" * 128]
)
def test_a_secret_of_ones_own(shared, receiver, app, secret):
    result = subscribe(shared, app, receiver.url(), secret=secret)
    assert result["secret"] == secret
    shown = shared.config(app, TYPE).expect(200).result["secret"]
    assert shown == ("whsec_…" if secret.startswith("whsec_") else "…") + secret[-4:]
    shared.send(event(app))
    signature.check(receiver.one(), secret)


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_" + base64.b64encode(b"x" * 15).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_" + CANARY + "!!!!!!!!!!!!!!!!",
        CANARY,
        CANARY + "x" * 129,
        CANARY + "\u00e9éééééééééééé",
        CANARY + "\t123456789",
        "",
        17,
        None,
    ],
    ids=["15", "65", "base64", "short", "long", "utf8", "tab", "empty", "number", "null"],
)
def test_bad_secrets(shared, app, secret):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL, secret=secret)
    if secret is None:
        assert shared.call("POST", "/v1/config", body).expect(201).result["secret"]
    else:
        failed(shared.call("POST", "/v1/config", body), 400, "secret")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"webhookURL": URL}, ["webhookURL"]),
        ({"active": True}, ["active"]),
        ({"webhookUrl": None}, ["webhookUrl"]),
        ({"webhookUrl": 7}, ["webhookUrl"]),
        ({"appId": ""}, ["appId"]),
        ({"appId": "a\nb"}, ["appId"]),
        ({"eventType": "x" * 257}, ["eventType"]),
        ({"isActive": "true"}, ["isActive"]),
        ({"isActive": 1}, ["isActive"]),
        ({"deleteAppId": "no"}, ["deleteAppId"]),
        ({"product": 1}, ["product"]),
        ({"maxInFlight": 0}, ["maxInFlight", "1", "1000"]),
        ({"maxInFlight": 1001}, ["maxInFlight"]),
        ({"maxInFlight": 1.5}, ["maxInFlight"]),
        ({"retry": []}, ["retry"]),
        ({"retry": {"schedule": [-1]}}, ["retry"]),
        ({"retry": {"schedule": [43201]}}, ["retry", "43200"]),
        ({"retry": {"schedule": [1] * 25}}, ["retry", "24"]),
        ({"retry": {"schedule": ["1"]}}, ["retry"]),
        ({"retry": {"timeoutMs": 999}}, ["timeoutMs", "1000", "30000"]),
        ({"retry": {"timeoutMs": 30001}}, ["timeoutMs"]),
        ({"retry": {"times": 3}}, ["times"]),
        ({"headers": []}, ["headers"]),
        ({"headers": {"x-a": 1}}, ["headers"]),
        ({"headers": {"bad name": "x"}}, ["headers"]),
        ({"headers": {"x-a": "a\r\nb: c"}}, ["headers"]),
        ({"headers": {f"x-{n}": "v" for n in range(33)}}, ["headers", "32"]),
        ({"headers": {"x-a": "v" * 8192}}, ["headers"]),
        ({"headers": {"x-a": "1", "X-A": "2"}}, ["headers"]),
        ({"workflows": []}, ["workflows"]),
        ({"workflows": {"w": URL}}, ["workflows"]),
        ({"workflows": {"w": [URL, 1]}}, ["workflows"]),
        ({"workflows": {"w": [f"{URL}/{n}" for n in range(21)]}}, ["workflows", "20"]),
        ({"workflows": {"w": ["ftp://93.184.216.34/"]}}, ["workflows"]),
        ({"updateSecret": "later"}, ["updateSecret"]),
    ],
)
def test_a_field_that_is_wrong_is_named(shared, app, change, words):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL) | change
    failed(shared.call("POST", "/v1/config", body), 400, *words)
    shared.config(app, TYPE).expect(404)


@pytest.mark.parametrize(
    "name",
    ["Host", "connection", "keep-alive", "TE", "trailer", "transfer-encoding", "upgrade",
     "proxy-authorization", "content-type", "Content-Length", "cookie", "webhook-id",
     "Webhook-Signature", "x-amz-date", "forwarded", "x-webhook-signature"],
)  # fmt: skip
def test_headers_that_are_refused(shared, app, name):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL, headers={name: "x"})
    failed(shared.call("POST", "/v1/config", body), 400, "headers", name)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"appId":"%(app)s","appId":"%(app)s"}', b"\xff", b'{"a":"\\ud800"}'],
)
def test_a_config_that_is_no_json_object(shared, body):
    for method in ("POST", "PATCH"):
        failed(shared.call(method, "/v1/config", body), 400)


@pytest.mark.parametrize("field", ["appId", "eventType", "webhookUrl"])
def test_what_a_config_must_have(shared, app, field):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL)
    del body[field]
    failed(shared.call("POST", "/v1/config", body), 400, field)


# ── Read ─────────────────────────────────────────────────────────────────────────────────────────


def test_no_such_config(shared, app):
    failed(shared.config(app, TYPE), 404)
    failed(shared.patch(app, TYPE, isActive=True), 404)
    failed(shared.delete(app, TYPE), 404)
    assert shared.get("/v1/config", appId=app).expect(200).result == {"items": [], "next": None}


def test_pages(servers, app):
    api = servers().start().api
    pairs = [(f"{app}-{a}", f"T-{t}") for a in range(3) for t in range(5)]
    for name, type in pairs:
        subscribe(api, name, URL, type=type)

    def walk(**query):
        found, cursor = [], {}
        while True:
            page = api.get("/v1/config", **query, **cursor).expect(200).result
            assert set(page) == {"items", "next"}
            assert len(page["items"]) <= int(query.get("limit", 100))
            found += [(c["appId"], c["eventType"]) for c in page["items"]]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    assert sorted(walk()) == sorted(walk(limit=4)) == sorted(walk(limit=1)) == sorted(pairs)
    own = [p for p in pairs if p[0] == f"{app}-1"]
    assert sorted(walk(appId=f"{app}-1")) == sorted(walk(appId=f"{app}-1", limit=2)) == sorted(own)
    for limit in ("0", "251", "x", "-1", "1.5"):
        failed(api.get("/v1/config", limit=limit), 400, "limit")
    failed(api.get("/v1/config", cursor="nonsense"), 400, "cursor")
    failed(api.get("/v1/config", appid=app), 400, "appid")


@pytest.mark.parametrize("query", [{"shareSecret": "maybe"}, {"limit": "many"}, {"type": TYPE}])
def test_a_bad_query_is_named(shared, app, query):
    subscribe(shared, app, URL)
    pair = {} if "limit" in query else {"eventType": TYPE}
    failed(shared.get("/v1/config", appId=app, **pair, **query), 400, *query)


def test_a_config_that_is_too_large(shared, app):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL, product="x" * 500_000)
    answer = shared.call("POST", "/v1/config", body)
    failed(answer, answer.status)
    assert answer.status in (400, 413)


def test_names_of_every_kind(shared, receiver):
    for number, (name, type) in enumerate(
        [("a b&c=d/e?f#g%20", "T+1"), ("é漢字😀", "\u00a0"), ('"\\', "*"), ("x" * 256, "y" * 256)]
    ):
        subscribe(shared, name, receiver.url(f"/{number}"), type=type)
        assert shared.config(name, type).expect(200).result["appId"] == name
        shared.patch(name, type, product="p").expect(200)
        shared.send(event(name, type="T" if type == "*" else type))
        request = receiver.one(f"/{number}")
        shared.delete(name, type).expect(200)
        shared.config(name, type).expect(404)
        assert json.loads(request.body)["appId"] == name


# ── Change ───────────────────────────────────────────────────────────────────────────────────────


def test_patch_merges(shared, app):
    made = subscribe(
        shared, app, URL, headers={"x-a": "1", "x-b": "2"}, product="shop", maxInFlight=4,
        workflows={"w": [URL + "/w"]}, retry={"schedule": [1], "timeoutMs": 2000},
    )  # fmt: skip
    answer = shared.patch(app, TYPE, headers={"x-b": None, "x-c": "3"}, isActive=False)
    result = answer.expect(200).result
    assert result["headers"] == {"x-a": "1", "x-c": "3"} and result["isActive"] is False
    assert result == shared.config(app, TYPE).expect(200).result
    kept = ("webhookUrl", "product", "maxInFlight", "workflows", "retry", "createdAt")
    assert {k: result[k] for k in kept} == {k: made[k] for k in kept}
    assert result["version"] == 2

    merged = shared.patch(app, TYPE, retry={"timeoutMs": 3000}, workflows={"v": [URL]})
    assert merged.expect(200).result["retry"] == {"schedule": [1], "timeoutMs": 3000}
    assert set(merged.result["workflows"]) == {"w", "v"}

    nothing = dict.fromkeys(["headers", "product", "maxInFlight", "workflows", "retry", "isActive"])
    result = shared.patch(app, TYPE, **nothing).expect(200).result
    assert result["headers"] == {} and result["workflows"] == {} and result["product"] is None
    assert result["maxInFlight"] == 16 and result["isActive"] is True
    assert result["retry"]["schedule"][0] == 5 and result["version"] == 4
    failed(shared.patch(app, TYPE, webhookUrl=None), 400, "webhookUrl")


@pytest.mark.parametrize("field", OTHERS)
def test_a_field_is_set_kept_and_removed(shared, app, field):
    """Alone, beside all the others, and null is its default again."""
    value = OTHERS[field]
    plain = subscribe(shared, app, URL)
    alone = shared.patch(app, TYPE, **{field: value}).expect(200).result
    assert alone[field] == value
    others = {f: v for f, v in alone.items() if f not in (field, "version", "updatedAt", "secret")}
    assert others == {f: plain[f] for f in others}
    every = shared.patch(app, TYPE, **{f: v for f, v in OTHERS.items() if f != field}).expect(200)
    assert {f: every.result[f] for f in OTHERS} == OTHERS
    if field == "webhookUrl":
        failed(shared.patch(app, TYPE, **{field: None}), 400, field)
        return
    removed = shared.patch(app, TYPE, **{field: None}).expect(200).result
    assert {f: removed[f] for f in OTHERS} == OTHERS | {field: plain[field]}
    assert removed == shared.config(app, TYPE).expect(200).result


def test_a_patch_that_is_refused_changes_nothing(shared, app):
    subscribe(shared, app, URL)
    before = shared.config(app, TYPE).expect(200).result
    for change, word in [
        ({"isActive": False, "maxInflight": 1}, "maxInflight"),
        ({"product": "p", "maxInFlight": 0}, "maxInFlight"),
        ({"product": "p", "webhookUrl": "ftp://x/"}, "webhookUrl"),
        ({"isActive": False, "headers": {"host": "x"}}, "headers"),
    ]:
        failed(shared.patch(app, TYPE, **change), 400, word)
    failed(shared.call("PATCH", "/v1/config", {"appId": app, "isActive": False}), 400, "eventType")
    failed(shared.call("PATCH", "/v1/config", {"eventType": TYPE, "isActive": False}), 400, "appId")
    assert shared.config(app, TYPE).expect(200).result == before


def test_an_answer_can_be_edited_and_sent_back(shared, receiver, app):
    headers = {"authorization": "Bearer " + CANARY, "x-api-key": CANARY * 2, "x-plain": "plain"}
    made = subscribe(shared, app, receiver.url(), headers=headers, product="shop")
    answer = shared.config(app, TYPE).expect(200)
    assert CANARY.encode() not in answer.body
    edited = answer.result
    assert edited["headers"]["x-plain"] == "plain"
    edited["product"] = "store"
    back = shared.call("PATCH", "/v1/config", edited).expect(200)
    assert CANARY.encode() not in back.body
    assert back.result["product"] == "store" and back.result["version"] == 2
    shared.send(event(app))
    request = receiver.one()
    assert {n: request.header(n) for n in headers} == headers
    signature.check(request, made["secret"])
    assert len(signature.signatures(request)) == 1


def test_if_match(shared, app):
    subscribe(shared, app, URL)
    assert shared.patch(app, TYPE, if_match='"1"', product="a").expect(200)
    failed(shared.patch(app, TYPE, if_match='"1"', product="b"), 412)
    failed(shared.patch(app, TYPE, if_match='"3"', product="b"), 412)
    result = shared.config(app, TYPE).expect(200).result
    assert (result["version"], result["product"]) == (2, "a")
    failed(shared.patch(app, TYPE, if_match="two", product="b"), 400)
    failed(shared.delete(app, TYPE, if_match='"1"'), 412)
    shared.delete(app, TYPE, if_match='"2"').expect(200)


def test_two_writers_never_lose_a_change(shared, app):
    subscribe(shared, app, URL)

    def write(writer):
        with shared.connect() as connection:
            for n in range(8):
                body = {"appId": app, "eventType": TYPE, "headers": {f"x-{writer}-{n}": "v"}}
                answer = connection.call("PATCH", "/v1/config", body)
                while answer.status == 503:  # others were faster too often: nothing was changed
                    answer = connection.call("PATCH", "/v1/config", body)
                answer.expect(200)

    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    result = shared.config(app, TYPE).expect(200).result
    assert set(result["headers"]) == {f"x-{w}-{n}" for w in range(4) for n in range(8)}
    assert result["version"] == 33


def test_of_two_with_the_same_version_one_wins(shared, app):
    subscribe(shared, app, URL)
    for version in range(1, 11):
        answers, barrier = [], threading.Barrier(4)

        def write(n):
            barrier.wait(30)
            change = {"product": f"{version}-{n}"}
            answers.append(shared.patch(app, TYPE, f'"{version}"', **change))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert sorted(a.status for a in answers) == [200, 412, 412, 412]
        (won,) = (a.result for a in answers if a.status == 200)
        assert shared.config(app, TYPE).expect(200).result == won


def test_a_change_survives_a_restart(servers, receiver, app):
    server = servers().start()
    made = subscribe(server.api, app, receiver.url("/old"), headers={"x-a": "1"})
    server.api.patch(app, TYPE, webhookUrl=receiver.url("/new")).expect(200)
    before = server.api.config(app, TYPE).result
    server.restart()
    assert server.api.config(app, TYPE).expect(200).result == before
    server.api.send(event(app))
    request = receiver.one("/new")
    assert request.header("x-a") == "1"
    signature.check(request, made["secret"])


def test_a_change_is_in_force_when_it_is_answered(shared, receiver, app):
    """Whichever shard the change, the event and the app come upon."""
    apps = [f"{app}-{n}" for n in range(4)]
    for name in apps:
        subscribe(shared, name, receiver.url("/start"))
    for n in range(15):
        for name in apps:
            path = f"/{name}/{n}"
            shared.patch(name, TYPE, webhookUrl=receiver.url(path)).expect(200)
            result = shared.send(event(name))
            assert result["deliveries"][0]["url"] == receiver.url(path)
            assert receiver.one(path).id == result["id"]
    assert len(receiver.requests()) == 60


def test_activity_is_in_force_when_it_is_answered(shared, receiver, app):
    subscribe(shared, app, receiver.url())
    for n in range(30):
        shared.patch(app, TYPE, isActive=n % 2 == 0).expect(200)
        skipped = shared.send(event(app))["skipped"]
        assert skipped == (None if n % 2 == 0 else {"reason": "inactive"})
    for n in range(15):
        shared.delete(app, TYPE).expect(200)
        assert shared.send(event(app))["skipped"] == {"reason": "no_config"}
        subscribe(shared, app, receiver.url())
        assert shared.send(event(app))["skipped"] is None


def test_what_waits_follows_the_new_url(shared, receiver, app):
    receiver.always("/old", 500)
    subscribe(shared, app, receiver.url("/old"), retry={"schedule": [2]})
    result = shared.send(event(app))
    receiver.one("/old")
    shared.patch(app, TYPE, webhookUrl=receiver.url("/new"), headers={"x-new": "1"}).expect(200)
    request = receiver.one("/new")
    assert request.id == result["id"] and request.attempt == 2 and request.header("x-new") == "1"
    delivery = settled(shared, result["deliveries"][0]["id"], "delivered")
    assert delivery["url"] == receiver.url("/new") and len(receiver.requests("/old")) == 1


def test_what_waits_for_an_inactive_config_is_held(shared, receiver, app):
    receiver.script("/", 500)
    subscribe(shared, app, receiver.url(), retry={"schedule": [1]})
    result = shared.send(event(app))
    receiver.one()
    shared.patch(app, TYPE, isActive=False).expect(200)
    (waiting,) = result["deliveries"]
    attempted(shared, waiting["id"], 1)
    assert shared.delivery(waiting["id"])["status"] == "held"
    assert [d["id"] for d in shared.deliveries(appId=app, status="held")] == [waiting["id"]]
    assert shared.deliveries(appId=app, status="pending") == []
    shared.patch(app, TYPE, isActive=True).expect(200)
    settled(shared, waiting["id"], "delivered")
    assert [r.attempt for r in receiver.requests()] == [1, 2]


# ── Delete ───────────────────────────────────────────────────────────────────────────────────────


def test_delete_cancels_what_waits(shared, receiver, app):
    receiver.always("/", 500)
    subscribe(shared, app, receiver.url(), retry={"schedule": [60]})
    sent = [shared.send(event(app, n=n))["deliveries"][0]["id"] for n in range(5)]
    for id in sent:
        attempted(shared, id, 1)
    answer = shared.delete(app, TYPE).expect(200)
    assert answer.json["status"] == "success" and answer.json["statusCode"] == 200
    for id in sent:
        delivery = settled(shared, id, "cancelled")
        assert delivery["nextAttemptAt"] is None
        failed(shared.retry(id), 409)
    subscribe(shared, app, receiver.url())  # brings nothing back
    last = shared.send(event(app))
    receiver.one(id=last["id"])
    assert all(shared.delivery(id)["status"] == "cancelled" for id in sent)
    assert len(receiver.requests()) == 6


def test_an_attempt_in_flight_outlives_its_config(shared, receiver, app):
    hold = threading.Event()
    receiver.always("/", Reply(hold=hold))
    subscribe(shared, app, receiver.url())
    result = shared.send(event(app))
    receiver.one()
    shared.delete(app, TYPE).expect(200)
    hold.set()
    settled(shared, result["deliveries"][0]["id"], "delivered")


def test_a_workflow_url_that_is_removed(shared, receiver, app):
    receiver.always("/w", 500)
    subscribe(
        shared, app, receiver.url("/d"), workflows={"w": [receiver.url("/w")]},
        retry={"schedule": [60]},
    )  # fmt: skip
    result = shared.send(event(app, workflowId="w"))
    (waiting,) = result["deliveries"]
    attempted(shared, waiting["id"], 1)
    shared.patch(app, TYPE, workflows={"w": None}).expect(200)
    settled(shared, waiting["id"], "cancelled")
    assert receiver.requests("/d") == []


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────


def test_rotation_with_overlap(shared, receiver, app):
    old = subscribe(shared, app, receiver.url())["secret"]
    rotated = shared.patch(app, TYPE, updateSecret=True).expect(200).result
    new = rotated["secret"]
    assert new != old and rotated["version"] == 2
    shared.send(event(app))
    (request,) = receiver.wait(1)
    assert signature.signatures(request) == [
        signature.expected(request, new), signature.expected(request, old),
    ]  # fmt: skip
    signature.check(request, old)
    signature.check(request, new)
    assert shared.config(app, TYPE).expect(200).result["secret"] == "whsec_…" + new[-4:]


def test_rotation_at_once(shared, receiver, app):
    old = subscribe(shared, app, receiver.url())["secret"]
    new = shared.patch(app, TYPE, updateSecret="now").expect(200).result["secret"]
    shared.send(event(app))
    request = receiver.one()
    assert signature.signatures(request) == [signature.expected(request, new)]
    assert not signature.is_signed(request, old)


def test_a_secret_in_a_patch_rotates_with_overlap(shared, receiver, app):
    old = subscribe(shared, app, receiver.url())["secret"]
    shared.patch(app, TYPE, secret=SECRET).expect(200)
    shared.send(event(app))
    request = receiver.one()
    assert signature.signatures(request) == [
        signature.expected(request, SECRET), signature.expected(request, old),
    ]  # fmt: skip


def test_the_overlap_is_a_setting(servers, receiver, app):
    api = servers("--secret-overlap", 1).start().api
    subscribe(api, app, receiver.url())
    new = api.patch(app, TYPE, updateSecret=True).expect(200).result["secret"]

    def only_the_new_one():
        id = api.send(event(app))["id"]
        request = receiver.one(id=id)
        return signature.signatures(request) == [signature.expected(request, new)]

    eventually(only_the_new_one)


# ── URLs ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def strict_server(servers_of_module):
    """As it is by default, but with names of its own."""
    names = NameServer()
    names.names = {
        "public.test": ["93.184.216.34"],
        "private.test": ["10.0.0.5"],
        "mixed.test": ["93.184.216.34", "10.0.0.5"],
        "mixed6.test": ["93.184.216.34", "fd00::1"],
        "metadata.test": ["169.254.169.254"],
        "loopback.test": ["127.0.0.1"],
    }
    yield servers_of_module("--name-servers", names.address, lenient=False).start()
    names.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/",
        "https://93.184.216.34:8443/",
        "https://93.184.216.34:80/",
        "ftp://93.184.216.34/",
        "//93.184.216.34/",
        "93.184.216.34",
        "https://",
        "https:///path",
        "https://user@93.184.216.34/",
        "https://user:pass@93.184.216.34/",
        "https://93.184.216.34/#fragment",
        "https://93.184.216.34/a b",
        "https://93.184.216.34/a\\b",
        "https://93.184.216.34\\@127.0.0.1/",
        "https://93.184.216.34/é",
        " https://93.184.216.34/",
        "https://93.184.216.34/\n",
        "https://93.184.216.34:/x" + "x" * 2048,
        "https://93.184.216.34:0/",
        "https://93.184.216.34:65536/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://192.0.2.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://%31%32%37.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://private.test/",
        "https://PRIVATE.test/",
        "https://mixed.test/",
        "https://mixed6.test/",
        "https://metadata.test/",
        "https://loopback.test/",
        "https://localhost/",
    ],
)
def test_urls_that_are_refused(strict_server, app, url):
    api = strict_server.api
    body = dict(appId=app, eventType=TYPE, webhookUrl=url)
    failed(api.call("POST", "/v1/config", body), 400, "webhookUrl")
    api.config(app, TYPE).expect(404)
    workflow = dict(appId=app, eventType=TYPE, webhookUrl=URL, workflows={"w": [url]})
    failed(api.call("POST", "/v1/config", workflow), 400, "workflows")


def test_only_an_admin_is_told_where_a_name_leads(strict_server, app):
    """Whoever may name any host could draw a map of what is behind the server."""
    body = dict(appId=app, eventType=TYPE, webhookUrl="https://private.test/")
    refused = failed(strict_server.api.call("POST", "/v1/config", body), 400)
    allowed = "allowed are public addresses, and networks that the operator lists in --allow-nets"
    start = "webhookUrl: private.test resolves to "
    assert refused.error == f"{start}10.0.0.5, a private address; {allowed}"
    made = strict_server.cli("keys", "create", "--role", "client", "--scope", app)
    client = Api(strict_server.address, made.stdout.decode().strip())
    subscribe(client, app, URL)
    for url in ("https://private.test/", "https://mixed.test/", "https://loopback.test/"):
        refused = failed(client.patch(app, TYPE, webhookUrl=url), 400)
        name = url.split("/")[2]
        assert refused.error == (
            f"webhookUrl: {name} resolves to an address that is not public; {allowed}"
        )


@pytest.mark.parametrize(
    "url",
    [
        "https://93.184.216.34/",
        "https://93.184.216.34",
        "https://93.184.216.34:443/a/../b?x=1&y=%20",
        "https://[2606:2800:220:1::1]/",
        "https://public.test/hook",
        "HTTPS://Public.Test/hook",
        "https://93.184.216.34/" + "x" * (2048 - len("https://93.184.216.34/")),
    ],
)
def test_urls_that_are_taken(strict_server, app, url):
    result = subscribe(strict_server.api, app, url)
    assert result["webhookUrl"] == url and "warnings" not in result


def test_a_name_that_does_not_resolve_yet(strict_server, app):
    result = subscribe(strict_server.api, app, "https://nobody.test/hook")
    (warning,) = result["warnings"]
    assert "webhookUrl" in warning


def test_what_an_operator_allows(servers, app):
    api = servers("--allow-http", "--allow-ports", "8443,9000", lenient=False).start().api
    for number, url in enumerate(
        ["http://93.184.216.34/", "http://93.184.216.34:80/", "https://93.184.216.34:8443/",
         "http://93.184.216.34:9000/"]
    ):  # fmt: skip
        subscribe(api, app, url, type=f"T{number}")
    for url in ("https://93.184.216.34:8444/", "http://127.0.0.1:9000/"):
        body = dict(appId=app, eventType=TYPE, webhookUrl=url)
        failed(api.call("POST", "/v1/config", body), 400, "webhookUrl")
