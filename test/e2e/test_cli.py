"""The client commands, against a server, as a person and as a program use them."""

import base64
import json
import re
import subprocess
import threading
import urllib.request

import pytest

from harness import signature
from harness.cli import failed, said
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.server import CANARY, GWH, clean_environment, run
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(60))


# ── In general ───────────────────────────────────────────────────────────────────────────────────

COMMANDS = ["serve", "send", "config create", "config get", "config list", "config update",
            "config delete", "config rotate", "config test", "config history", "config import",
            "keys create", "keys list", "keys revoke", "deliveries", "retry", "why", "targets",
            "stats", "ledger", "listen", "verify", "simulate", "completion", "reference"]  # fmt: skip


def test_help():
    text = said(run("--help"))
    assert text == said(run("help"))
    for command in COMMANDS:
        assert command.split()[0] in text
        own = said(run(*command.split(), "--help"))
        assert f"gwh {command}" in own and len(own.splitlines()) > 3


# Their examples never end by themselves.
ENDLESS = ("serve", "listen", "simulate", "deliveries")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ENDLESS])
def test_examples_are_good_usage(shared_server, shared, receiver, tmp_path, command):
    """As they are typed into a shell. What they are about may not be there: that is exit 1."""
    page = said(run(*command.split(), "--help"))
    examples = page.split("\nExample\n")[1].replace("\n      ", " ").replace("\\", " ")
    for placeholder, value in {
        "whsec_…": "whsec_" + "A" * 43 + "=", "whpk_…": "whpk_" + "A" * 43 + "=", "…": "x",
    }.items():  # fmt: skip
        examples = examples.replace(placeholder, value)
    (tmp_path / "gwh").symlink_to(GWH)
    (tmp_path / "edit").symlink_to("/bin/true")
    (tmp_path / "filter.json").write_text('{"a":[1]}')
    (tmp_path / "configs.ndjson").write_text('{"appId":"acme","eventType":"I"}')
    for name in ("event.json", "events.ndjson", "body.json"):
        (tmp_path / name).write_text('{"appId":"acme","eventType":"T"}')
    # Where AWS should be there is a server that knows nothing of it, and says so at once.
    aws = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": shared_server.url,
           "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}  # fmt: skip
    env = clean_environment(GWH_URL=shared_server.url, GWH_KEY=shared_server.key, **aws)
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    lines = [line for line in examples.splitlines() if line.strip()]
    assert lines
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, timeout=seconds(30)
        )
        assert done.returncode in (0, 1), (line, done)
        for complaint in (b"usage", b"--help", b"must be", b"unknown"):
            assert complaint not in done.stderr, (line, done)


def test_version():
    assert re.search(r"\d+\.\d+\.\d+", said(run("--version")))


def test_unknown_command_and_option():
    failed(run("delivries"), 2, "delivries", "deliveries")
    failed(run("send", "--no-such", "-"), 2, "no-such")
    failed(run("why"), 2)
    failed(run("config", "frobnicate"), 2, "frobnicate")
    assert run().returncode == 2


def test_no_server(receiver):
    env = clean_environment(GWH_URL=f"http://127.0.0.1:{receiver.port}", GWH_KEY="admin:x")
    receiver.down()
    failed(run("deliveries", env=env), 1, str(receiver.port), "gwh serve")


def test_wrong_key(shared_server):
    failed(shared_server.cli("deliveries", env={"GWH_KEY": "admin:wrong"}), 1, "credentials")


def test_the_key_of_the_data_directory(servers, tmp_path, app):
    """Where neither variable says otherwise: ./gwh-data/admin.key."""
    server = servers(data=tmp_path / "gwh-data").start()
    env = clean_environment(GWH_URL=server.url)
    assert json.loads(said(run("config", "list", "--json", env=env, cwd=tmp_path)))
    other = tmp_path / "elsewhere"
    other.mkdir()
    failed(run("config", "list", env=env, cwd=other), 1, "admin.key")


# ── send ─────────────────────────────────────────────────────────────────────────────────────────


def test_send(shared_server, shared, receiver, tmp_path, app):
    subscribe(shared, app, receiver.url())
    file = tmp_path / "event.json"
    file.write_bytes(b" " + json.dumps(event(app)).encode() + b"\n")
    text = said(shared_server.cli("send", file))
    request = receiver.one()
    assert request.body == file.read_bytes()
    assert request.id in text
    text = said(shared_server.cli("send", "-", input=json.dumps(event(app))))
    assert receiver.wait(2)[1].id in text


def test_send_json(shared_server, shared, receiver, app):
    subscribe(shared, app, receiver.url())
    body = json.dumps(event(app, eventId="e-1"))
    told = json.loads(said(shared_server.cli("send", "-", "--json", input=body)))
    assert told["result"]["id"] == receiver.one().id and told["statusCode"] == 202


def test_send_tells_of_a_skip_and_a_duplicate(shared_server, shared, receiver, app):
    body = json.dumps(event(app, eventId="e-1"))
    assert "no_config" in said(shared_server.cli("send", "-", input=body))
    subscribe(shared, app, receiver.url())
    shared_server.cli("send", "-", input=body)
    assert "duplicate" in said(shared_server.cli("send", "-", input=body)).lower()


def test_send_what_is_refused(shared_server, tmp_path):
    text = failed(shared_server.cli("send", "-", input=b'{"eventType":"T"}'), 1, "appId")
    assert "appId" in text
    failed(shared_server.cli("send", "-", input=b"not json"), 1, "JSON")
    failed(shared_server.cli("send", tmp_path / "nothing"), 1, "nothing")


# ── config ───────────────────────────────────────────────────────────────────────────────────────


def test_config(shared_server, shared, receiver, app):
    cli = shared_server.cli
    pair = ("--app", app, "--type", TYPE)
    text = said(cli("config", "create", *pair, "--url", receiver.url("/a"), "--retry", "1,2",
                    "--timeout-ms", 2000, "--max-in-flight", 3, "--delete-app-id",
                    "--header", "x-a: 1", "--header", "X-Token: " + CANARY,
                    "--workflow", "w=" + receiver.url("/w"),
                    "--workflow", "w=" + receiver.url("/w2")))  # fmt: skip
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", text)
    assert shared.config(app, TYPE, shareSecret="true").result["secret"] == secret
    stored = shared.config(app, TYPE).result
    assert stored["webhookUrl"] == receiver.url("/a") and stored["maxInFlight"] == 3
    assert stored["retry"] == {"schedule": [1, 2], "timeoutMs": 2000} and stored["deleteAppId"]
    assert stored["workflows"] == {"w": [receiver.url("/w"), receiver.url("/w2")]}
    assert stored["headers"]["x-a"] == "1"
    failed(cli("config", "create", *pair, "--url", receiver.url()), 1)

    for args in (("get", *pair), ("list",), ("list", "--app", app)):
        text = said(cli("config", *args))
        assert app in text and secret not in text and CANARY not in text
        told = json.loads(said(cli("config", *args, "--json")))
        assert told["statusCode"] == 200
    assert json.loads(said(cli("config", "get", *pair, "--json")))["result"] == stored

    said(cli("config", "update", *pair, "--url", receiver.url("/b"), "--inactive"))
    changed = shared.config(app, TYPE).result
    assert changed["webhookUrl"] == receiver.url("/b") and changed["isActive"] is False
    assert changed["maxInFlight"] == 3 and changed["version"] == 2
    failed(cli("config", "update", *pair, "--max-in-flight", 4, "--if-match", 1), 1)
    failed(cli("config", "update", *pair, "--url", "ftp://x/"), 1, "webhookUrl")

    (new,) = re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", said(cli("config", "rotate", *pair)))
    assert new != secret
    assert shared.config(app, TYPE, shareSecret="true").result["secret"] == new

    said(cli("config", "delete", *pair))
    shared.config(app, TYPE).expect(404)
    failed(cli("config", "get", *pair), 1)


def test_config_from_a_file(shared_server, shared, receiver, app, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(dict(appId=app, eventType=TYPE, webhookUrl=receiver.url())))
    told = json.loads(said(shared_server.cli("config", "create", "--file", file, "--json")))
    assert told["result"]["secret"].startswith("whsec_") and told["statusCode"] == 201
    change = json.dumps(dict(appId=app, eventType=TYPE, product="shop"))
    said(shared_server.cli("config", "update", "--file", "-", input=change))
    assert shared.config(app, TYPE).result["product"] == "shop"


# ── deliveries, retry, why ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def dead(shared, receiver, app):
    """A delivery that is dead, and its event."""
    receiver.script("/", 500)
    subscribe(shared, app, receiver.url(), retry={"schedule": []})
    sent = shared.send(event(app, eventId=app + "-e", transactionId=app + "-t"))
    (accepted,) = sent["deliveries"]
    settled(shared, accepted["id"], "dead")
    return {"id": accepted["id"], "message": sent["id"]}


def test_deliveries(shared_server, shared, receiver, app, dead):
    subscribe(shared, app, receiver.url("/good"), type="GOOD")
    good = shared.send(event(app, type="GOOD"))["deliveries"][0]["id"]
    settled(shared, good, "delivered")
    text = said(shared_server.cli("deliveries", "--app", app))
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 3, text  # a head, and one each
    assert good in lines[1] and "delivered" in lines[1]
    assert dead["id"] in lines[2] and "dead" in lines[2] and "500" in lines[2]
    only = said(shared_server.cli("deliveries", "--app", app, "--status", "dead"))
    assert dead["id"] in only and good not in only
    told = json.loads(said(shared_server.cli("deliveries", "--app", app, "--json")))
    assert [d["id"] for d in told["result"]["items"]] == [good, dead["id"]]
    assert "\x1b" not in text
    failed(shared_server.cli("deliveries", "--status", "finished"), 2, "finished")


def test_retry(shared_server, shared, receiver, app, dead):
    said(shared_server.cli("retry", dead["id"]))
    assert settled(shared, dead["id"], "delivered")["attempts"] == 2
    failed(shared_server.cli("retry", dead["id"]), 1, "delivered")
    failed(shared_server.cli("retry", "dlv_" + "a" * 26), 1)


def test_why(shared_server, shared, receiver, app, dead):
    for id in (dead["id"], dead["message"], app + "-e", app + "-t"):
        text = said(shared_server.cli("why", id))
        assert "dead" in text.lower() and "500" in text and CANARY not in text
        assert "\x1b" not in text
    told = json.loads(said(shared_server.cli("why", dead["id"], "--json")))
    assert told["result"] == shared.why(dead["id"])
    # The same text as the API's.
    words = " ".join(said(shared_server.cli("why", dead["id"])).split())
    assert " ".join(told["result"]["summary"].split()) in words
    assert "unknown" in said(shared_server.cli("why", "nobody-knows"), 1).lower()
    assert run("why", "x", env=clean_environment(GWH_URL=shared_server.url)).returncode == 1


# ── verify ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def captured(shared, receiver, app):
    made = subscribe(shared, app, receiver.url())
    shared.send('{"appId":"%s","eventType":"%s","n":1.50,"s":"é"}' % (app, TYPE))
    return receiver.one(), made["secret"]


def verify(request, secret, *args, body=None, drop=(), **changes):
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = {n: request.header(n) for n in names if n not in drop} | {
        k.replace("_", "-"): v for k, v in changes.items()
    }
    told = [arg for n, v in headers.items() for arg in ("--header", f"{n}: {v}")]
    return run("verify", "--secret", secret, *told, *args, input=body or request.body)


def why_not(result):
    assert result.returncode == 1, result
    return (result.stdout + result.stderr).decode().lower()


def test_verify_says_yes(captured):
    request, secret = captured
    said(verify(request, secret))
    several = "v1,AAAA v2,x " + request.header("webhook-signature")
    said(verify(request, secret, webhook_signature=several))
    everything = [a for n, v in request.headers for a in ("--header", f"{n}: {v}")]
    said(run("verify", f"--secret={secret}", *everything, input=request.body))


def test_verify_says_why_not(captured):
    request, secret = captured
    other = "whsec_" + "A" * 43 + "="
    assert "secret" in why_not(verify(request, other))
    assert why_not(verify(request, secret, body=request.body + b" x"))
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert name in why_not(verify(request, secret, drop=[name]))
    text = why_not(verify(request, secret, body=json.dumps(json.loads(request.body)).encode()))
    assert any(word in text for word in ("white space", "whitespace", "serial", "reformat")), text
    assert "signature" in why_not(verify(request, secret, webhook_signature="nonsense"))
    assert "timestamp" in why_not(verify(request, secret, webhook_timestamp="yesterday"))


def test_verify_looks_at_the_clock(captured):
    request, secret = captured
    old = str(int(request.header("webhook-timestamp")) - 1000)

    def resigned():
        fake = type(request)(**{**vars(request)})
        fake.headers = [
            (n, old if n.lower() == "webhook-timestamp" else v) for n, v in request.headers
        ]
        return "v1," + base64.b64encode(signature.expected(fake, secret)).decode()

    told = {"webhook_timestamp": old, "webhook_signature": resigned()}
    assert "old" in why_not(verify(request, secret, **told))
    said(verify(request, secret, "--tolerance", 2000, **told))


def test_verify_json(captured):
    request, secret = captured
    told = json.loads(said(verify(request, secret, "--json")))
    assert told["verified"] is True and told["diagnosis"] == "genuine"
    told = json.loads(said(verify(request, secret, "--json", body=b"x"), 1))
    assert told["verified"] is False and told["diagnosis"] == "not_genuine" and told["why"]


def test_verify_bad_usage(captured):
    request, secret = captured
    assert run("verify", input=b"{}").returncode == 2
    failed(run("verify", "--secret", CANARY, input=b"{}"), 2)
    failed(run("verify", "--secret", secret, "--header", "no colon", input=b"{}"), 2)


# ── listen ───────────────────────────────────────────────────────────────────────────────────────


class Listener:
    """`gwh listen` as a process."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [GWH, "listen", "--port", "0", *map(str, args)],
            env=clean_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self.find(r"127\.0\.0\.1:(\d+)")[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def _read(self):
        for line in self.process.stdout:
            self.text += line.decode()

    def find(self, pattern):
        return eventually(lambda: re.search(pattern, self.text), what=f"{pattern} in the output")

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(seconds(20))
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def listen():
    made = []

    def start(*args):
        made.append(Listener(*args))
        return made[-1]

    yield start
    for listener in made:
        listener.end()


def test_listen(shared, listen, app):
    listener = listen()
    made = subscribe(shared, app, listener.url)
    sent = shared.send(event(app))
    listener.find(sent["id"])
    settled(shared, sent["deliveries"][0]["id"], "delivered")
    assert TYPE in listener.text

    verifying = listen("--secret", made["secret"])
    shared.patch(app, TYPE, webhookUrl=verifying.url).expect(200)
    sent = shared.send(event(app))
    verifying.find(sent["id"])
    verifying.find(r"(?i)\bverified\b")
    assert made["secret"] not in verifying.text
    assert verifying.end() in (0, -15)


def test_listen_says_when_it_is_not_verified(shared, listen, app):
    listener = listen("--secret", "whsec_" + "A" * 43 + "=")
    subscribe(shared, app, listener.url)
    sent = shared.send(event(app))
    listener.find(sent["id"])
    listener.find(r"(?i)not verified|wrong secret|no signature")


@pytest.mark.parametrize(
    "args, outcome, status",
    [
        (("--status", 503), "http_error", 503),
        (("--reset",), "reset", None),
        (("--hang",), "timeout", None),
    ],
)
def test_listen_misbehaves_as_told(shared, listen, app, args, outcome, status):
    listener = listen(*args)
    subscribe(shared, app, listener.url, retry={"schedule": [], "timeoutMs": 1000})
    sent = shared.send(event(app))
    (attempt,) = settled(shared, sent["deliveries"][0]["id"], "dead")["attemptLog"]
    assert (attempt["outcome"], attempt["statusCode"]) == (outcome, status)
    listener.find(sent["id"])


def test_listen_fails_first(shared, listen, app):
    listener = listen("--fail-first", 2)
    subscribe(shared, app, listener.url, retry={"schedule": [0, 0, 0]})
    sent = shared.send(event(app))
    assert settled(shared, sent["deliveries"][0]["id"], "delivered")["attempts"] == 3


@pytest.mark.parametrize(
    "args, outcomes",
    [
        (("--status", 429), [429, 200]),
        (("--status", 204), [500, 204]),
        (("--reset",), ["reset", 200]),
        (("--hang",), ["timeout", 200]),
    ],
)
def test_listen_fails_first_as_told(shared, listen, app, args, outcomes):
    listener = listen("--fail-first", 1, *args)
    retry = {"schedule": [0], "timeoutMs": 1000}
    subscribe(shared, app, listener.url, retry=retry)
    # Each webhook for itself. What is reset on a connection that served before is no attempt.
    for _ in range(1 if "--reset" in args else 2):
        sent = shared.send(event(app))
        log = settled(shared, sent["deliveries"][0]["id"], "delivered")["attemptLog"]
        assert [a["statusCode"] or a["outcome"] for a in log] == outcomes


def post(url, body, headers):
    request = urllib.request.Request(url, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=seconds(20)) as answer:
        assert answer.status == 200


def test_listen_sees_what_comes_again(shared, receiver, listen, app):
    """The very same attempt is a replay; the same webhook tried anew is work that was done."""
    made = subscribe(shared, app, receiver.url())
    shared.send(event(app))
    captured = receiver.one()
    listener = listen("--secret", made["secret"])
    headers = dict(captured.headers)
    post(listener.url, captured.body, headers)
    listener.find("verified: signed")
    assert "again" not in listener.text
    post(listener.url, captured.body, headers)
    listener.find("not verified: .*sent again")
    listener.find("again: this webhook-id was answered")
    assert listener.end() == 1


def test_listen_json(shared, listen, app):
    listener = listen("--json", "--count", 1)
    subscribe(shared, app, listener.url)
    sent = shared.send(event(app, n=1))
    assert listener.process.wait(seconds(20)) == 0
    (line,) = [json.loads(text) for text in listener.text.splitlines() if text.startswith("{")]
    assert line["id"] == sent["id"] and line["status"] == 200 and line["verified"] is None
    assert line["eventType"] == TYPE and json.loads(line["body"])["n"] == 1


def test_listen_answers_what_is_late_before_it_ends(shared, listen, app):
    """Also while another hangs, which nobody waits for."""
    listener = listen("--fail-first", 1, "--hang", "--delay", 300, "--count", 2)
    subscribe(shared, app, listener.url, retry={"schedule": [0], "timeoutMs": 1000})
    id = shared.send(event(app))["deliveries"][0]["id"]
    assert listener.process.wait(seconds(20)) == 0
    log = settled(shared, id, "delivered")["attemptLog"]
    assert [a["statusCode"] or a["outcome"] for a in log] == ["timeout", 200]


def test_listen_bad_usage():
    failed(run("listen", "--hang", "--reset"), 2, "--reset", "--hang")
    failed(run("listen", "--status", "199"), 2, "--status", "200", "599", "199")
    failed(run("listen", "--port", "65536"), 2, "--port")
    failed(run("listen", "--secret", CANARY), 2, "--secret")


def test_listen_where_another_does(receiver):
    failed(run("listen", "--port", receiver.port), 3, str(receiver.port))


def test_listen_is_slow(shared, listen, app):
    listener = listen("--delay", 300)
    subscribe(shared, app, listener.url)
    sent = shared.send(event(app))
    (attempt,) = settled(shared, sent["deliveries"][0]["id"], "delivered")["attemptLog"]
    assert attempt["durationMs"] >= 290


def test_listen_to_what_is_no_webhook(listen):
    listener = listen("--secret", "whsec_" + "A" * 43 + "=")
    for body in (b"", b"\xff\x00\x1b[31m", b"x" * 100_000):
        with urllib.request.urlopen(listener.url, data=body, timeout=seconds(20)) as answer:
            assert answer.status == 200
    listener.find(r"(?i)webhook-id|missing")
    assert "\x1b" not in listener.text


# ── simulate ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "producer, types",
    [
        ("audit-portal", {"FINISH_TRANSACTION_WEBHOOK", "INTERMEDIATE_TRANSACTION_WEBHOOK",
                          "MANUAL_REVIEW_STATUS_UPDATE", "APPLICATION_STATE_RESET"}),
        ("link-kyc", {"LINK_KYC_STARTED", "LINK_KYC_EXPIRED_LINK_OPENED"}),
    ],
)  # fmt: skip
def test_simulate(shared_server, shared, receiver, app, producer, types):
    subscribe(shared, app, receiver.url(), type="*")
    said(shared_server.cli("simulate", producer, "--app", app, "--rate", 200, "--count", 40))
    got = receiver.wait(40)
    events = [json.loads(r.body) for r in got]
    assert {e["eventType"] for e in events} <= types
    assert len({e["eventId"] for e in events}) == 40
    assert all(e["appId"] == app for e in events)
    items = shared.deliveries(appId=app)
    assert len(items) == 40
    attempted(shared, items[0]["id"], 1)
