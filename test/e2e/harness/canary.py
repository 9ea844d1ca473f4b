"""Looks for what must not be seen, in each of the forms in which it could be; and uses all of it."""

import base64
import json
import time
import urllib.parse

from .access import Signer, caller, make_key
from .events import TYPE, event, subscribe
from .receiver import Reply
from .server import CANARY


def _base64_forms(secret):
    """The middle of it, wherever among other bytes it begins."""
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + secret)[(shift * 8 + 5) // 6 : -4]


def forms(secret):
    """Bytes that would show it: as it is, escaped, in hex, in base64."""
    assert len(secret) >= 12, "too short to be told from chance"
    text = secret.decode("latin-1")
    yield from (secret, secret.hex().encode(), secret.hex().upper().encode())
    yield from (json.dumps(text)[1:-1].encode(), urllib.parse.quote(text, safe="").encode())
    yield from _base64_forms(secret)


class Secrets:
    """What they are called, and all that would show them."""

    def __init__(self):
        self.marks = {}

    def add(self, name, secret):
        """Returns it, so that it can be used where it is made up."""
        raw = secret if isinstance(secret, bytes) else secret.encode()
        self.marks.update({form: name for form in forms(raw)})
        return secret

    def clean(self, data, where):
        data = data if isinstance(data, bytes) else data.encode()
        seen = {name for mark, name in self.marks.items() if mark in data}
        assert not seen, f"{where} shows: {', '.join(sorted(seen))}"

    def clean_files(self, directory, but=()):
        """Of a directory; how many there were."""
        files = [f for f in directory.rglob("*") if f.is_file() and f.name not in but]
        for file in files:
            self.clean(file.read_bytes(), file.name)
        return len(files)

    def clean_open_files(self, process):
        """Of a process: also those that have no name any more; how many there were."""
        count = 0
        for fd in process.joinpath("fd").iterdir():
            if fd.is_file() and not str(fd.readlink()).endswith((".key", "/dev/null")):
                self.clean(fd.read_bytes(), str(fd.readlink()))
                count += 1
        return count


# ── Everything that is a secret, used ────────────────────────────────────────────────────────────


def make_up(secrets, name):
    """A secret that is found wherever it goes; the canary is in it, for what looks for that."""
    return secrets.add(name, f"{CANARY}/{name} {CANARY}".replace(" ", "-"))


def show_keys(server, secrets, app, service, signer, master):
    """Callers of each kind, those who are refused too."""
    api, path = server.api, "/v1/config"
    secrets.add("the admin key", server.key.rpartition(":")[2])
    secrets.add("the master key's text", master)
    secrets.add("the master key", base64.b64decode(master))
    key, client = make_key(api, "client", "producer", scope=app)
    secrets.add("an appkey", key["appkey"])
    other, revoked = make_key(api, "client", scope=app)
    secrets.add("a revoked appkey", other["appkey"])
    api.call("DELETE", f"/v1/keys/{other['id']}").expect(200)
    good = signer.token(appId=app, exp=time.time() + 3600)
    old = signer.token(appId=app, exp=1)
    forged = Signer().token(appId=app, exp=time.time() + 3600)
    for token in (good, old, forged):
        secrets.add("a token", token)
        secrets.add("a token's signature", token.rpartition(".")[2])
    # The service's answers: yes, no, and none at all.
    service.always("/check?token=" + CANARY, lambda asked: Reply(
        {"yes": 200, "no": 401}[asked.header("appkey").rpartition("-")[2]], body=CANARY.encode()
    ))  # fmt: skip
    yes, no, down = (make_up(secrets, f"service key {n}") + f"-{n}" for n in ("yes", "no", "down"))
    for shown, status in {
        ("appid", app, "appkey", key["appkey"]): 200,
        ("authorization", f"Bearer {good}"): 200,
        ("appid", "elsewhere", "appkey", yes): 200,
        ("appid", app, "appkey", other["appkey"]): 401,
        ("appid", app, "appkey", make_up(secrets, "wrong key")): 401,
        ("authorization", f"Bearer {old}"): 401,
        ("authorization", f"Bearer {forged}"): 401,
        ("authorization", "Basic " + make_up(secrets, "basic credentials")): 401,
        ("appid", "elsewhere", "appkey", no): 401,
    }.items():
        answer = caller(api, **dict(zip(shown[::2], shown[1::2], strict=True))).get(path)
        secrets.clean(answer.expect(status).body, f"{status} of {shown}")
    service.down()
    answer = caller(api, appid="elsewhere", appkey=down).get(path).expect(503)
    secrets.clean(answer.body, "503 of the service")
    service.up()
    return client


def make_configs(client, secrets, app, receiver):
    """With secrets given, made and rotated, both kinds of signatures, headers, a query."""
    given = "whsec_" + base64.b64encode(make_up(secrets, "signing key").encode()).decode()
    secrets.add("a secret that was given", given)
    text = make_up(secrets, "secret of the older scheme")
    hook = "/hook?token=" + make_up(secrets, "query")
    common = {
        "headers": {
            "authorization": "Bearer " + make_up(secrets, "authorization header"),
            "x-api-key": make_up(secrets, "masked header"),
        },
        "payloadBlocklist": ["customer.name", "list.secret"],
        "retry": {"schedule": [0, 0]},
    }
    everything = {"schemes": ["standard", "ed25519", "body"]}
    subscribe(client, app, receiver.url(hook), secret=given, signing=everything, **common)
    subscribe(client, app, receiver.url(hook), type="OLDER", secret=text, **common)
    made = subscribe(client, app, receiver.url(hook), type="MADE", **common)["secret"]
    secrets.add("a secret that was made", made)
    secrets.add("a key that was made", base64.b64decode(made.removeprefix("whsec_")))
    rotated = client.patch(app, "MADE", updateSecret=True).expect(200).result["secret"]
    secrets.add("a secret that was rotated in", rotated)
    for type in (TYPE, "OLDER", "MADE"):
        shown = client.config(app, type).expect(200).result
        assert shown.pop("webhookUrl")
        secrets.clean(json.dumps(shown), "a masked config")
    history = client.get("/v1/config/history", appId=app, eventType="MADE").expect(200)
    secrets.clean(history.body, "the history")
    return hook


def send_everything(client, secrets, app):
    """Alone, in a batch, for a test: with what is blocked, and with what is wrong."""
    blocked = make_up(secrets, "blocklisted")
    body = {
        "customer": {"name": blocked, "city": make_up(secrets, "payload")},
        "list": [{"secret": blocked}, {"secret": blocked}],
    }
    ids = [client.send(event(app, type=type, **body))["id"] for type in (TYPE, "OLDER", "MADE")]
    line = json.dumps(event(app, **body, pad=make_up(secrets, "batch")))
    wrong = make_up(secrets, "batch that is wrong")
    lines = [line, wrong, line[:-1], json.dumps({"appId": [wrong], "eventType": wrong}), line]
    answer = client.call("POST", "/v1/events/batch", "\n".join(lines).encode()).expect(200)
    secrets.clean(answer.body, "the answer to a batch")
    results = [json.loads(line) for line in answer.body.splitlines()]
    assert [result["statusCode"] for result in results] == [202, 400, 400, 400, 202]
    ids += [result["result"]["id"] for result in results if "result" in result]
    test = {"appId": app, "eventType": TYPE, "event": event(app, **body)}
    test["event"]["pad"] = make_up(secrets, "test")
    attempt = client.call("POST", "/v1/config/test", test).expect(200).result
    assert attempt.pop("responseExcerpt")
    secrets.clean(json.dumps(attempt), "the attempt of a test")
    for bad in ({**test, "event": wrong}, {**test, "event": [wrong]}, {**test, wrong: 1}):
        answer = client.call("POST", "/v1/config/test", bad)
        if wrong not in bad:  # the name of an unknown field is told
            secrets.clean(answer.expect(400).body, "the error of a test")
    return ids
