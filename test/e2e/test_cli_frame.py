"""What all client commands have in common: what is said when the server does not answer well, JSON for
programs, tables as wide as the window, colours on terminals only.

Tables are in golden/cli_NAME_WIDTH.txt; after a change of them: pytest test/e2e/test_cli_frame.py
--write-golden, then read what git shows as changed."""

import difflib
import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cli import failed, said
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.fake_api import FakeApi
from harness.server import clean_environment, run
from harness.terminal import Terminal
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(60))

GOLDEN = Path(__file__).parent / "golden"
EVENT = '{"appId":"acme","eventType":"T"}'


@pytest.fixture
def fake():
    fake = FakeApi()
    yield fake
    fake.close()


def env_of(url, **more):
    return clean_environment(GWH_URL=url, GWH_KEY="admin:x", **more)


# ── When the server does not answer well ─────────────────────────────────────────────────────────

# Each command that asks the API, as little of it as can be, and what it reads.
COMMANDS = {
    "config create": (["a", "T", "--url", "https://a.example/"], None),
    "config list": ([], None),
    "config get": (["a", "T"], None),
    "config update": (["a", "T", "--inactive"], None),
    "config rotate": (["a", "T"], None),
    "config test": (["a", "T"], None),
    "config history": (["a", "T"], None),
    "config import": (["-"], '{"appId":"a","eventType":"T"}'),
    "config delete": (["a", "T"], None),
    "keys create": (["--role", "client", "--scope", "a"], None),
    "keys list": ([], None),
    "keys revoke": (["key_0"], None),
    "send": (["-"], EVENT),
    "send --batch": (["-"], EVENT),
    "deliveries": ([], None),
    "deliveries dlv_x": ([], None),
    "deliveries --watch": ([], None),
    "why": (["e-1"], None),
    "retry": (["dlv_x"], None),
    "targets": (["--app", "a"], None),
    "targets --enable": (["https://a.example/", "--app", "a"], None),
    "stats": ([], None),
    "ledger": ([], None),
    "simulate link-kyc": (["--count", "1", "--rate", "100"], None),
}

# What the server does, and what is said of it.
TROUBLES = {
    "401": ((401, "Missing/Invalid credentials"), ["Missing/Invalid credentials"]),
    "403": ((403, "needs the role admin"), ["needs the role admin"]),
    "404": ((404, "there is no such thing"), ["there is no such thing"]),
    "500": ((500, "the store failed"), ["the store failed"]),
    "control characters": ((400, "a\x1b[31m\nb"), ["a\ufffd[31m\ufffdb"]),
    "no gwh": ((502, None), ["502"]),
}


def test_no_client_command_is_left_out():
    listed = said(run("help")).split("\nCommands\n")[1].split("\n\n")[0]
    for line in listed.splitlines():
        name = line[2:18].strip()
        asks = "  GWH_KEY  " in said(run(*name.split(), "--help"))
        assert asks == any(f"{known} ".startswith(f"{name} ") for known in COMMANDS), name


def command(name, env, *more):
    args, input = COMMANDS[name]
    return run(*name.split(), *args, *more, env=env, input=input and input.encode())


def complaint(result):
    """The one line that it ends with."""
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    lines = result.stderr.decode().splitlines()
    assert len(lines) in (1, 2) and lines[0].startswith("gwh: "), lines
    if len(lines) == 2:  # of a file of events it is told from where to go on
        assert "send again from line 1 on" in lines[1]
    return lines[0]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", COMMANDS)
def test_trouble(fake, name, trouble):
    (status, error), words = TROUBLES[trouble]
    if error:
        fake.refuses(status, error)
    else:
        fake.answer = (status, b"<html>Bad Gateway</html>")
    result = command(name, env_of(fake.url))
    assert len(fake.asked) == 1
    if name == "config import" and status in (400, 403, 404):  # of that config alone
        assert result.returncode == 1 and words[0] in result.stdout.decode()
        return
    text = complaint(result)
    for word in words:
        assert word in text, text
    assert result.stdout == b"" or name == "send --batch"
    if status == 401 and "simulate" not in name:
        assert "GWH_KEY" in text
    if error is None and "simulate" not in name:
        assert "GWH_URL" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_no_server(receiver, name):
    receiver.down()
    url = f"http://127.0.0.1:{receiver.port}"
    text = complaint(command(name, env_of(url)))
    assert url in text and "gwh serve" in text


def test_several_ids_go_on_after_one_that_is_refused(fake):
    fake.refuses(404, "unknown")
    result = run("retry", "dlv_a", "dlv_b", env=env_of(fake.url))
    assert result.returncode == 1
    assert result.stderr == b"gwh: dlv_a: unknown\ngwh: dlv_b: unknown\n"
    assert fake.asked == [f"POST /v1/deliveries/dlv_{id}/retry" for id in "ab"]


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://x/?a=b"])
def test_bad_url(url):
    failed(run("deliveries", env=env_of(url)), 2, "GWH_URL: must", url)


@pytest.mark.parametrize("key", ["nocolon", ":x", "x:", "a\nb:x"])
def test_bad_key(key):
    env = clean_environment(GWH_URL="http://127.0.0.1:1", GWH_KEY=key)
    text = failed(run("deliveries", env=env), 2, "GWH_KEY: must be appid:appkey")
    assert key not in text


# Of these each event or config has its own answer.
MANY = ("send --batch", "simulate", "config import")


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [n for n in COMMANDS if not n.startswith(MANY)])
def test_json_is_the_answer_as_it_came(fake, name):
    """Also of what this version knows nothing of, and of a refusal."""
    if "--watch" in name:
        fake.refuses(400, "no")
    else:
        fake.says({"later": [1.50, "ü"], "closes": True, "outcome": "success"})
    result = command(name, env_of(fake.url), "--json")
    assert json.loads(result.stdout) == fake.answer[1]
    assert result.returncode == ("--watch" in name)
    fake.refuses(400, "no")
    result = command(name, env_of(fake.url), "--json")
    assert result.returncode == 1 and json.loads(result.stdout) == fake.answer[1]
    assert result.stderr == b"gwh: no\n"


# ── Lists ────────────────────────────────────────────────────────────────────────────────────────


def test_limit_is_of_all_pages_together(fake):
    """A page may hold fewer than were asked for and still have a next one."""
    fake.says({"items": [{"id": "dlv_a", "status": "dead"}, {"id": "dlv_b", "status": "dead"}],
               "next": "c/1"})  # fmt: skip
    text = said(run("deliveries", "--limit", 5, "--app", "a b", env=env_of(fake.url)))
    assert text.count("dlv_a") == 3 and text.endswith("there are more: --cursor c/1\n")
    asked = [path.split("?")[1] for path in fake.asked]
    assert asked == ["appId=a%20b&limit=5", "appId=a%20b&limit=3&cursor=c%2F1",
                     "appId=a%20b&limit=1&cursor=c%2F1"]  # fmt: skip


def test_lists_of_nothing(fake):
    fake.says({"items": [], "next": None})
    for args, words in ((["deliveries"], "no deliveries"), (["config", "list"], "no configs"),
                        (["keys", "list"], "no keys")):  # fmt: skip
        assert words in said(run(*args, env=env_of(fake.url)))


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────


def stamp(**ago):
    """So long ago; half a unit more, so that it is still that when it is told."""
    return (datetime.now(UTC) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def delivery(n, status, **more):
    return {
        "id": "dlv_" + "abcdefghij"[n] * 26, "messageId": "msg_" + "m" * 26,
        "eventId": f"evt-{n}", "appId": "acme", "eventType": TYPE, "transactionId": f"txn-{n}",
        "url": "https://hooks.acme.example/kyc", "status": status, "attempts": n,
        "createdAt": stamp(hours=n, minutes=30), "nextAttemptAt": None, "lastStatusCode": None,
        "lastError": None, "configVersion": 1, "replayOf": None,
    } | more  # fmt: skip


def deliveries():
    return {
        "next": None,
        "items": [
            delivery(0, "pending", nextAttemptAt=stamp(minutes=-150.5), eventId=None),
            delivery(1, "delivered", lastStatusCode=204),
            delivery(2, "held", lastStatusCode=503, url="https://example.com/" + "long/" * 20),
            delivery(3, "dead", lastError="connection refused by 203.0.113.7 port 443", appId="ümläut-氷-app"),
            delivery(9, "cancelled", attempts=12, eventType="A_TYPE_THAT_IS_LONGER_THAN_MOST_OF_THEM"),
        ],
    }  # fmt: skip


def attempt(n, outcome, **more):
    return {
        "n": n, "at": f"2026-11-24T07:46:0{n}.123Z", "outcome": outcome, "statusCode": None,
        "error": None, "durationMs": 3.25 * n, "phases": {}, "address": "203.0.113.7",
        "responseExcerpt": None, "advice": None,
    } | more  # fmt: skip


def one_delivery():
    return delivery(2, "dead", createdAt="2026-11-24T07:46:00.000Z") | {
        "attemptLog": [
            attempt(1, "timeout", error="no answer within 15000 ms", durationMs=15000.2),
            attempt(2, "http_error", statusCode=404, responseExcerpt="not\nfound \x1b[31m" + "x" * 90,
                    advice="The client's server knows no such path: check webhookUrl."),
        ]
    }  # fmt: skip


def config(type, **more):
    return {
        "appId": "acme", "eventType": type, "webhookUrl": "https://hooks.acme.example/kyc",
        "isActive": True, "product": None, "headers": {}, "workflows": {}, "filter": None,
        "signing": {"schemes": ["standard"]}, "secret": "whsec_…AbCd", "version": 3,
        "createdAt": "2026-11-24T07:46:00.000Z", "updatedAt": stamp(days=3, hours=1),
    } | more  # fmt: skip


def configs():
    flows = {"wf-1": ["https://a.example/", "https://b.example/"], "wf-2": ["https://c.example/"]}
    return {"items": [config(TYPE), config("*", isActive=False, workflows=flows)], "next": None}


def keys():
    return {
        "next": None,
        "items": [
            {"id": "key_0123456789abcdef", "appid": "acme", "name": None, "roles": ["client"],
             "scope": "acme", "createdAt": stamp(days=40, hours=1)},
            {"id": "key_fedcba9876543210", "appid": "audit-portal", "name": "audit-portal",
             "roles": ["producer", "viewer"], "scope": "*", "createdAt": stamp(minutes=5.5)},
        ],
    }  # fmt: skip


def ledger():
    return {
        "from": "2026-11-24T00:00:00.000Z", "to": "2026-11-25T00:00:00.000Z", "closes": True,
        "events": {"received": 1234567, "routed": 1234560, "duplicate": 3,
                   "skipped": {"no_config": 4, "inactive": 2, "filtered": 1}},
        "deliveries": {"created": 1234570, "replayed": 10, "delivered": 1234500, "pending": 40,
                       "held": 20, "dead": 9, "cancelled": 1},
    }  # fmt: skip


def history():
    return {
        "next": None,
        "items": [
            {"at": "2026-11-24T08:00:00.000Z", "actor": "ops", "address": "10.0.0.7",
             "action": "config_changed", "version": 2,
             "changes": [{"field": "webhookUrl", "from": "https://a.example/", "to": "https://b.example/"},
                         {"field": "headers", "from": {"x-a": "1"}, "to": {"x-a": "1", "x-b": "2"}}]},
            {"at": "2026-11-24T07:46:00.000Z", "actor": "admin", "address": "127.0.0.1",
             "action": "config_created", "version": 1, "changes": []},
        ],
    }  # fmt: skip


def trial():
    return attempt(1, "http_error", statusCode=500, url="https://hooks.acme.example/kyc",
                   error="status 500", responseExcerpt="out of order", durationMs=1234,
                   phases={"dns": 1.5, "connect": 20, "tls": 31, "firstByte": 1100},
                   advice="The client's server failed: its own log says why.")  # fmt: skip


def why():
    return {
        "verdict": "waiting",
        "summary": "Waiting: attempt 2 to https://hooks.acme.example/kyc is due in 4 min 10 s; attempt 1 failed: status 503.",
        "events": [
            {"id": "msg_" + "m" * 26, "verdict": "waiting",
             "steps": [
                 {"at": "2026-11-24T23:59:59.900Z", "what": "accepted", "detail": "The event was stored: app \"acme\", type \"T\"."},
                 {"at": "2026-11-25T00:00:03.000Z", "what": "attempt", "detail": "https://hooks.acme.example/kyc answered 503 after 41 ms."},
                 {"at": None, "what": "waiting", "detail": "For its time."}],
             "next": "Nothing needs to be done: it is tried again."},
        ],
    }  # fmt: skip


PAGES = {
    "deliveries": (["deliveries"], deliveries, 0, (60, 80, 120, 200)),
    "deliveries_wide": (["deliveries", "--wide"], deliveries, 0, (80,)),
    "delivery": (["deliveries", "dlv_x"], one_delivery, 0, (80, 200)),
    "config_list": (["config", "list"], configs, 0, (80, 160)),
    "config_get": (["config", "get", "acme", "T"], lambda: config("T", updatedAt=None), 0, (80,)),
    "config_test": (["config", "test", "acme", "T"], trial, 1, (60, 120)),
    "config_history": (["config", "history", "acme", "T"], history, 0, (80,)),
    "keys_list": (["keys", "list"], keys, 0, (60, 120)),
    "ledger": (["ledger", "--app", "acme"], ledger, 0, (80,)),
    "why": (["why", "e-1"], why, 0, (70, 200)),
}


@pytest.mark.parametrize(
    "name, width", [(name, width) for name, page in PAGES.items() for width in page[3]]
)
def test_page(fake, request, name, width):
    args, result, code, _ = PAGES[name]
    fake.says(result())
    text = said(run(*args, env=env_of(fake.url, COLUMNS=str(width))), code)
    assert "\x1b" not in text
    file = GOLDEN / f"cli_{name}_{width}.txt"
    if request.config.getoption("--write-golden"):
        file.write_text(text)
    wanted = file.read_text()
    difference = difflib.unified_diff(
        wanted.splitlines(), text.splitlines(), str(file), "said now", lineterm=""
    )
    assert text == wanted, "\n".join(difference)


# ── Terminals ────────────────────────────────────────────────────────────────────────────────────


def test_colours_are_for_terminals(fake):
    fake.says(deliveries())
    env = {"GWH_URL": fake.url, "GWH_KEY": "a:b"}
    for more, has_colours in (({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False),
                              ({"TERM": "dumb"}, False)):  # fmt: skip
        text, code = Terminal("deliveries", env=env | more).end()
        assert code == 0 and ("\x1b[" in text) == has_colours, more
        assert "delivered" in text


def test_a_table_fits_the_window(fake):
    fake.says(deliveries())
    env = {"GWH_URL": fake.url, "GWH_KEY": "a:b", "NO_COLOR": "1"}
    for columns in (72, 90, 150):
        text, _ = Terminal("deliveries", env=env, columns=columns).end()
        assert max(map(len, text.splitlines())) <= columns
        assert "…" in text


def test_who_waits_is_told_so(fake):
    fake.says(ledger())
    fake.may_answer.clear()
    terminal = Terminal("ledger", "--full", env={"GWH_URL": fake.url, "GWH_KEY": "a:b"})
    terminal.find("waiting for the server, 1 s")
    fake.may_answer.set()
    text, code = terminal.end()
    assert code == 0 and "closes" in text
    assert text.index("waiting") < text.rindex("\r\x1b[K") < text.index("closes")


def test_watch(fake):
    """Drawn again in place, and ended by Ctrl-C."""
    fake.says(deliveries())
    terminal = Terminal("deliveries", "--watch", env={"GWH_URL": fake.url, "GWH_KEY": "a:b"})
    terminal.find(r"the newest 5:(?s:.*)\x1b\[\d+A(?s:.*)the newest 5:")
    terminal.process.send_signal(signal.SIGINT)
    _, code = terminal.end()
    assert code == -signal.SIGINT
    assert all("limit=250" in path for path in fake.asked)


# ── simulate ─────────────────────────────────────────────────────────────────────────────────────


def test_simulate_is_no_faster_than_told(fake):
    fake.says({"id": "msg_x", "skipped": None}, 202)
    began = time.monotonic()
    told = json.loads(said(run("simulate", "audit-portal", "--rate", 50, "--count", 26, "--json",
                               env=env_of(fake.url))))  # fmt: skip
    assert time.monotonic() - began >= 0.5
    assert (told["sent"], told["accepted"], told["skipped"], told["failed"]) == (26, 26, 0, 0)
    assert told["seconds"] >= 0.5 and len(fake.asked) == 26
    assert sum(one["accepted"] for one in told["types"].values()) == 26


def test_simulate_sums_up(fake):
    fake.says({"id": "msg_x", "skipped": {"reason": "no_config"}}, 202)
    env = env_of(fake.url)
    text = said(run("simulate", "link-kyc", "--rate", 1000, "--count", 7, env=env))
    lines = text.splitlines()
    assert lines[0].split() == ["TYPE", "SENT", "ACCEPTED", "FAILED", "GO", "NOWHERE"]
    assert "7 accepted (7 of them go nowhere), 0 failed" in text and "answered in " in text


def test_simulate_says_what_failed(fake):
    """A server that fails now and then is no reason to end; nor is one that lets nobody in."""
    fake.refuses(503, "the disk is full")
    env = env_of(fake.url)
    result = run("simulate", "link-kyc", "--rate", 1000, "--count", 5, env=env)
    failed(result, 1, "the disk is full")
    assert len(fake.asked) == 5
    fake.refuses(401, "Missing/Invalid credentials")
    fake.asked.clear()
    result = run("simulate", "link-kyc", "--rate", 0.01, "--count", 100, env=env)
    failed(result, 1, "credentials")
    assert len(fake.asked) == 1


def test_simulate_ends_when_told(shared_server, shared, receiver, app):
    subscribe(shared, app, receiver.url(), type="*")
    env = {"GWH_URL": shared_server.url, "GWH_KEY": shared_server.key}
    terminal = Terminal("simulate", "link-kyc", "--app", app, "--rate", 20, env=env)
    receiver.wait(3)
    terminal.find(r"\d+ accepted \(0 of them")  # how far it is
    terminal.process.send_signal(signal.SIGINT)
    text, code = terminal.end()
    assert code == 0 and "0 failed, in " in text


@pytest.mark.parametrize(
    "args, words",
    [
        (["--to", "s3://"], ["--to: must be s3://BUCKET"]),
        (["--to", "http://x"], ["--to: must be s3://BUCKET"]),
        (["--rate", "0"], ["--rate", "above 0", '"0"']),
        (["--rate", "nan"], ["--rate", "nan"]),
        (["--count", "0"], ["--count", '"0"']),
        (["--app", ""], ["--app"]),
        (["--app", "x" * 257], ["--app", "256"]),
    ],
)
def test_simulate_bad_usage(args, words):
    failed(run("simulate", "audit-portal", *args), 2, *words)
    failed(run("simulate", "audit"), 2, "audit-portal or link-kyc")


# ── Each option does what it says, on a real server ──────────────────────────────────────────────


def test_filters_of_deliveries(shared_server, shared, receiver, app):
    receiver.always("/bad", 500)
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    subscribe(shared, app, receiver.url("/bad"), type="BAD", retry={"schedule": [600]})
    good = shared.send(event(app, type="GOOD", eventId="e-1", transactionId="t-1"))
    bad = shared.send(event(app, type="BAD", eventId="e-2", transactionId="t-2"))
    good, bad = (sent["deliveries"][0]["id"] for sent in (good, bad))
    settled(shared, good, "delivered")
    attempted(shared, bad, 1)

    def listed(*args):
        text = said(shared_server.cli("deliveries", "--app", app, *args))
        return {id for id in (good, bad) if id in text}

    accepted = shared.get(f"/v1/deliveries/{bad}").result["createdAt"]
    assert listed() == {good, bad}
    assert listed("--type", "GOOD") == listed("--event", "e-1") == {good}
    assert listed("--transaction", "t-2") == listed("--status", "pending") == {bad}
    assert listed("--url", receiver.url("/bad")) == listed("--limit", 1) == {bad}
    assert listed("--from", accepted) >= {bad} and listed("--to", accepted) <= {good}
    assert listed("--from", "2100-01-01T00:00:00Z") == set()
    for name, command in (("--from", "deliveries"), ("--to", "ledger")):
        failed(shared_server.cli(command, name, "yesterday"), 2, name, "yesterday")
    failed(shared_server.cli("deliveries", "--limit", 251), 2, "--limit", "250")
    next = shared_server.cli("deliveries", "--app", app, "--limit", 1)
    cursor = said(next).split("--cursor ")[1].strip()
    assert good in said(shared_server.cli("deliveries", "--app", app, "--cursor", cursor))
    one = said(shared_server.cli("deliveries", bad))
    assert "pending" in one and "500" in one and "t-2" in one
