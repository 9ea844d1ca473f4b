"""Ceilings: too much at once, a full disk, a store that cannot write, clients that dawdle. Nothing
that was acknowledged is lost, and everybody else is told."""

import json
import os
import resource
import socket
import threading
import time

import pytest

from harness.api import failed
from harness.events import event, settled, subscribe
from harness.raw import answers, request_head
from harness.receiver import Reply
from harness.waiting import eventually, seconds


def told_to_come_again(answer):
    failed(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


# ── Too much ─────────────────────────────────────────────────────────────────────────────────────


def test_more_than_the_queue_holds(servers, receiver, app):
    """202 or 503, nothing else; and every 202 arrives, once."""
    server = servers("--queue-max", 64, "--memory-deliveries", 64).start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [0] * 5})
    accepted, others = [], []

    def post(number):
        with server.api.connect() as connection:
            for n in range(60):
                answer = connection.call("POST", "/v1/events", event(app, n=[number, n]))
                if answer.status == 202:
                    accepted.append(answer.result["id"])
                else:
                    others.append(answer)

    threads = [threading.Thread(target=post, args=(n,)) for n in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for answer in others:
        told_to_come_again(answer)
    assert accepted and len(accepted) + len(others) == 16 * 60
    receiver.wait(len(accepted), timeout=60)
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"), 60)
    assert sorted(r.id for r in receiver.requests()) == sorted(accepted)


def test_a_backlog_of_many_targets(servers, receiver, app):
    """More waits than memory may hold, for targets that are down; then they come back."""
    server = servers("--memory-deliveries", 64, "--memory-body-bytes", 10_000).start()
    names = [f"{app}-{n}" for n in range(10)]
    receiver.down()
    for name in names:
        subscribe(server.api, name, receiver.url(f"/{name}"), retry={"schedule": [1] * 24})

    def post(name):
        with server.api.connect() as connection:
            for n in range(40):
                connection.call("POST", "/v1/events", event(name, n=n, pad="x" * 500)).expect(202)

    threads = [threading.Thread(target=post, args=(name,)) for name in names]
    [t.start() for t in threads]
    [t.join() for t in threads]
    receiver.up()
    for name in names:
        receiver.wait(40, f"/{name}", timeout=60)
    eventually(lambda: not server.api.deliveries(status="pending"), 60)
    assert len(receiver.requests()) == 400


def test_all_attempts_are_taken_by_a_target_that_hangs(servers, receivers, app):
    """Slow targets get half of the places at most; the others go on in the rest."""
    server = servers("--in-flight", 4, shards=1).start()
    hanging, healthy = receivers(), receivers()
    hanging.always("/", Reply(hang=True))
    retry = {"schedule": [60], "timeoutMs": 30000}
    for n in range(6):
        subscribe(server.api, f"{app}-{n}", hanging.url(), type="H", retry=retry)
        for _ in range(5):
            server.api.send(event(f"{app}-{n}", type="H"))
    hanging.wait(1)
    subscribe(server.api, app, healthy.url(), type="G")
    for _ in range(30):
        server.api.send(event(app, type="G"))
    healthy.wait(30, timeout=5)
    assert not server.api.deliveries(eventType="H", status="delivered")


def test_more_connections_than_allowed(servers, app):
    """The one that has been idle longest makes room."""
    server = servers("--max-connections", 8, shards=1).start()
    held = []
    try:
        for _ in range(30):
            held.append(socket.create_connection(server.address, timeout=seconds(10)))
        held[-1].sendall(request_head(server.api, path="/healthz", method="GET"))
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200 ")
        assert held[0].recv(100) == b""
    finally:
        for sock in held:
            sock.close()
    eventually(lambda: ok(server.api))
    server.api.send(event(app))


def ok(api):
    try:
        return api.get("/healthz").status == 200
    except OSError:
        return False


def test_no_files_left(servers, receiver, app):
    """Whoever is served is served, the others wait or are turned away; then it goes on."""
    server = servers().start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [0] + [1] * 20})
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    body = json.dumps(event(app)).encode()
    whole = request_head(server.api, f"content-length: {len(body)}", "connection: close") + body
    held, sent = [], set()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 10, limits[1]))
    try:
        for _ in range(60):
            held.append(socket.create_connection(server.address, timeout=seconds(20)))
        for sock in held:
            sock.sendall(whole)
        for sock in held[:5]:
            sock.settimeout(0.2)
            try:
                sock.recv(1, socket.MSG_PEEK)
            except (TimeoutError, ConnectionResetError):
                pass
            sock.settimeout(seconds(20))
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    for sock in held:
        with sock:
            try:
                found = answers(until_closed(sock))
            except ConnectionResetError:
                continue
            for status, told in found:
                assert status == 202, told
                sent.add(json.loads(told)["result"]["id"])
    sent.add(server.api.send(event(app))["id"])
    eventually(lambda: {r.id for r in receiver.requests()} >= sent)
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"))
    assert {d["messageId"] for d in server.api.deliveries(appId=app)} >= sent


# ── The disk ─────────────────────────────────────────────────────────────────────────────────────


def test_a_disk_that_is_nearly_full(servers, receiver, app):
    """No event is taken; what there is goes on."""
    server = servers().start()
    receiver.script("/", 500)
    subscribe(server.api, app, receiver.url(), retry={"schedule": [2]})
    (accepted,) = server.api.send(event(app))["deliveries"]
    receiver.one()
    server.restart("--disk-reserve-bytes", 1024**4)
    told_to_come_again(server.api.post_event(event(app)))
    server.api.get("/readyz").expect(503)
    server.api.get("/healthz").expect(200)
    told = server.api.get("/metrics").body.decode()
    for line in ("gwh_ledger_accepting 0", 'gwh_events_refused_total{reason="disk_full"} 1',
                 f"gwh_store_disk_reserve_bytes {1024**4}"):  # fmt: skip
        assert line in told.splitlines(), line
    assert settled(server.api, accepted["id"], "delivered")["attempts"] == 2
    assert len(server.api.deliveries(appId=app)) == 1
    server.restart()
    server.api.get("/readyz").expect(200)
    server.api.send(event(app))


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_store_that_cannot_write(servers, receiver, app, at):
    """No yes without a disk behind it; looking still works; a restart finds all that was
    acknowledged and nothing by halves."""
    server = servers(ignore_file_limit=True).start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [0] + [1] * 20})
    sent = [server.api.send(event(app, n=n)) for n in range(5)]
    for result in sent:
        settled(server.api, result["deliveries"][0]["id"], "delivered")
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    largest = max(f.stat().st_size for f in server.data.iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + at * 1500, limits[1]))
    refused = 0
    try:
        for n in range(200):
            answer = server.api.post_event(event(app, n=n, pad="x" * 2000))
            if answer.status == 202:
                sent.append(answer.result)
                continue
            assert answer.status in (500, 503), answer
            refused += 1
            if refused == 3:
                break
        assert refused == 3, "the limit was not felt"
        server.api.get("/healthz").expect(200)
        server.api.event(sent[0]["id"])
        server.api.get("/readyz").expect(503)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    server.stop()
    server.start()
    eventually(lambda: {r["id"] for r in sent} <= {r.id for r in receiver.requests()})
    for result in sent:
        settled(server.api, result["deliveries"][0]["id"], "delivered")
    assert len(server.api.deliveries(appId=app)) == len(sent)
    server.api.send(event(app))


# ── Clients that dawdle ──────────────────────────────────────────────────────────────────────────


def until_closed(sock):
    got = b""
    while part := sock.recv(4096):
        got += part
    return got


def test_a_request_that_does_not_come_to_an_end(servers, app):
    server = servers("--request-timeout", 1).start()
    body = json.dumps(event(app)).encode()
    whole = request_head(server.api, f"content-length: {len(body)}") + body
    begin = time.monotonic()
    for cut in (10, len(whole) - len(body) - 2, len(whole) - 1):
        with socket.create_connection(server.address, timeout=seconds(20)) as sock:
            sock.sendall(whole[:cut])
            ((status, told),) = answers(until_closed(sock))
            assert status == 408 and json.loads(told)["status"] == "failed"
    assert time.monotonic() - begin >= 2.9
    assert server.api.deliveries(appId=app) == []
    server.api.get("/v1/events", appId=app, eventId="x").expect(404)


def test_idle_connections_are_closed(servers):
    server = servers("--idle-timeout", 1).start()
    with socket.create_connection(server.address, timeout=seconds(20)) as sock:
        sock.sendall(request_head(server.api, path="/healthz", method="GET"))
        assert [status for status, _ in answers(until_closed(sock))] == [200]
    with socket.create_connection(server.address, timeout=seconds(20)) as sock:
        assert until_closed(sock) == b""


def test_a_client_that_does_not_read(servers, app):
    """Holds nobody up, and no memory without end."""
    server = servers(shards=1).start()
    for n in range(50):
        server.api.send(event(app, pad="x" * 20_000, eventId=f"e-{n}"))
    id = server.api.get("/v1/events", appId=app, eventId="e-0").result["id"]
    one = request_head(server.api, path=f"/v1/events/{id}?payload=true", method="GET")
    with socket.create_connection(server.address) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        try:
            while deaf.send(one * 100):
                pass
        except BlockingIOError:
            pass
        for _ in range(20):
            server.api.get("/healthz").expect(200)
            server.api.send(event(app))


def has_read_all(sock):
    """The kernel has nothing more of it, on either side."""
    mine, other = sock.getsockname()[1], sock.getpeername()[1]
    queues = []
    for line in open("/proc/net/tcp").readlines()[1:]:
        fields = line.split()
        ports = {int(address.rpartition(":")[2], 16) for address in fields[1:3]}
        if ports == {mine, other}:
            queues.append(fields[4])
    return queues == ["00000000:00000000"] * 2


def test_many_large_bodies_at_once(servers, app):
    """They hold so much memory together and no more; small events go on."""
    server = servers("--memory-request-bytes", 16 * 1024**2, shards=1).start()
    large = 8 * 1024**2
    head = request_head(server.api, f"content-length: {large}", path="/v1/events/batch")
    held = [socket.create_connection(server.address, timeout=seconds(20)) for _ in range(3)]
    try:
        for sock in held:
            sock.sendall(head)
        for sock in held[:2]:
            sock.sendall(b" " * (large - 1))
            eventually(lambda: has_read_all(sock))
        held[2].sendall(b" " * 1024**2)
        got = until_closed(held[2])
        ((status, told),) = answers(got)
        assert status == 503 and json.loads(told)["status"] == "failed"
        assert b"\r\nretry-after: 1\r\n" in got
        server.api.send(event(app, pad="x" * 50_000))
        for sock in held[:2]:
            sock.sendall(b"\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for sock in held:
            sock.close()
    failed(server.api.call("POST", "/v1/events/batch", b" " * large + b"\n"), 413)
    server.api.call("POST", "/v1/events/batch", b" " * large).expect(200)


def test_clients_that_leave_in_the_middle(servers, receiver, app):
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    body = json.dumps(event(app)).encode()
    whole = request_head(server.api, f"content-length: {len(body)}") + body
    for cut in range(0, len(whole) + 1, 7):
        with socket.create_connection(server.address) as sock:
            sock.sendall(whole[:cut])
    for _ in range(50):  # the whole request, and no waiting for the answer
        with socket.create_connection(server.address) as sock:
            sock.sendall(whole)
    last = server.api.send(event(app))
    receiver.one(id=last["id"])
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"))
    assert {r.id for r in receiver.requests()} == {
        d["messageId"] for d in server.api.deliveries(appId=app)
    }
