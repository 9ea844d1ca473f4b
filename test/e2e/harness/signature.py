"""Checking signatures, with what clients use and without it."""

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path

import standardwebhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NODE = Path(__file__).resolve().parent.parent / "node"


def key_of(secret):
    """What HMAC is keyed with."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret[len("whsec_") :], validate=True)
    return secret.encode()


def versions(request):
    """(version, bytes) of each signature of a request, in the order they came."""
    parts = [p.partition(",") for p in request.header("webhook-signature").split(" ")]
    return [(version, base64.b64decode(text, validate=True)) for version, _, text in parts]


def signatures(request):
    """Each signature of a request that is signed with secrets alone."""
    parts = versions(request)
    assert all(version == "v1" for version, _ in parts), parts
    return [signature for _, signature in parts]


def _message(request):
    return f"{request.id}.{request.header('webhook-timestamp')}.".encode() + request.body


def expected(request, secret):
    """Standard Webhooks 1.0.0 from its text, with nobody's library."""
    return hmac.new(key_of(secret), _message(request), hashlib.sha256).digest()


def is_by_key(request, signature, public_key):
    """Is it the Ed25519 signature of the pair whose public half a config shows?"""
    assert public_key.startswith("whpk_")
    raw = base64.b64decode(public_key[len("whpk_") :], validate=True)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, _message(request))
    except InvalidSignature:
        return False
    return True


def of_body(request, secret):
    """HMAC of the body alone, keyed with the secret's text."""
    return hmac.new(secret.encode(), request.body, hashlib.sha256).digest()


def is_signed(request, secret):
    return any(hmac.compare_digest(s, expected(request, secret)) for s in signatures(request))


def check(request, secret):
    """Like a client would, with two libraries, and by hand; fails if any of them says no."""
    assert is_signed(request, secret), f"{request.id} is not signed with this secret"
    key = key_of(secret)
    standardwebhooks.Webhook(key).verify(request.body, request.as_dict(), json_parse=False)
    svix.webhooks.Webhook(key).verify(request.body, request.as_dict())


def check_with_node(request, secret):
    """The same with the JavaScript library."""
    told = {
        "secret": secret,
        "headers": {name.lower(): value for name, value in request.headers},
        "body": base64.b64encode(request.body).decode(),
    }
    subprocess.run(
        ["node", "verify.js"], cwd=NODE, input=json.dumps(told).encode(), check=True, timeout=60
    )
