"""`gwh backup`: a whole copy while the server is at work; without the keys unless told."""

import sqlite3
import stat
import threading

from harness.api import Api
from harness.events import event, subscribe
from harness.receiver import Reply
from harness.server import run
from harness.waiting import eventually


def backup(data, to, *flags):
    return run("backup", to, "--data", data, *flags)


def load(server, app, stop, sent):
    api = Api(server.address, server.key)
    n = 0
    while not stop.is_set():
        body = event(app, eventId=f"{threading.get_ident()}-{n}", pad="x" * 2000)
        answer = api.post_event(body)
        if answer.status == 202:
            sent.append(answer.result["id"])
        n += 1


def test_under_load(servers, receiver, app, tmp_path):
    server = servers().start()
    receiver.always("/busy", Reply(503))
    subscribe(server.api, app, receiver.url("/busy"), retry={"schedule": [3600]})
    stop, sent = threading.Event(), []
    threads = [threading.Thread(target=load, args=(server, app, stop, sent)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(sent) > 500, 30)
        before = list(sent)
        got = backup(server.data, tmp_path / "copy")
        assert len(sent) > len(before)  # it was at work all the time
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert got.returncode == 0, got
    assert b"master.key" in got.stdout and not got.stderr
    copy = tmp_path / "copy"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    names = {file.name for file in copy.iterdir()}
    assert "main.db" in names and "00000001.seg" in names
    assert not names & {"master.key", "admin.key", "lock"} and not any(".idx" in n for n in names)
    for file in copy.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        db = sqlite3.connect(f"file:{file}?immutable=1", uri=True)
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        db.close()

    # Without the key it is nothing; with it, a store like any other, beside the first one.
    refused = run("serve", "--data", copy, "--listen", "127.0.0.1:0", timeout=30)
    assert refused.returncode == 3 and b"master.key" in refused.stderr, refused
    other = servers("--master-key-file", server.data / "master.key", data=copy).start()
    for message_id in before:
        assert other.api.event(message_id, payload="true")["payload"], message_id
    (config,) = other.api.get("/v1/config", appId=app).expect(200).result["items"]
    assert config["webhookUrl"] == receiver.url("/busy")
    other.api.send(event(app, eventId="after"))
    assert server.api.event(before[0], payload="true")["payload"]
    assert len(other.logged("store_segment_set_aside")) == 0


def test_with_keys_and_what_is_refused(servers, receiver, app, tmp_path):
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    sent = server.api.send(event(app))
    receiver.one()
    copy = tmp_path / "copy"
    got = backup(server.data, copy, "--with-keys")
    assert got.returncode == 0 and b"read everything" in got.stdout, got
    for name, mode in (("master.key", 0o400), ("admin.key", 0o600)):
        assert (copy / name).read_bytes() == (server.data / name).read_bytes()
        assert stat.S_IMODE((copy / name).stat().st_mode) == mode
    server.stop()
    other = servers(data=copy).start()
    assert other.api.event(sent["id"])["deliveries"][0]["status"] == "delivered"

    again = backup(server.data, copy)
    assert again.returncode == 1 and b"not empty" in again.stderr, again
    none = backup(tmp_path / "none", tmp_path / "other")
    assert none.returncode == 1 and b"there is no store" in none.stderr, none
    assert not (tmp_path / "other").exists()
    assert backup(server.data, tmp_path / "file" / "x").returncode == 1
    stopped = backup(server.data, tmp_path / "third")  # nobody serves it
    assert stopped.returncode == 0, stopped
