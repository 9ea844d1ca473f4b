"""Configurations under many hands, and every wrong one with the exact answer it gets."""

import threading

import pytest

from harness.api import failed
from harness.events import TYPE, event, subscribe
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(90))

URL = "https://93.184.216.34/hook"  # a public address; nothing is sent to it here


def together(*jobs):
    """Runs all of them at once, each on a connection of its own; what they returned."""
    results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def run(at, job):
        barrier.wait(30)
        results[at] = job()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return results


def insist(call):
    """What it answers, once the service is not too busy with the others."""
    while True:
        answer = call()
        if answer.status != 503:
            return answer
        assert answer.headers["retry-after"]


# ── Many hands ───────────────────────────────────────────────────────────────────────────────────


def test_writers_of_different_fields_lose_nothing(shared, app):
    subscribe(shared, app, URL)
    values = {
        "webhookUrl": lambda n: f"{URL}/{n}",
        "product": lambda n: f"product-{n}",
        "maxInFlight": lambda n: n + 1,
        "retry": lambda n: {"schedule": [n], "timeoutMs": 2000 + n},
        "headers": lambda n: {"x-a": f"{n}"},
        "workflows": lambda n: {"w": [f"{URL}/w/{n}"]},
    }
    changes = 8

    def writer(field):
        def write():
            with shared.connect() as connection:
                for n in range(changes):
                    body = {"appId": app, "eventType": TYPE, field: values[field](n)}
                    insist(lambda body=body: connection.call("PATCH", "/v1/config", body)).expect(200)

        return write

    together(*map(writer, values))
    result = shared.config(app, TYPE).expect(200).result
    assert {f: result[f] for f in values} == {f: v(changes - 1) for f, v in values.items()}
    assert result["version"] == 1 + changes * len(values)


def test_readers_that_write_back_lose_nothing(shared, app):
    """With If-Match what was read is what is changed; whoever lost reads again."""
    subscribe(shared, app, URL, product="0")
    lost = []

    def count():
        with shared.connect() as connection:
            pair = {"appId": app, "eventType": TYPE}
            for _ in range(8):
                while True:
                    read = connection.call("GET", "/v1/config", query=pair).expect(200)
                    assert read.headers["etag"] == '"%d"' % read.result["version"]
                    body = {**pair, "product": str(int(read.result["product"]) + 1)}
                    headers = {"if-match": read.headers["etag"]}
                    answer = connection.call("PATCH", "/v1/config", body, headers)
                    if answer.status == 200:
                        break
                    answer.expect(412)
                    lost.append(answer)

    together(*[count] * 4)
    result = shared.config(app, TYPE).expect(200).result
    assert (result["product"], result["version"]) == ("32", 33)


def test_a_change_never_brings_back_what_is_deleted(shared, app):
    for n in range(25):
        subscribe(shared, app, URL)
        changes = [lambda: shared.patch(app, TYPE, product="p")] * 3
        removed, *changed = together(lambda: shared.delete(app, TYPE), *changes)
        removed.expect(200)
        assert {a.status for a in changed} <= {200, 404}, changed
        shared.config(app, TYPE).expect(404)
        assert shared.send(event(app, n=n))["skipped"] == {"reason": "no_config"}


def test_creating_changing_and_deleting_at_once(shared, app):
    """Whatever the order: each answer is true, and in the end as many were made as were deleted,
    but for the one that is there or not."""
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL)
    allowed = {"POST": {201, 409}, "PATCH": {200, 404}, "DELETE": {200, 404}}
    done = []

    def storm(method, call):
        def run():
            while sum(d[0] == "POST" and d[1] < 300 for d in done) < 25:
                status = insist(call).status
                assert status in allowed[method]
                done.append((method, status))

        return run

    together(
        *[storm("POST", lambda: shared.call("POST", "/v1/config", body))] * 2,
        *[storm("PATCH", lambda: shared.patch(app, TYPE, product="p"))] * 2,
        *[storm("DELETE", lambda: shared.delete(app, TYPE))] * 2,
    )
    counts = {m: sum(d[0] == m and d[1] < 300 for d in done) for m in allowed}
    assert min(counts.values()) > 0, counts  # else nothing met
    there = shared.config(app, TYPE).status == 200
    assert counts["POST"] - counts["DELETE"] == there



# ── An answer sent back ──────────────────────────────────────────────────────────────────────────

# Every field with another value than its default.
FULL = {
    "webhookUrl": URL,
    "isActive": False,
    "product": "shop",
    "headers": {"x-plain": "1", "authorization": "Bearer 0123456789abcdef", "x-key": "short"},
    "workflows": {"w": [URL + "/1", URL + "/2"]},
    "additionalMetadataKeys": ["workflowId", "Other"],
    "deleteAppId": True,
    "payloadBlocklist": ["a.b", "/c.d"],
    "filter": {"status": ["done", {"prefix": "re"}], "n": [{"numeric": [">", 1.50]}]},
    "retry": {"schedule": [1, 2], "timeoutMs": 2000},
    "rateLimit": 50,
    "maxInFlight": 3,
    "signing": {"schemes": ["standard", "ed25519", "body"], "bodyHeader": "x-sig",
                "bodyEncoding": "base64"},
}  # fmt: skip


def test_an_answer_sent_back_changes_nothing(shared, app):
    """Neither what is masked nor what the service sets stands in the way."""
    made = shared.create(appId=app, eventType=TYPE, **FULL)
    before = shared.config(app, TYPE).expect(200).result
    for field, value in FULL.items():
        if field != "headers":
            assert before[field] == value
    answer = shared.call("PATCH", "/v1/config", before).expect(200)
    secret = shared.config(app, TYPE, shareSecret="true").result["secret"]
    changed = {"version": 2, "updatedAt": answer.result["updatedAt"]}
    assert answer.result == before | changed == shared.config(app, TYPE).result
    assert secret == made["secret"] and made["secret"][-4:] == before["secret"][-4:]
    last = shared.get("/v1/config/history", appId=app, eventType=TYPE).expect(200).result["items"][0]
    assert (last["version"], last["changes"]) == (2, [])
    listed = shared.get("/v1/config", appId=app).result["items"]
    assert listed == [answer.result]


# ── Wrong bodies ─────────────────────────────────────────────────────────────────────────────────

NAME = "must be a string of 1 to 256 printable characters"
SECRET = (
    "secret: must be whsec_ and the base64 of 16 to 64 bytes, or 16 to 128 printable ASCII "
    "characters"
)
TOKEN = "is no header name (letters, digits and !#$%&'*+-.^_`|~)"
OPERATOR = (
    "must be one operator of prefix, suffix, equals-ignore-case, wildcard, numeric, cidr, exists, "
    "anything-but"
)
SIGNATURES = (
    "cannot be set: signing.bodyHeader, and while a secret is rotated that with -next, are the "
    "signature's"
)

# What is wrong in a body that is right but for that, and the whole answer to it.
WRONG = [
    ({"appId": ""}, f"appId: {NAME}, was empty"),
    ({"appId": 7}, "appId: must be a string"),
    ({"appId": "a\nb"}, f"appId: {NAME}, held a control character as byte 2"),
    ({"appId": "x" * 257}, f"appId: {NAME}, was 257 long"),
    ({"eventType": ""}, f"eventType: {NAME}, was empty"),
    ({"eventType": ["T"]}, "eventType: must be a string"),
    #
    ({"webhookUrl": None}, "webhookUrl: must not be null"),
    ({"webhookUrl": 7}, "webhookUrl: must be a URL in a string, was 7"),
    ({"webhookUrl": ""}, "webhookUrl: must not be empty"),
    ({"webhookUrl": "ftp://93.184.216.34/"},
     "webhookUrl: must be an https URL such as https://example.com/hook, was "
     '"ftp://93.184.216.34/"'),
    ({"webhookUrl": "http://93.184.216.34/"},
     "webhookUrl: must be an https URL (http only where the operator sets --allow-http), was "
     '"http://93.184.216.34/"'),
    ({"webhookUrl": "https://user:pw@93.184.216.34/"},
     "webhookUrl: must not hold a user name or password before the host"),
    ({"webhookUrl": URL + "#x"},
     "webhookUrl: must not hold a fragment ('#' and what follows); byte 27 does"),
    ({"webhookUrl": "https://93.184.216.34:8443/"},
     "webhookUrl: port 8443 is not allowed; the operator adds ports with --allow-ports, allowed: "
     "443"),
    ({"webhookUrl": "https://10.1.2.3/"},
     "webhookUrl: must lead to a public address (or one in --allow-nets), 10.1.2.3 is a private "
     "address"),
    ({"webhookUrl": "https://0x7f.1/"},
     "webhookUrl: the host looks like an address but is no plain one such as 192.0.2.1, was "
     '"0x7f.1"'),
    ({"webhookUrl": URL + "/" * 2048}, "webhookUrl: must have at most 2048 bytes, has 2074"),
    #
    ({"isActive": "true"}, 'isActive: must be true or false, was "true"'),
    ({"isActive": 1}, "isActive: must be true or false, was 1"),
    ({"isActive": []}, "isActive: must be true or false, was an array"),
    ({"product": 1}, "product: must be a string, was 1"),
    ({"product": ""}, f"product: {NAME}, was empty"),
    ({"deleteAppId": "no"}, 'deleteAppId: must be true or false, was "no"'),
    ({"deleteAppId": 0}, "deleteAppId: must be true or false, was 0"),
    #
    ({"headers": []}, "headers: must be an object of strings, was an array"),
    ({"headers": {"x-a": 1}}, 'headers: "x-a" must be a string'),
    ({"headers": {"x-a": ""}}, 'headers: "x-a" must not be empty (null removes a header)'),
    ({"headers": {"x-a": " a"}}, 'headers: "x-a" must not begin or end with white space'),
    ({"headers": {"x-a": "a\r\nb: c"}}, 'headers: "x-a" must not hold control characters'),
    ({"headers": {"bad name": "x"}}, f'headers: "bad name" {TOKEN}'),
    ({"headers": {"": "x"}}, f'headers: "" {TOKEN}'),
    ({"headers": {"x-a": "1", "X-A": "2"}},
     'headers: "X-A" is there twice; case makes no difference'),
    ({"headers": {f"x-{n}": "v" for n in range(33)}},
     "headers: must have at most 32 members, has 33"),
    ({"headers": {"x-a": "v" * 8192}},
     "headers: names and values must have at most 8192 bytes in all, have 8195"),
    ({"headers": {"Host": "x"}}, 'headers: "Host" cannot be set: it follows from the URL'),
    ({"headers": {"content-type": "x"}},
     'headers: "content-type" cannot be set: it follows from the body'),
    ({"headers": {"Cookie": "x"}}, 'headers: "Cookie" cannot be set: a webhook has no session'),
    ({"headers": {"webhook-id": "x"}},
     'headers: "webhook-id" cannot be set: this service sets it'),
    ({"headers": {"x-webhook-signature": "x"}},
     'headers: "x-webhook-signature" cannot be set: this service sets it'),
    ({"headers": {"x-amz-date": "x"}}, 'headers: "x-amz-date" cannot be set: it belongs to AWS'),
    ({"headers": {"forwarded": "x"}}, 'headers: "forwarded" cannot be set: nothing is forwarded'),
    ({"headers": {"te": "x"}}, 'headers: "te" cannot be set: it concerns one connection'),
    ({"headers": {"x-api-key": "…abcd"}},
     'headers: "x-api-key" is masked, as an answer shows it; send the whole value'),
    #
    ({"workflows": []}, "workflows: must be an object of arrays of URLs, was an array"),
    ({"workflows": {"w": URL}}, "workflows.w: must be an array of URLs, was a string"),
    ({"workflows": {"w": []}},
     "workflows.w: must have 1 to 20 URLs, has 0 (null removes a workflow)"),
    ({"workflows": {"w": [URL, 1]}}, "workflows.w[1]: must be a URL in a string, was 1"),
    ({"workflows": {"": [URL]}}, f"a key of workflows: {NAME}, was empty"),
    ({"workflows": {"w": [f"{URL}/{n}" for n in range(21)]}},
     "workflows.w: must have 1 to 20 URLs, has 21 (null removes a workflow)"),
    ({"workflows": {"w": [URL, "ftp://x/"]}},
     'workflows.w[1]: must be an https URL such as https://example.com/hook, was "ftp://x/"'),
    ({"workflows": {"w": ["https://127.0.0.1/"]}},
     "workflows.w[0]: must lead to a public address (or one in --allow-nets), 127.0.0.1 is a "
     "loopback address"),
    ({"workflows": {f"w{n}": [URL] for n in range(101)}},
     "workflows: must have at most 100 members, has 101"),
    ({"workflows": {}, "worfklows": {}},
     '"workflows" and "worfklows" are both there: send one'),
    #
    ({"additionalMetadataKeys": "workflowId"},
     "additionalMetadataKeys: must be an array of strings, was a string"),
    ({"additionalMetadataKeys": [1]}, "additionalMetadataKeys[0]: must be a string, was 1"),
    ({"additionalMetadataKeys": ["a", ""]}, f"additionalMetadataKeys[1]: {NAME}, was empty"),
    ({"additionalMetadataKeys": [f"k{n}" for n in range(33)]},
     "additionalMetadataKeys: must have at most 32 items, has 33"),
    #
    ({"payloadBlocklist": "a"}, "payloadBlocklist: must be an array of paths, was a string"),
    ({"payloadBlocklist": [1]}, "payloadBlocklist[0]: must be a path in a string, was 1"),
    ({"payloadBlocklist": ["a", ""]},
     "payloadBlocklist[1]: must be a path of 1 to 256 bytes, was 0"),
    ({"payloadBlocklist": ["a..b"]},
     "payloadBlocklist[0]: must be names with one dot between them, or a JSON Pointer, was "
     '"a..b"'),
    ({"payloadBlocklist": ["/a/~2"]},
     "payloadBlocklist[0]: must be a JSON Pointer, in which a tilde is ~0 and a slash ~1, was "
     '"/a/~2"'),
    ({"payloadBlocklist": ["x" * 257]},
     "payloadBlocklist[0]: must be a path of 1 to 256 bytes, was 257"),
    ({"payloadBlocklist": [".".join("abcdefghijklmnopq")]},
     "payloadBlocklist[0]: must be a path of at most 16 steps, was "
     '"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"'),
    ({"payloadBlocklist": [f"k{n}" for n in range(65)]},
     "payloadBlocklist: must have at most 64 items, has 65"),
    #
    ({"filter": []}, "filter: must be an object, was an array"),
    ({"filter": {"a": 1}},
     "filter.a: must be an array of what matches, or an object, was a number"),
    ({"filter": {"a": []}},
     "filter.a: must be an array with at least one item, was an empty array"),
    ({"filter": {"a": {}}},
     "filter.a: must be an object with at least one member, was an empty object"),
    ({"filter": {"a": [[1]]}},
     "filter.a[0]: must be a string, a number, true, false, null or an object with an operator, "
     "was an array"),
    ({"filter": {"a": [{"begins": "x"}]}}, f'filter.a[0]: {OPERATOR}, was "begins"'),
    ({"filter": {"a": ["x", {"prefix": "x", "suffix": "y"}]}},
     f"filter.a[1]: {OPERATOR}, was an object with 2 members"),
    ({"filter": {"a": {"b": [{"prefix": 1}]}}},
     'filter.a.b[0].prefix: must be a string or {"equals-ignore-case": string}, was a number'),
    ({"filter": {"a": [{"numeric": [">"]}]}},
     'filter.a[0].numeric: must be [comparison, number] or, for a range, [">" or ">=", number, "<" '
     'or "<=", greater number], was an array'),
    ({"filter": {"a": [{"numeric": ["=>", 1]}]}},
     'filter.a[0].numeric[0]: must be one of = < <= > >=, was "=>"'),
    ({"filter": {"a": [{"exists": "yes"}]}},
     "filter.a[0].exists: must be true or false, was a string"),
    ({"filter": {"$or": {}}},
     "filter.$or: must be an array of at least two objects, was an empty object"),
    #
    ({"retry": []}, "retry: must be an object with schedule and timeoutMs, was an array"),
    ({"retry": {"schedule": 5}}, "retry.schedule: must be an array of seconds, was 5"),
    ({"retry": {"schedule": [-1]}},
     "retry.schedule[0]: must be an integer from 0 to 43200, was -1"),
    ({"retry": {"schedule": [1, 43201]}},
     "retry.schedule[1]: must be an integer from 0 to 43200, was 43201"),
    ({"retry": {"schedule": [1.5]}},
     "retry.schedule[0]: must be an integer from 0 to 43200, was 1.5"),
    ({"retry": {"schedule": ["1"]}},
     'retry.schedule[0]: must be an integer from 0 to 43200, was "1"'),
    ({"retry": {"schedule": [1] * 25}}, "retry.schedule: must have at most 24 items, has 25"),
    ({"retry": {"timeoutMs": 999}},
     "retry.timeoutMs: must be an integer from 1000 to 30000, was 999"),
    ({"retry": {"timeoutMs": 30001}},
     "retry.timeoutMs: must be an integer from 1000 to 30000, was 30001"),
    ({"retry": {"times": 3}}, 'retry: unknown member "times"; there are: schedule, timeoutMs'),
    ({"rateLimit": 0}, "rateLimit: must be an integer from 1 to 100000, was 0"),
    ({"rateLimit": 100001}, "rateLimit: must be an integer from 1 to 100000, was 100001"),
    ({"rateLimit": "10"}, 'rateLimit: must be an integer from 1 to 100000, was "10"'),
    ({"maxInFlight": 0}, "maxInFlight: must be an integer from 1 to 1000, was 0"),
    ({"maxInFlight": 1001}, "maxInFlight: must be an integer from 1 to 1000, was 1001"),
    ({"maxInFlight": 1.5}, "maxInFlight: must be an integer from 1 to 1000, was 1.5"),
    #
    ({"signing": "standard"},
     "signing: must be an object with schemes, bodyHeader and bodyEncoding, was a string"),
    ({"signing": {"schemes": "standard"}},
     "signing.schemes: must be an array of standard, ed25519, body, was a string"),
    ({"signing": {"schemes": []}},
     "signing.schemes: must have at least one item, has 0 (null is the default)"),
    ({"signing": {"schemes": ["hmac"]}},
     'signing.schemes[0]: must be standard, ed25519 or body, was "hmac"'),
    ({"signing": {"schemes": ["body", "body"]}}, 'signing.schemes[1]: "body" is there twice'),
    ({"signing": {"bodyHeader": 1}}, "signing.bodyHeader: must be a header name in a string, was 1"),
    ({"signing": {"bodyHeader": "a b"}}, f'signing.bodyHeader: "a b" {TOKEN}'),
    ({"signing": {"bodyHeader": "webhook-signature"}},
     'signing.bodyHeader: "webhook-signature" cannot be set: this service sets it'),
    ({"signing": {"bodyHeader": "x" * 65}},
     "signing.bodyHeader: must have at most 64 bytes, has 65"),
    ({"signing": {"bodyEncoding": "base32"}},
     'signing.bodyEncoding: must be hex or base64, was "base32"'),
    ({"signing": {"header": "x"}},
     'signing: unknown member "header"; there are: schemes, bodyHeader, bodyEncoding'),
    ({"signing": {"bodyHeader": "x-sig"}, "headers": {"X-Sig": "1"}},
     f'headers: "X-Sig" {SIGNATURES}'),
    ({"signing": {"bodyHeader": "x-sig"}, "headers": {"x-sig-next": "1"}},
     f'headers: "x-sig-next" {SIGNATURES}'),
    #
    ({"updateSecret": "later"}, 'updateSecret: must be true, false or "now"'),
    ({"secret": 17}, "secret: must be a string"),
    ({"secret": "short"}, f"{SECRET}, was 5 bytes long"),
    ({"secret": "x" * 129}, f"{SECRET}, was 129 bytes long"),
    ({"secret": "whsec_" + "!" * 16},
     f"{SECRET}, was not base64 (padded, standard alphabet) behind whsec_"),
    ({"secret": "whsec_MTIzNDU2Nzg5MDEyMzQ="}, f"{SECRET}, was whsec_ and 14 bytes"),
    ({"secret": "tabs\tare not printable"}, f"{SECRET}, held another character as byte 5"),
    #
    ({"webhookURL": URL}, 'unknown field "webhookURL"; did you mean "webhookUrl"?'),
    ({"active": True}, 'unknown field "active"; did you mean "isActive"?'),
]  # fmt: skip

# Where the two differ.
WRONG_IN_POST = [
    ({"version": 7}, "version: is set by the service and cannot be given, leave it out"),
    ({"publicKey": "x"}, "publicKey: is set by the service and cannot be given, leave it out"),
    ({"secret": "whsec_…abcd"},
     "secret: is masked, as an answer shows it; send the whole secret, or leave it out and one is "
     "made"),
]  # fmt: skip
WRONG_IN_PATCH = [
    ({"secret": None}, "secret: cannot be removed; updateSecret makes a new one"),
]


@pytest.fixture(scope="module")
def strict_server(servers_of_module):
    """As it is by default: only public https."""
    return servers_of_module(lenient=False).start()


def wrong(rows):
    return pytest.mark.parametrize(
        "change, error", rows, ids=[f"{n}-{next(iter(c))}" for n, (c, _) in enumerate(rows)]
    )


@wrong(WRONG + WRONG_IN_POST)
def test_wrong_in_post(strict_server, app, change, error):
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL) | change
    answer = failed(strict_server.api.call("POST", "/v1/config", body), 400)
    assert answer.error == error
    strict_server.api.config(app, TYPE).expect(404)


@wrong(WRONG + WRONG_IN_PATCH)
def test_wrong_in_patch(strict_server, app, change, error):
    api = strict_server.api
    subscribe(api, app, URL)
    before = api.config(app, TYPE).expect(200).result
    answer = failed(api.call("PATCH", "/v1/config", dict(appId=app, eventType=TYPE) | change), 400)
    assert answer.error == error
    assert api.config(app, TYPE).expect(200).result == before
