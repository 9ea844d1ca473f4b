"""The master key: made once, asked for ever after; a wrong or missing one is exit 3, and changes
nothing."""

import base64
import os
import stat

from harness.events import event, subscribe
from harness.server import clean_environment, run


def key():
    return base64.b64encode(os.urandom(32)).decode()


def serve(data, *flags, **env):
    """A server that is expected to give up."""
    return run(
        "serve", "--data", data, "--listen", "127.0.0.1:0", *flags,
        env=clean_environment(**env), timeout=30,
    )  # fmt: skip


def contents(data):
    """Logs left out: an orderly stop empties them."""
    files = [f for f in data.rglob("*") if f.is_file() and f.suffix not in (".seg-wal", ".db-wal")]
    return {f.name: f.read_bytes() for f in files if not f.name.endswith("-shm")}


def refused(got, *words):
    assert got.returncode == 3, got
    for word in words:
        assert word.encode() in got.stderr + got.stdout, got


def test_its_life(servers, receiver, app, tmp_path):
    server = servers().start()
    file = server.data / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    text = file.read_text()
    assert len(base64.b64decode(text, validate=False)) == 32 and text.strip() not in server.log
    subscribe(server.api, app, receiver.url())
    sent = server.api.send(event(app, eventId="e"))
    receiver.one()
    server.stop()
    before = contents(server.data)

    away = tmp_path / "away.key"
    file.rename(away)
    refused(serve(server.data), "master.key")
    assert not file.exists()  # never a new one
    wrong = key()
    refused(serve(server.data, GWH_MASTER_KEY=wrong), "another master key")
    refused(serve(server.data, "--master-key-file", tmp_path / "none.key"), "none.key")
    (tmp_path / "bad.key").write_text("nonsense")
    refused(serve(server.data, "--master-key-file", tmp_path / "bad.key"), "bad.key")
    after = contents(server.data)
    assert after.pop("lock") == before.pop("lock") and before.pop("master.key") == text.encode()
    assert after == before
    for got in (serve(server.data, GWH_MASTER_KEY="s3cret"), serve(server.data, "--master-key", "s3cret")):
        assert got.returncode == 2 and b"GWH_MASTER_KEY" in got.stderr and b"s3cret" not in got.stderr

    server.start("--master-key-file", away)
    shown = server.api.event(sent["id"], payload="true")
    assert shown["deliveries"][0]["status"] == "delivered"
    server.stop()
    server.env["GWH_MASTER_KEY"] = text.strip()
    server.start()
    assert server.api.event(sent["id"], payload="true")["payload"] == shown["payload"]
    assert not file.exists()
