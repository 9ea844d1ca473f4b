"""docs/verify.md: what it tells clients to do is done here, on webhooks that were delivered."""

import base64
import hashlib
import hmac
import json
import re
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness import signature
from harness.events import TYPE, subscribe
from harness.server import ROOT
from harness.waiting import seconds

GUIDE = (ROOT / "docs" / "verify.md").read_text()

BODY_OF_EVERY_KIND = '{"appId":"%s","eventType":"%s", "n":1.50,"s":"é/\\u00e9","big":12345678901234567890}'


def code(language, name):
    """The one block of the guide that defines this function."""
    blocks = re.findall(r"```%s\n(.*?)```" % language, GUIDE, re.DOTALL)
    (block,) = [b for b in blocks if re.search(r"(def|function) %s\(" % name, b)]
    return block


def python(name):
    scope = {}
    exec(code("python", name), scope)
    return scope[name]


def node(name):
    """The same function, called in Node; what it throws is a ValueError."""
    source = code("js", name) + """
const [key, headers, body] = JSON.parse(require('node:fs').readFileSync(0));
try {
  console.log(JSON.stringify(%s(key, headers, Buffer.from(body, 'base64')) ?? null));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}""" % name  # fmt: skip

    def call(key, headers, body):
        told = json.dumps([key, headers, base64.b64encode(body).decode()])
        done = subprocess.run(
            ["node", "-e", source], input=told.encode(), capture_output=True, timeout=seconds(60)
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        if isinstance(answer, dict):
            raise ValueError(answer["error"])
        return answer

    return call


@pytest.fixture
def delivered(shared, receiver, app):
    """Delivers one event; its headers in lower case, its body, and the config as it is then."""

    def deliver(**config):
        made = subscribe(shared, app, receiver.url(), **config)
        shared.send(BODY_OF_EVERY_KIND % (app, TYPE))
        request = receiver.one()
        return {k.lower(): v for k, v in request.headers}, request.body, made

    return deliver


def changed(headers, **changes):
    return headers | {k.replace("_", "-"): v for k, v in changes.items()}


def resigned(secret, headers, body, age):
    """As if it had been sent so many seconds ago."""
    timestamp = str(int(headers["webhook-timestamp"]) - age)
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    mac = hmac.new(signature.key_of(secret), signed, hashlib.sha256).digest()
    return changed(
        headers,
        webhook_timestamp=timestamp,
        webhook_signature="v1," + base64.b64encode(mac).decode(),
    )


@pytest.mark.parametrize("run", [python, node])
@pytest.mark.parametrize("secret", [None, "an older secret of 33 characters!"])
def test_the_recipe(delivered, run, secret):
    headers, body, made = delivered(secret=secret)
    secret, verify = made["secret"], run("verify")
    verify(secret, headers, body)
    verify(secret, changed(headers, webhook_signature="v1,AAAA v2,x " + headers["webhook-signature"]), body)
    verify(secret, resigned(secret, headers, body, 250), body)
    for wrong in (
        (secret, headers, body + b" "),
        (secret, headers, json.dumps(json.loads(body)).encode()),
        (secret, changed(headers, webhook_id="msg_x"), body),
        (secret, resigned(secret, headers, body, 400), body),
        (secret, resigned(secret, headers, body, -400), body),
        (secret, changed(headers, webhook_timestamp="x"), body),
        (secret, changed(headers, webhook_signature="v1,"), body),
        (secret, changed(headers, webhook_signature="nonsense"), body),
        ("whsec_" + "A" * 43 + "=", headers, body),
    ):
        with pytest.raises(ValueError):
            verify(*wrong)


@pytest.mark.parametrize("run", [python, node])
def test_ed25519(delivered, run):
    headers, body, made = delivered(signing={"schemes": ["ed25519"]})
    is_signed = run("is_signed" if run is python else "isSigned")
    key = made["publicKey"]
    assert is_signed(key, headers, body) is True
    both = changed(headers, webhook_signature="v1,x v1a,AAAA " + headers["webhook-signature"])
    assert is_signed(key, both, body) is True
    other = "whpk_" + base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    for wrong in (
        (key, headers, body + b" "),
        (key, changed(headers, webhook_id="msg_x"), body),
        (key, changed(headers, webhook_signature="v1a,"), body),
        (other, headers, body),
    ):
        assert is_signed(*wrong) is False


def test_the_body_scheme(delivered):
    headers, body, made = delivered(signing={"schemes": ["body"]})
    is_signed = python("is_signed_body")
    assert is_signed(made["secret"], headers["x-webhook-signature"], body)
    assert not is_signed(made["secret"], headers["x-webhook-signature"], body + b" ")
    assert not is_signed("whsec_" + "A" * 43 + "=", headers["x-webhook-signature"], body)
