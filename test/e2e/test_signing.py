"""The schemes of `signing`: which signatures a client receives, checked with nobody's own code."""

import base64

import pytest

from harness import signature
from harness.api import failed
from harness.events import TYPE, event, settled, subscribe

pytestmark = pytest.mark.homes("embedded", "aws")

BOTH = {"schemes": ["standard", "ed25519"]}


def delivered(api, receiver, app):
    """The request of one more event."""
    return receiver.one(id=api.send(event(app))["id"])


def by_secrets_and_keys(request, secrets, keys):
    """Is it signed with exactly these, in this order?"""
    parts = signature.versions(request)
    assert [version for version, _ in parts] == ["v1"] * len(secrets) + ["v1a"] * len(keys)
    made = [bytes for _, bytes in parts]
    assert made[: len(secrets)] == [signature.expected(request, s) for s in secrets]
    for at, key in enumerate(keys):
        by = [signature.is_by_key(request, made[len(secrets) + at], k) for k in keys]
        assert by == [k == key for k in keys]
    return True


# ── ed25519 ──────────────────────────────────────────────────────────────────────────────────────


def test_ed25519_beside_standard(shared, receiver, app):
    made = subscribe(shared, app, receiver.url(), signing=BOTH)
    key = made["publicKey"]
    shown = shared.config(app, TYPE).expect(200).result
    assert shown["publicKey"] == key and shown["signing"]["schemes"] == BOTH["schemes"]
    request = delivered(shared, receiver, app)
    assert by_secrets_and_keys(request, [made["secret"]], [key])
    assert not signature.is_by_key(request, b"\0" * 64, key)
    request.body = request.body.replace(b"note", b"nota")
    assert not signature.is_by_key(request, signature.versions(request)[1][1], key)


def test_ed25519_alone(shared, receiver, app):
    made = subscribe(shared, app, receiver.url(), signing={"schemes": ["ed25519"]})
    request = delivered(shared, receiver, app)
    assert by_secrets_and_keys(request, [], [made["publicKey"]])


def test_a_pair_is_made_once(servers, receiver, app):
    server = servers().start()
    made = subscribe(server.api, app, receiver.url())
    assert "publicKey" not in made
    answer = server.api.patch(app, TYPE, signing=BOTH).expect(200).result
    assert answer["secret"] == "whsec_…" + made["secret"][-4:]  # no rotation, nothing to show
    key = answer["publicKey"]
    off = server.api.patch(app, TYPE, signing=None).expect(200).result
    assert "publicKey" not in off and off["signing"]["schemes"] == ["standard"]
    assert by_secrets_and_keys(delivered(server.api, receiver, app), [made["secret"]], [])
    server.restart()
    assert server.api.patch(app, TYPE, signing=BOTH).expect(200).result["publicKey"] == key
    assert by_secrets_and_keys(delivered(server.api, receiver, app), [made["secret"]], [key])


def test_a_pair_is_the_config_s_own(shared, receiver, app):
    keys = [
        subscribe(shared, app, receiver.url(), type=t, signing=BOTH)["publicKey"] for t in "ABC"
    ]
    assert len(set(keys)) == 3


def test_pairs_rotate_with_the_secret(shared, receiver, app):
    old = subscribe(shared, app, receiver.url(), signing=BOTH)
    new = shared.patch(app, TYPE, updateSecret=True).expect(200).result
    assert new["publicKey"] != old["publicKey"]
    request = delivered(shared, receiver, app)
    both = [[c["secret"] for c in (new, old)], [c["publicKey"] for c in (new, old)]]
    assert by_secrets_and_keys(request, *both)
    newest = shared.patch(app, TYPE, updateSecret="now").expect(200).result
    request = delivered(shared, receiver, app)
    assert by_secrets_and_keys(request, [newest["secret"]], [newest["publicKey"]])


def test_a_public_key_cannot_be_set(shared, receiver, app):
    made = subscribe(shared, app, receiver.url(), signing=BOTH)
    result = shared.patch(app, TYPE, publicKey="whpk_" + "A" * 43 + "=").expect(200).result
    assert result["publicKey"] == made["publicKey"]
    body = dict(appId=app, eventType="other", webhookUrl=receiver.url(), publicKey=None)
    failed(shared.call("POST", "/v1/config", body), 400, "publicKey")


# ── body ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding, text", [("hex", bytes.hex), ("base64", base64.b64encode)])
@pytest.mark.parametrize("header", [None, "X-Hub-Signature-256"])
def test_the_body_alone(shared, receiver, app, encoding, text, header):
    signing = {"schemes": ["body"], "bodyEncoding": encoding, "bodyHeader": header}
    old = subscribe(shared, app, receiver.url(), signing=signing)["secret"]
    header = (header or "x-webhook-signature").lower()

    def expected(request, secret):
        made = text(signature.of_body(request, secret))
        return made.decode() if isinstance(made, bytes) else made

    request = delivered(shared, receiver, app)
    assert request.header(header) == expected(request, old)
    assert request.header(header + "-next") is None
    assert request.header("webhook-signature") is None
    assert request.header("webhook-timestamp") and request.id
    # the old secret's place stays its own until its time is over
    new = shared.patch(app, TYPE, updateSecret=True).expect(200).result["secret"]
    request = delivered(shared, receiver, app)
    assert request.header(header) == expected(request, old)
    assert request.header(header + "-next") == expected(request, new)
    newest = shared.patch(app, TYPE, updateSecret="now").expect(200).result["secret"]
    request = delivered(shared, receiver, app)
    assert request.header(header) == expected(request, newest)
    assert request.header(header + "-next") is None


def test_a_secret_brought_along_signs_bodies(shared, receiver, app):
    own = "what the client had before"
    subscribe(shared, app, receiver.url(), secret=own, signing={"schemes": ["standard", "body"]})
    request = delivered(shared, receiver, app)
    assert request.header("x-webhook-signature") == signature.of_body(request, own).hex()
    signature.check(request, own)


# ── Changes ──────────────────────────────────────────────────────────────────────────────────────


def test_each_attempt_signs_as_the_config_is_then(shared, receiver, app, in_force_s):
    receiver.script("/", 500)
    subscribe(shared, app, receiver.url(), retry={"schedule": [1 + in_force_s]})
    (waiting,) = shared.send(event(app))["deliveries"]
    (first,) = receiver.wait(1)
    result = shared.patch(app, TYPE, signing={"schemes": ["ed25519", "body"]}).expect(200).result
    settled(shared, waiting["id"], "delivered")
    second = receiver.requests()[1]
    assert [v for v, _ in signature.versions(first)] == ["v1"]
    assert first.header("x-webhook-signature") is None
    assert by_secrets_and_keys(second, [], [result["publicKey"]])
    assert second.header("x-webhook-signature")


def test_a_header_cannot_take_a_signature_s_name(shared, receiver, app):
    """Whichever of the two is there first."""
    subscribe(shared, app, receiver.url(), headers={"x-sig": "1"})
    for name in ("X-Sig", "x-sig-next"):
        shared.patch(app, TYPE, headers={"x-sig": None, name: "1"}).expect(200)
        failed(shared.patch(app, TYPE, signing={"bodyHeader": "x-sig"}), 400, f'"{name}"')
        shared.patch(app, TYPE, headers=None).expect(200)
        shared.patch(app, TYPE, signing={"bodyHeader": "x-sig"}).expect(200)
        failed(shared.patch(app, TYPE, headers={name: "1"}), 400, f'"{name}"')
        change = {"signing": {"bodyHeader": None}, "headers": {name: "1"}}
        shared.patch(app, TYPE, **change).expect(200)
        shared.patch(app, TYPE, headers={name: None, "x-sig": "1"}).expect(200)
    version = shared.config(app, TYPE).result["version"]
    assert version == 11  # what was refused changed nothing
