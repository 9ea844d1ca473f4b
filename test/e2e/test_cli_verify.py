"""`gwh verify` and `gwh listen` for every scheme, and secrets that change, as a client sees it."""

import json
import re
import subprocess

import pytest

from harness.cli import failed, said
from harness.events import TYPE, event, subscribe
from harness.server import GWH, clean_environment, run
from harness.waiting import eventually, seconds

pytestmark = [pytest.mark.one_thread, pytest.mark.timeout(seconds(60))]

OTHER = "whsec_" + "A" * 43 + "="
OTHER_PUBLIC = "whpk_" + "A" * 43 + "="


def verify(request, *args, body=None, drop=()):
    headers = [a for n, v in request.headers if n.lower() not in drop for a in ("--header", f"{n}: {v}")]
    return run("verify", *args, *headers, input=request.body if body is None else body)


def why_not(result):
    assert result.returncode == 1 and result.stdout.startswith(b"not verified: "), result
    return result.stdout.decode()


@pytest.fixture
def deliver(shared, receiver, app):
    """Sends one event of a config, made the first time; the request and the config."""

    def send(**config):
        made = subscribe(shared, app, receiver.url(), **config) if config else None
        sent = shared.send('{"appId":"%s","eventType":"%s","n":1.50}' % (app, TYPE))
        return receiver.one(id=sent["id"]), made

    return send


# ── Ed25519 ──────────────────────────────────────────────────────────────────────────────────────


def test_ed25519(deliver):
    request, made = deliver(signing={"schemes": ["standard", "ed25519"]})
    key = made["publicKey"]
    text = said(verify(request, "--public-key", key))
    assert text.startswith("verified: ") and "whpk_…" + key[-4:] in text
    assert said(verify(request, "--secret", made["secret"])).startswith("verified: ")
    said(verify(request, "--public-key", OTHER_PUBLIC, "--public-key", key))
    said(verify(request, "--public-key", OTHER_PUBLIC, "--secret", made["secret"]))
    assert "public key" in why_not(verify(request, "--public-key", OTHER_PUBLIC))
    anew = json.dumps(json.loads(request.body)).encode()
    assert "raw body" in why_not(verify(request, "--public-key", key, body=anew))
    dropped = verify(request, "--public-key", key, drop=["webhook-signature"])
    assert "webhook-signature" in why_not(dropped)


def test_each_scheme_says_what_is_missing(deliver):
    request, made = deliver(signing={"schemes": ["standard"]})
    assert "ed25519" in why_not(verify(request, "--public-key", OTHER_PUBLIC))
    said_of_body = why_not(verify(request, "--secret", made["secret"], "--body-header", "x-sig"))
    assert "x-sig is missing" in said_of_body and "leave --body-header out" in said_of_body


def test_bad_usage():
    def fails(*args, words):
        text = failed(run("verify", *args, input=b""), 2, *words)
        assert OTHER not in text

    fails("--public-key", OTHER, words=["--public-key: must be whpk_"])
    fails("--public-key", "whpk_AAAA", words=["--public-key: must be whpk_"])
    fails("--secret", OTHER_PUBLIC, words=["that is --public-key"])
    fails("--body-header", "x", words=["--secret"])
    fails("--body-header", "x", "--public-key", OTHER_PUBLIC, words=["--body-header: needs --secret"])
    fails("--secret", OTHER, "--body-encoding", "hex", words=["needs --body-header"])
    both = ("--body-header", "x", "--body-encoding")
    fails("--secret", OTHER, *both, "hey", words=["must be hex or base64"])


# ── The body scheme ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding, other", [("hex", "base64"), ("base64", "hex")])
@pytest.mark.parametrize("secret", [None, "an older secret of 33 characters!"])
def test_the_body_scheme(deliver, encoding, other, secret):
    signing = {"schemes": ["body"], "bodyHeader": "X-Old-Sig", "bodyEncoding": encoding}
    request, made = deliver(signing=signing, secret=secret)
    told = ("--body-header", "x-old-sig", "--body-encoding")
    text = said(verify(request, "--secret", made["secret"], *told, encoding))
    assert text.startswith("verified: ") and "age" in text
    assert f"--body-encoding {encoding}" in why_not(
        verify(request, "--secret", made["secret"], *told, other)
    )
    assert "Expected" in why_not(verify(request, "--secret", OTHER, *told, encoding))
    anew = json.dumps(json.loads(request.body)).encode()
    assert "raw body" in why_not(
        verify(request, "--secret", made["secret"], *told, encoding, body=anew)
    )
    assert "webhook-signature" in why_not(verify(request, "--secret", made["secret"]))


# ── Secrets that change ──────────────────────────────────────────────────────────────────────────


def secret_in(text):
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/]+=*", text)
    return secret


def test_a_rotation_loses_nobody(servers, receiver, app):
    """Within the overlap old and new verify, behind it the new one only; in every scheme."""
    server = servers("--secret-overlap", seconds(5)).start()
    pair = (app, TYPE)
    old = secret_in(said(server.cli("config", "create", *pair, "--url", receiver.url(), "--schemes",
                                    "standard,ed25519,body")))  # fmt: skip
    old_key = server.api.config(*pair).result["publicKey"]
    new = secret_in(said(server.cli("config", "rotate", *pair)))
    new_key = server.api.config(*pair).result["publicKey"]
    assert new != old and new_key != old_key
    told = ("--body-header", "x-webhook-signature")

    def sent():
        return receiver.one(id=server.api.send(event(app))["id"])

    request = sent()
    for secret in (old, new):
        said(verify(request, "--secret", secret))
        text = said(verify(request, "--secret", secret, *told))
        assert ("x-webhook-signature-next" in text) == (secret == new)
    for key in (old_key, new_key):
        said(verify(request, "--public-key", key))

    def over():
        request = sent()
        return verify(request, "--secret", old).returncode == 1 and request

    request = eventually(over)
    why_not(verify(request, "--secret", old, *told))
    why_not(verify(request, "--public-key", old_key))
    said(verify(request, "--secret", new))
    said(verify(request, "--public-key", new_key))
    assert "next" not in said(verify(request, "--secret", new, *told))


def test_a_rotation_at_once(shared_server, deliver, app):
    _, made = deliver(signing={"schemes": ["standard", "body"]})
    told = ("--body-header", "x-webhook-signature")
    text = said(shared_server.cli("config", "rotate", app, TYPE, "--now"))
    request, _ = deliver()
    for extra in ((), told):
        why_not(verify(request, "--secret", made["secret"], *extra))
        said(verify(request, "--secret", secret_in(text), *extra))


@pytest.mark.parametrize("own", ["whsec_" + "c2VjcmV0" * 4, "an older secret of 33 characters!"])
def test_bringing_a_secret_along(shared_server, shared, receiver, app, own, tmp_path):
    """Also out of a file, where no list of processes shows it."""
    cli, file = shared_server.cli, tmp_path / "secret"
    file.write_text(own + "\n")
    said(cli("config", "create", app, TYPE, "--url", receiver.url(), "--secret", own))
    request = receiver.one(id=shared.send(event(app))["id"])
    said(verify(request, "--secret", own))
    said(verify(request, "--secret", f"@{file}"))
    failed(run("verify", "--secret", f"@{file}-not", input=b""), 1, f"{file}-not")
    said(cli("config", "create", app, "OTHER", "--url", receiver.url(), "--secret", f"@{file}"))
    assert shared.config(app, "OTHER", shareSecret="true").result["secret"] == own
    shown = said(cli("config", "get", app, TYPE))
    assert own not in shown and "…" + own[-4:] in shown
    assert own in said(cli("config", "get", app, TYPE, "--show-secret"))
    assert own not in said(cli("config", "list", "--wide"))


# ── listen ───────────────────────────────────────────────────────────────────────────────────────


def test_listen_checks_every_scheme(shared, receiver, app):
    made = subscribe(shared, app, receiver.url(), signing={"schemes": ["standard", "ed25519", "body"]})
    checks = [
        ("--secret", made["secret"]),
        ("--public-key", made["publicKey"]),
        ("--secret", made["secret"], "--body-header", "x-webhook-signature"),
    ]
    for check in checks:
        listener = subprocess.Popen(
            [GWH, "listen", "--port", "0", "--json", "--count", "1", *check],
            env=clean_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            url = re.search(rb"http://\S+:\d+", listener.stderr.readline())[0].decode()
            shared.patch(app, TYPE, webhookUrl=url + "/hook").expect(200)
            shared.send(event(app))
            out, _ = listener.communicate(timeout=seconds(30))
        finally:
            listener.kill()
            listener.wait()
        told = json.loads(out)
        assert (told["verified"], told["diagnosis"]) == (True, "genuine")
        assert listener.returncode == 0
