"""Checking signatures, with what clients use and without it."""

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path

import standardwebhooks
import svix.webhooks

NODE = Path(__file__).resolve().parent.parent / "node"


def key_of(secret):
    """What HMAC is keyed with."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret[len("whsec_") :], validate=True)
    return secret.encode()


def signatures(request):
    """Each signature of a request, as bytes, in the order they came."""
    parts = request.header("webhook-signature").split(" ")
    assert all(p.startswith("v1,") for p in parts), parts
    return [base64.b64decode(p[3:], validate=True) for p in parts]


def expected(request, secret):
    """Standard Webhooks 1.0.0 from its text, with nobody's library."""
    message = f"{request.id}.{request.header('webhook-timestamp')}.".encode() + request.body
    return hmac.new(key_of(secret), message, hashlib.sha256).digest()


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
