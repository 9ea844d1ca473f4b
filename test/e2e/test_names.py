"""Where names lead: every address of a name is judged, when a config is stored, at each attempt, at a
test and when somebody retries by hand. And what a name server that is slow, dead or wrong costs."""

import contextlib

import pytest

from harness.api import failed
from harness.dns import Name, NameServer
from harness.events import TYPE, event, settled, subscribe
from harness.waiting import eventually

NEVER = {"schedule": []}

# 127.0.0.1 and 127.0.1.0/24, where nobody listens, stand for public addresses here, and the rest of
# 127.0.0.0/8 for the operator's network.
STRICT = ["--allow-http", "--allow-ports", "*", "--allow-nets", "127.0.0.1/32,127.0.1.0/24"]
PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def names():
    with NameServer() as names:
        yield names


@pytest.fixture(scope="module")
def resolving_server(servers_of_module, names):
    # One shard: each has a memory of its own for names.
    flags = [*STRICT, "--name-servers", names.address]
    return servers_of_module(*flags, lenient=False, shards=1).start()


@pytest.fixture
def api(resolving_server):
    return resolving_server.api


@pytest.fixture
def host(app):
    """A name that no other test uses."""
    return f"{app}.test".lower()


def attempt_of(api, app, status="dead"):
    """The only attempt's record of an event sent now."""
    (delivery,) = api.send(event(app))["deliveries"]
    (attempt,) = settled(api, delivery["id"], status)["attemptLog"]
    assert why(api, delivery["id"], attempt)
    return attempt


def why(api, delivery_id, attempt):
    """`why` tells the same words."""
    told = api.why(delivery_id)
    steps = [step["detail"] or "" for e in told["events"] for step in e["steps"]]
    return not attempt["error"] or any(attempt["error"] in detail for detail in steps)


def ask_for_test(api, app):
    body = dict(appId=app, eventType=TYPE)
    return api.call("POST", "/v1/config/test", body).expect(200).result


def stored(api, names, host, port, app):
    """A config for a name that does not exist while it is stored."""
    result = subscribe(api, app, f"http://{host}:{port}/", retry=NEVER)
    assert "does not exist" in result["warnings"][0]


def forgotten(api, app, outcome):
    """Tries until what was known of the name before is forgotten."""
    return eventually(lambda: (test := ask_for_test(api, app))["outcome"] == outcome and test)


# ── One guard for all ────────────────────────────────────────────────────────────────────────────

MIXED = {
    "private": [PRIVATE],
    "private-last": [PUBLIC, PRIVATE],
    "private-first": [PRIVATE, PUBLIC],
    "of-both-kinds": [PUBLIC, "::1"],
    "mapped": [PUBLIC, "::ffff:127.0.0.2"],
    "metadata": [PUBLIC, "169.254.169.254"],
    "metadata-6": [PUBLIC, "fd00:ec2::254"],
    "translated": [PUBLIC, "64:ff9b::7f00:2"],
    "last-of-fifty": [f"127.0.1.{n}" for n in range(49)] + [PRIVATE],
}


@pytest.mark.parametrize("addresses", MIXED.values(), ids=MIXED)
def test_one_forbidden_address_forbids_the_name(api, names, host, receiver, app, addresses):
    """When it is stored, at an attempt, at a test, by hand; nothing is sent, nothing is heard."""
    url = f"http://{host}:{receiver.port}/"
    stored(api, names, host, receiver.port, app)
    names.names[host] = addresses
    assert forgotten(api, app, "blocked")["statusCode"] is None

    (delivery,) = api.send(event(app))["deliveries"]
    (attempt,) = settled(api, delivery["id"], "dead")["attemptLog"]
    assert attempt["outcome"] == "blocked" and attempt["address"] is None
    assert attempt["error"] == "the name leads to an address that is not public"
    assert why(api, delivery["id"], attempt)

    api.retry(delivery["id"])
    eventually(lambda: api.delivery(delivery["id"])["attempts"] == 2)
    attempts = settled(api, delivery["id"], "dead")["attemptLog"]
    assert [a["outcome"] for a in attempts] == ["blocked"] * 2

    body = dict(appId=app, eventType="OTHER", webhookUrl=url)
    failed(api.call("POST", "/v1/config", body), 400, "webhookUrl", host)
    body = dict(appId=app, eventType=TYPE, workflows={"w": [url + "other"]})
    failed(api.call("PATCH", "/v1/config", body), 400, "workflows", host)
    assert receiver.requests() == []


LITERALS = ["127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "169.254.169.254", "10.0.0.1"]


@pytest.mark.parametrize("literal", LITERALS)
def test_an_address_that_is_forbidden_now(servers, app, literal):
    """Allowed when it was stored: asked about again at an attempt, at a test, by hand."""
    server = servers("--allow-http", "--allow-ports", "*", lenient=False)
    server.start("--allow-nets", "*")
    # Nobody may be called there: the event is sent when it is forbidden.
    subscribe(server.api, app, f"http://{literal}:9/", retry=NEVER)
    server.restart()
    api = server.api
    assert ask_for_test(api, app)["outcome"] == "blocked"
    (delivery,) = api.send(event(app))["deliveries"]
    settled(api, delivery["id"], "dead")
    api.retry(delivery["id"])
    eventually(lambda: api.delivery(delivery["id"])["attempts"] == 2)
    attempts = settled(api, delivery["id"], "dead")["attemptLog"]
    assert [a["outcome"] for a in attempts] == ["blocked"] * 2
    assert all("public address" in a["error"] for a in attempts)


def test_a_name_that_turns_between_attempts(api, names, host, receiver, app):
    """The first attempt is answered; before the second the name leads inward."""
    turned = []

    def turn(request):
        names.names[host] = [PRIVATE]
        turned.append(request)
        return 500

    receiver.always("/", turn)
    names.names[host] = [PUBLIC]
    url = f"http://{host}:{receiver.port}/"
    subscribe(api, app, url, retry={"schedule": [2, 2]})  # the answer is kept for a second
    (delivery,) = api.send(event(app))["deliveries"]
    attempts = settled(api, delivery["id"], "dead")["attemptLog"]
    assert [a["outcome"] for a in attempts] == ["http_error", "blocked", "blocked"]
    assert len(turned) == len(receiver.requests()) == 1


def test_a_name_that_alternates(api, names, host, receiver, app):
    """Another answer each time it is asked: what is called is what was judged."""
    answers = [[PUBLIC], [PRIVATE]]

    def alternate():
        return answers[names.asked[host] % 2]

    names.names[host] = [PUBLIC]
    subscribe(api, app, f"http://{host}:{receiver.port}/")
    names.names[host] = alternate
    seen = set()

    def both():
        test = ask_for_test(api, app)
        seen.add(test["outcome"])
        assert test["outcome"] != "success" or test["address"] == PUBLIC
        return seen == {"success", "blocked"}

    eventually(both)
    assert seen == {"success", "blocked"}


# ── Answers of every kind ────────────────────────────────────────────────────────────────────────


def test_a_chain_of_aliases(api, names, host, receiver, app):
    names.names[host] = Name(alias=f"a.{host}", ttl=60)
    names.names[f"a.{host}"] = Name(alias=f"b.{host}", ttl=60)
    names.names[f"b.{host}"] = Name([PUBLIC], ttl=60)
    result = subscribe(api, app, f"http://{host}:{receiver.port}/", retry=NEVER)
    assert "warnings" not in result
    attempt = attempt_of(api, app, "delivered")
    assert attempt["address"] == PUBLIC
    assert receiver.one().header("host") == f"{host}:{receiver.port}"


def test_a_chain_that_leads_inward(api, names, host, receiver, app):
    names.names[host] = Name(alias=f"a.{host}")
    names.names[f"a.{host}"] = Name([PRIVATE])
    body = dict(appId=app, eventType=TYPE, webhookUrl=f"http://{host}:{receiver.port}/")
    failed(api.call("POST", "/v1/config", body), 400, "webhookUrl", host)


def test_fifty_addresses(api, names, host, receiver, app):
    """More than fit in a datagram. All are judged; one that answers is found."""
    names.names[host] = [f"127.0.1.{n}" for n in range(49)] + [PUBLIC]
    subscribe(api, app, f"http://{host}:{receiver.port}/", retry=NEVER)
    assert attempt_of(api, app, "delivered")["address"] == PUBLIC
    assert names.tcp_asked[host] >= 1


def test_more_addresses_than_are_judged(api, names, host, receiver, app):
    stored(api, names, host, receiver.port, app)
    names.names[host] = [f"127.0.1.{n}" for n in range(65)]
    test = eventually(
        lambda: "more than 64" in (test := ask_for_test(api, app))["error"] and test
    )
    assert test["outcome"] == "dns"


FAILURES = {
    "no-such-name": (None, "the name does not exist"),
    "no-address": (Name(), "the name has no address"),
    "server-fails": (Name(code=2), "no name server has an answer"),
    "server-refuses": (Name(code=5), "no name server has an answer"),
    "alias-of-nothing": (Name(alias="nowhere.test"), "the name has no address"),
    "alias-of-itself": (Name(alias="loop.test"), ""),
}


@pytest.mark.parametrize("answer, error", FAILURES.values(), ids=FAILURES)
def test_a_name_without_an_address(api, names, host, receiver, app, answer, error):
    names.names["loop.test"] = Name(alias="loop.test")
    if answer:
        names.names[host] = answer
    (warning,) = subscribe(api, app, f"http://{host}:{receiver.port}/", retry=NEVER)["warnings"]
    assert error in warning
    attempt = attempt_of(api, app)
    assert attempt["outcome"] == "dns" and error in attempt["error"]
    assert attempt["address"] is None and attempt["statusCode"] is None and attempt["advice"]


def test_a_name_server_that_says_nothing(api, names, host, receiver, app):
    names.names[host] = Name(silent=True)
    url = f"http://{host}:{receiver.port}/"
    (warning,) = subscribe(api, app, url, retry={**NEVER, "timeoutMs": 1000})["warnings"]
    assert "did not answer" in warning or "do not answer" in warning
    attempt = attempt_of(api, app)
    assert attempt["outcome"] == "dns" and "not answer" in attempt["error"]
    assert attempt["phases"]["dns"] >= 900


# ── What is remembered ───────────────────────────────────────────────────────────────────────────


def test_answers_are_kept_as_long_as_they_say(servers, names, host, receiver, app):
    api = servers(*STRICT, "--name-servers", names.address, lenient=False, shards=1).start().api
    names.names[host] = Name([PUBLIC], ttl=300)
    names.names["zero." + host] = Name([PUBLIC], ttl=0)
    for type, name in (("KEPT", host), ("ZERO", "zero." + host), ("GONE", "gone." + host)):
        subscribe(api, app, f"http://{name}:{receiver.port}/", type=type, retry=NEVER)

    def ask(type):
        body = dict(appId=app, eventType=type)
        return api.call("POST", "/v1/config/test", body).expect(200).result["outcome"]

    assert [ask("KEPT") for _ in range(5)] == ["success"] * 5
    assert names.asked[host] == 1
    eventually(lambda: ask("ZERO") == "success" and names.asked["zero." + host] >= 3)
    before = names.asked["gone." + host]
    assert ask("GONE") == "dns"
    again = names.asked["gone." + host]
    assert again <= before + 1  # at most what was known at first had run out
    names.names["gone." + host] = [PUBLIC]
    eventually(lambda: ask("GONE") == "success")  # a "no" is believed for a short while only


# ── Many at once ─────────────────────────────────────────────────────────────────────────────────


def test_a_thousand_names_and_a_dead_server(servers, receiver, app):
    """One of two name servers falls silent: looking up takes longer, and holds nobody known."""
    count = 1000
    with NameServer() as dying, NameServer() as names:
        names.names = dying.names
        names.names["healthy.test"] = Name([PUBLIC], ttl=300)
        for n in range(count):
            names.names[f"n{n}.test"] = [PUBLIC]
        flags = ["--name-servers", f"{dying.address},{names.address}"]
        api = servers(*STRICT, *flags, lenient=False).start().api
        subscribe(api, app + "-healthy", f"http://healthy.test:{receiver.port}/healthy")
        urls = [f"http://n{n}.test:{receiver.port}/many" for n in range(count)]
        with contextlib.closing(api.connect()) as connection:
            for at in range(0, count, 20):
                body = dict(appId=app, eventType=f"T{at}", webhookUrl=urls[at],
                            workflows={"w": urls[at : at + 20]})  # fmt: skip
                connection.call("POST", "/v1/config", body).expect(201)
            settled(api, api.send(event(app + "-healthy"))["deliveries"][0]["id"], "delivered")
            dying.silent = True
            for at in range(0, count, 20):
                sent = event(app, type=f"T{at}", workflowId="w")
                connection.call("POST", "/v1/events", sent).expect(202)
            for _ in range(50):
                connection.call("POST", "/v1/events", event(app + "-healthy")).expect(202)
        receiver.wait(51, "/healthy")
        receiver.wait(count, "/many", timeout=40)
        names.names["late.test"] = [PUBLIC]  # nobody has it cached
        subscribe(api, app + "-late", f"http://late.test:{receiver.port}/late")
        settled(api, api.send(event(app + "-late"))["deliveries"][0]["id"], "delivered")
        assert names.asked["late.test"] >= 1  # because the other said nothing
