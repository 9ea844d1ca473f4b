"""Callers of each kind: keys of the store, tokens, and nobody."""

import base64
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .api import Api

MISSING = {"statusCode": 401, "status": "failed", "error": "Missing/Invalid credentials"}
FOREIGN = {"statusCode": 403, "status": "failed", "error": "IP not whitelisted"}


def caller(api, **headers):
    """A client of the same server that shows these headers and nothing else."""
    made = Api(api.address, "")
    made.headers = headers
    return made


def make_key(api, *roles, scope, name=None):
    """A new key: what the server answered, and a client that calls with it."""
    body = {"roles": list(roles), "scope": scope, "name": name}
    key = api.call("POST", "/v1/keys", body).expect(201).result
    return key, caller(api, appid=key["appid"], appkey=key["appkey"])


def _part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Who makes tokens."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def pem(self):
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    def token(self, header=None, **claims):
        parts = [{"alg": "RS256", **(header or {})}, claims]
        text = ".".join(_part(json.dumps(part).encode()) for part in parts)
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_part(signature)}"

    def caller(self, api, **claims):
        return caller(api, authorization=f"Bearer {self.token(**claims)}")
