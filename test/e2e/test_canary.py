"""What must not be seen is not: payloads, secrets, header values, the query of a URL. Not in the
log (not even the most talkative), not in metrics, not in errors. Every other test's log is looked
at for the same marker when its server stops."""

import base64
import json
from pathlib import Path

import pytest

from harness.access import Signer
from harness.canary import Secrets, make_configs, make_up, send_everything, show_keys
from harness.cli import said
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.server import CANARY
from harness.waiting import eventually

# As it is, and as it would look in base64 (of either alignment that matters here) and in hex.
SECRET = "whsec_" + base64.b64encode(f"{CANARY} {CANARY} {CANARY}".encode()).decode()
MARKS = [CANARY.encode(), SECRET[6:40].encode(), CANARY.encode().hex().encode()]


def clean(text, where):
    for mark in MARKS:
        assert mark not in text, f"{mark} in {where}"


def test_nothing_shows(servers, receiver, app):
    server = servers("--log-level", "debug").start()
    api = server.api
    path = f"/hook?token={CANARY}"
    headers = {"authorization": CANARY, "x-api-key": CANARY, "x-plain": CANARY}
    receiver.always("/dead?" + CANARY, Reply(500, headers={"x-why": CANARY}, body=CANARY.encode()))
    receiver.always("/cut?" + CANARY, Reply(reset=True))
    receiver.always("/bad?" + CANARY, Reply(raw=CANARY.encode() + b"\r\n\r\n"))
    receiver.script(path, 500)
    common = {"headers": headers, "secret": SECRET}
    subscribe(api, app, receiver.url(path), retry={"schedule": [0]}, **common)
    for kind in ("dead", "cut", "bad"):
        url = receiver.url(f"/{kind}?{CANARY}")
        subscribe(api, app, url, type=kind, retry={"schedule": []}, **common)

    seen = {}
    kinds = {TYPE: "delivered", "dead": "dead", "cut": "dead", "bad": "dead"}
    for type, status in kinds.items():
        sent = api.send(event(app, type=type, eventId=f"e-{type}", secret=SECRET))
        (accepted,) = sent["deliveries"]
        done = settled(api, accepted["id"], status)
        # The one place that shows what a client answered.
        for attempt in done["attemptLog"]:
            attempt.pop("responseExcerpt")
        seen[f"delivery of {type}"] = done
        seen[f"event of {type}"] = api.event(sent["id"])
        seen[f"why of {type}"] = api.why(sent["id"])
        seen[f"duplicate of {type}"] = api.send(event(app, type=type, eventId=f"e-{type}"))
    seen["deliveries"] = api.deliveries(appId=app)
    for name, value in seen.items():
        clean(json.dumps(value).encode(), name)

    bad = [
        CANARY.encode(),
        b'{"' + CANARY.encode() + b'":1,"' + CANARY.encode() + b'":1}',
        json.dumps({"appId": app, "eventType": "T", "n": CANARY}).encode()[:-3],
        json.dumps({"appId": [CANARY], "eventType": "T"}).encode(),
        json.dumps({"appId": app, "eventType": {CANARY: CANARY}}).encode(),
        json.dumps({"appId": app, "eventType": "T", "eventId": [CANARY]}).encode(),
        json.dumps(event(app, eventId=CANARY + "\n")).encode(),
    ]
    for body in bad:
        clean(api.post_event(body).expect(400).body, f"the error of {body}")
    url = receiver.url("/")
    for change in (
        {"secret": CANARY},
        {"secret": [CANARY]},
        {"headers": {"x-a": CANARY + "\n"}},
        {"headers": {"x-a": [CANARY]}},
        {"headers": {"host": CANARY}},
        {"headers": {"authorization": CANARY * 1000}},
        {"webhookUrl": f"https://user:{CANARY}@93.184.216.34/"},
        {"webhookUrl": f"ftp://93.184.216.34/?{CANARY}"},
        {"webhookUrl": f"http://10.0.0.1/?token={CANARY}"},
        {"workflows": {"w": [f"http://10.0.0.1/?token={CANARY}"]}},
    ):
        body = {"appId": app + "-b", "eventType": TYPE, "webhookUrl": url} | change
        clean(api.call("POST", "/v1/config", body).expect(400).body, f"the error of {change}")
        if "webhookUrl" not in change:
            clean(api.patch(app, TYPE, **change).expect(400).body, f"the error of {change}")
    masked = api.config(app, TYPE).expect(200).result
    assert masked["headers"].pop("x-plain") == CANARY and masked.pop("webhookUrl")
    clean(json.dumps(masked).encode(), "a masked config")
    clean(api.get("/metrics").expect(200).body, "the metrics")
    clean(api.get("/readyz").expect(200).body, "readiness")

    server.restart()
    eventually(lambda: server.api.get("/readyz").status == 200)
    server.stop()
    clean(server.log.encode(), "the log")


def test_nothing_is_in_the_files_as_it_is(servers, receiver, app):
    """Payloads, secrets, header values, the query of a URL and what clients answered are encrypted
    at rest: in the files as kill -9 leaves them, logs included, and after an orderly stop."""
    server = servers("--log-level", "debug").start()
    path = f"/hook?token={CANARY}"
    receiver.always(path, Reply(500, headers={"x-why": CANARY}, body=CANARY.encode() * 10))
    subscribe(
        server.api, app, receiver.url(path), secret=SECRET, headers={"x-token": CANARY},
        retry={"schedule": [0, 60]}, workflows={"w": [receiver.url(f"/w?{CANARY}")]},
    )  # fmt: skip
    sent = server.api.send(event(app, pad=CANARY * 20))
    attempted(server.api, sent["deliveries"][0]["id"], 2)
    server.api.patch(app, TYPE, headers={"x-token": CANARY + "2"}).expect(200)
    bodies = [event(app, eventId=f"b-{i}", pad=CANARY * (1 + 300 * (i % 2))) for i in range(50)]
    for body in bodies:
        server.api.send(body)
    server.api.send(event(app, type="nobody-wants-it", pad=CANARY))

    def look(when):
        files = [file for file in server.data.rglob("*") if file.is_file()]
        assert any(file.stat().st_size > 4096 for file in files)
        for file in files:
            clean(file.read_bytes(), f"{file.name} {when}")
        return {file.name for file in files}

    server.kill()
    names = look("after kill -9")
    assert {"main.db", "00000001.seg", "00000001.seg-wal", "master.key"} <= names
    server.start()
    eventually(lambda: server.api.get("/readyz").status == 200)
    assert CANARY.encode() in server.api.get(f"/v1/events/{sent['id']}", payload="true").body
    server.stop()
    look("after a stop")
    clean(server.log.encode(), "the log")


# ── Everything that is a secret, everywhere it could be ──────────────────────────────────────────


def test_forms_are_found():
    secrets = Secrets()
    secrets.add("it", "very secret / text")
    for shown in (
        "a very secret / text b",
        "very%20secret%20%2F%20text",
        b"very secret / text".hex(),
        *(base64.b64encode(b"x" * n + b"very secret / text" + b"y" * n).decode() for n in range(4)),
    ):
        with pytest.raises(AssertionError):
            secrets.clean(shown, "here")
    secrets.clean("very secret", "here")


def test_no_secret_is_anywhere(servers, receivers, app, tmp_path):
    """Keys, tokens, what the external service is shown, signing keys, header values, payloads alone
    and in batches and tests, what a blocklist names: not in the log, not in metrics, not in errors,
    not in temporary files, not in the store's files nor in a backup of them, as they are."""
    secrets, signer = Secrets(), Signer()
    receiver, service = receivers(), receivers()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    url = service.url("/check?token=" + CANARY)
    env = {"PUBLIC_CERT": signer.pem, "TMPDIR": str(temporary)}
    server = servers("--log-level", "debug", "--auth-url", url, env=env).start()
    master = (server.data / "master.key").read_bytes().strip()
    client = show_keys(server, secrets, app, service, signer, master)
    hook = make_configs(client, secrets, app, receiver)
    receiver.script(hook, 500, Reply(500, body=make_up(secrets, "reply").encode()))
    receiver.always(hook, Reply(200, body=make_up(secrets, "other reply").encode()))
    ids = send_everything(client, secrets, app)

    def delivered():
        events = [client.event(id) for id in ids]
        return all(d["status"] == "delivered" for e in events for d in e["deliveries"])

    eventually(delivered)
    blocked = f"{CANARY}/blocklisted".encode()
    came = receiver.requests()
    assert len(came) >= 6 and all(blocked not in request.body for request in came)

    for path in ("/metrics", "/readyz", "/healthz", "/v1/audit", "/v1/keys"):
        secrets.clean(server.api.get(path).expect(200).body, path)
    process = Path(f"/proc/{server.process.pid}")
    secrets.clean(process.joinpath("cmdline").read_bytes().replace(url.encode(), b""), "arguments")
    assert secrets.clean_open_files(process) > 3
    said(server.cli("backup", tmp_path / "copy", "--data", server.data))
    assert secrets.clean_files(tmp_path / "copy") > 1
    server.kill()
    assert secrets.clean_files(server.data, but=("admin.key", "master.key")) > 3
    server.start()
    eventually(lambda: server.api.get("/readyz").status == 200)
    server.stop()
    assert secrets.clean_files(server.data, but=("admin.key", "master.key")) > 1
    secrets.clean_files(temporary)
    secrets.clean(server.log, "the log")
