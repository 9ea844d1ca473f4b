"""Starting and stopping: what is refused, what is found again, what an orderly end leaves."""

import os
import signal
import socket
import stat
import threading
import time

import pytest

from harness import signature
from harness.api import Api, Connection, failed
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.server import clean_environment, run
from harness.waiting import eventually, seconds

# ── Starting ─────────────────────────────────────────────────────────────────────────────────────


def serve(data, *flags, env=None):
    """A server that is expected to give up."""
    return run("serve", "--data", data, "--listen", "127.0.0.1:0", *flags, env=env, timeout=30)


def test_the_first_start_makes_a_key(server):
    file = server.data / "admin.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    appid, _, appkey = file.read_text().strip().partition(":")
    assert appid and len(appkey) >= 32
    assert str(file) in server.log and appkey not in server.log
    before = file.read_bytes()
    server.restart()
    assert file.read_bytes() == before
    server.api.get("/v1/config").expect(200)


def test_only_the_owner_reads_the_data(server, receiver, app):
    subscribe(server.api, app, receiver.url())
    server.api.send(event(app))
    receiver.one()
    for file in server.data.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_data_directory_has_one_server(servers, receiver, app):
    server = servers().start()
    second = serve(server.data)
    assert second.returncode == 3, second
    assert second.stderr
    subscribe(server.api, app, receiver.url())
    server.api.send(event(app))
    receiver.one()
    server.kill()  # the lock goes with the process, however it went
    server.start()


def test_an_address_in_use(servers, tmp_path):
    server = servers().start()
    for listen in ("%s:%d" % server.address, f"127.0.0.1:{server.address[1]}"):
        got = run("serve", "--data", tmp_path / "second", "--listen", listen, timeout=30)
        assert got.returncode == 3 and str(server.address[1]).encode() in got.stderr, got
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = "127.0.0.1:%d" % other.getsockname()[1]
        got = run("serve", "--data", tmp_path / "third", "--listen", listen, timeout=30)
        assert got.returncode == 3, got


def test_a_data_directory_that_cannot_be(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a directory")
    got = serve(file)
    assert got.returncode == 3 and got.stderr, got
    assert file.read_text() == "not a directory"


@pytest.mark.parametrize(
    "flag, variable, value, words",
    [
        ("--max-body-bytes", "GWH_MAX_BODY_BYTES", "many", ["many"]),
        ("--max-body-bytes", "GWH_MAX_BODY_BYTES", "-1", ["-1"]),
        ("--max-body-bytes", "GWH_MAX_BODY_BYTES", "99999999999999999999", []),
        ("--listen", "GWH_LISTEN", "nowhere", ["nowhere"]),
        ("--listen", "GWH_LISTEN", "127.0.0.1:99999", ["99999"]),
        ("--shards", "GWH_SHARDS", "65", ["65", "64"]),
        ("--allow-http", "GWH_ALLOW_HTTP", "yes", ["yes", "true", "false"]),
        ("--allow-nets", "GWH_ALLOW_NETS", "10.0.0.0/33", ["10.0.0.0/33"]),
        ("--allow-ports", "GWH_ALLOW_PORTS", "443,x", ["x"]),
        ("--allowed-ips", "ALLOWED_IPS", "10.0.0.1,somewhere", ["somewhere"]),
        ("--trusted-proxies", "GWH_TRUSTED_PROXIES", "1.2.3", ["1.2.3"]),
        ("--dedupe-window", "GWH_DEDUPE_WINDOW", "604801", ["604801", "604800"]),
        ("--grace", "GWH_GRACE", "soon", ["soon"]),
        ("--log-level", "GWH_LOG_LEVEL", "loud", ["loud", "info"]),
    ],
)
def test_a_bad_setting(tmp_path, flag, variable, value, words):
    """One line: which, what it was, what is allowed."""
    in_environment = clean_environment(**{variable: value})
    tries = [
        (run("serve", "--data", tmp_path / "a", f"{flag}={value}"), flag),
        (run("serve", "--data", tmp_path / "b", env=in_environment), variable),
    ]
    if flag != "--allow-http":  # which is true when it stands alone
        tries.append((run("serve", "--data", tmp_path / "c", flag, value), flag))
    for got, name in tries:
        assert got.returncode == 2, got
        text = got.stderr.decode()
        assert len(text.strip().splitlines()) == 1, text
        for word in [name, *words]:
            assert word in text, text
    assert not any((tmp_path / d).exists() for d in "abc")


@pytest.mark.parametrize("args", [["--no-such-flag"], ["--no-such=1"], ["surplus"], ["--data"]])
def test_bad_usage(tmp_path, args):
    got = run("serve", *args, cwd=tmp_path)
    assert got.returncode == 2 and len(got.stderr.decode().strip().splitlines()) == 1, got
    assert os.listdir(tmp_path) == []


def test_help_is_the_table_of_settings(tmp_path):
    got = run("serve", "--help", cwd=tmp_path)
    text = got.stdout.decode()
    assert got.returncode == 0
    for word in ("--data", "--listen", "GWH_LISTEN", "--max-body-bytes", "GWH_MAX_BODY_BYTES",
                 "1048576", "127.0.0.1:8080", "ALLOWED_IPS", "--grace"):  # fmt: skip
        assert word in text, word


def test_a_flag_wins_over_the_environment(servers, app):
    server = servers("--max-body-bytes", "2000", env={"GWH_MAX_BODY_BYTES": "1024"}).start()
    server.api.send(event(app, pad="x" * 1500))


# ── What is found again ──────────────────────────────────────────────────────────────────────────


def test_a_restart_finds_what_is_open(servers, receiver, app):
    receiver.down()
    server = servers().start()
    made = subscribe(server.api, app, receiver.url(), retry={"schedule": [1] * 24})
    sent = {server.api.send(event(app, n=n))["id"] for n in range(20)}
    server.restart()
    receiver.up()
    got = receiver.wait(20)
    assert {r.id for r in got} == sent
    for request in got:
        signature.check(request, made["secret"])
    eventually(lambda: len(server.api.deliveries(appId=app, status="delivered")) == 20)


def test_what_is_done_stays_done(servers, receiver, app):
    receiver.always("/bad", 500)
    server = servers().start()
    subscribe(server.api, app, receiver.url("/good"), type="GOOD")
    subscribe(server.api, app, receiver.url("/bad"), type="BAD", retry={"schedule": [0]})
    good = [server.api.send(event(app, type="GOOD"))["deliveries"][0]["id"] for _ in range(10)]
    bad = [server.api.send(event(app, type="BAD"))["deliveries"][0]["id"] for _ in range(4)]
    for id in good:
        settled(server.api, id, "delivered")
    for id in bad:
        settled(server.api, id, "dead")
    before = {id: server.api.delivery(id) for id in good + bad}
    server.restart()
    assert {id: server.api.delivery(id) for id in good + bad} == before
    last = server.api.send(event(app, type="GOOD"))["id"]
    receiver.one(id=last)
    assert len(receiver.requests()) == 10 + 8 + 1


def test_a_due_time_survives(servers, receiver, app):
    receiver.script("/", 500)
    server = servers().start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [3]})
    (accepted,) = server.api.send(event(app))["deliveries"]
    attempted(server.api, accepted["id"], 1)
    due = server.api.delivery(accepted["id"])["nextAttemptAt"]
    server.restart()
    assert server.api.delivery(accepted["id"])["nextAttemptAt"] == due
    assert settled(server.api, accepted["id"], "delivered")["attempts"] == 2
    first, second = receiver.requests()
    assert second.at - first.at >= 2.4


def test_another_number_of_shards(servers, receiver, app):
    server = servers(shards=1).start()
    receiver.down()
    for n in range(6):
        subscribe(server.api, f"{app}-{n}", receiver.url(), retry={"schedule": [1] * 24})
        server.api.send(event(f"{app}-{n}"))
    server.restart("--shards", 3)
    receiver.up()
    receiver.wait(6)


# ── Stopping ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end(servers, number):
    server = servers().start()
    server.signal(number)
    assert server.wait() == 0
    with pytest.raises(OSError):
        server.api.get("/healthz")


def test_an_end_at_any_moment_of_the_start(servers, receiver, app):
    server = servers().start()
    subscribe(server.api, app, receiver.url())
    for n in range(12):
        server.stop()
        server.launch()
        time.sleep(seconds(0.008) * n)
        server.signal()
        assert server.wait() in (0, -signal.SIGTERM)
        server.start()
        sent = server.api.send(event(app))
        receiver.one(id=sent["id"])


def test_idle_connections_do_not_hold_it(servers):
    server = servers(grace=60).start()
    with server.api.connect() as connection:
        connection.call("GET", "/healthz").expect(200)
        server.stop()


def test_an_attempt_that_is_under_way_ends(servers, receiver, app):
    """Within the grace time; and it is settled before the process goes."""
    hold = threading.Event()
    receiver.script("/", Reply(hold=hold))
    server = servers(grace=60).start()
    subscribe(server.api, app, receiver.url())
    (accepted,) = server.api.send(event(app))["deliveries"]
    receiver.one()
    server.signal()
    eventually(lambda: refuses(server))
    assert server.process.poll() is None
    hold.set()
    assert server.wait() == 0
    server.start()
    delivery = server.api.delivery(accepted["id"])
    assert delivery["status"] == "delivered" and delivery["attempts"] == 1
    assert len(receiver.requests()) == 1


def refuses(server):
    """Nobody listens any more, or somebody who says that he is on his way out."""
    try:
        with Connection(server.address) as connection:
            return connection.call("GET", "/readyz").status == 503
    except OSError:
        return True


def test_an_attempt_that_hangs_is_cut_off(servers, receiver, app):
    """It leaves no record, and its number is used again."""
    receiver.script("/", Reply(hang=True))
    server = servers(grace=1).start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [60], "timeoutMs": 30000})
    (accepted,) = server.api.send(event(app))["deliveries"]
    receiver.one()
    begin = time.monotonic()
    server.signal()
    assert server.wait() == 0
    assert time.monotonic() - begin < seconds(20)
    server.start()
    delivery = settled(server.api, accepted["id"], "delivered")
    assert delivery["attempts"] == 1 and [a["n"] for a in delivery["attemptLog"]] == [1]
    assert [r.attempt for r in receiver.requests()] == [1, 1]


def test_a_second_signal_leaves_at_once(servers, receiver, app):
    receiver.script("/", Reply(hang=True))
    server = servers(grace=300).start()
    subscribe(server.api, app, receiver.url(), retry={"schedule": [], "timeoutMs": 30000})
    (accepted,) = server.api.send(event(app))["deliveries"]
    receiver.one()
    server.signal()
    eventually(lambda: refuses(server))
    assert server.process.poll() is None
    server.signal()
    assert server.wait(10) == 1
    server.start()
    assert settled(server.api, accepted["id"], "delivered")["attempts"] == 1


def test_sigterm_under_load_loses_nothing(servers, receiver, app):
    """Whoever was answered 202 has an event that arrives; whoever was not, was told so."""
    server = servers(grace=20).start()
    apps = [f"{app}-{n}" for n in range(4)]
    for name in apps:
        subscribe(server.api, name, receiver.url())
    accepted, refused, stop = [], [], threading.Event()

    def load(name, address, key):
        connection = Api(address, key).connect()
        while not stop.is_set():
            try:
                answer = connection.call("POST", "/v1/events", event(name))
            except OSError:
                return
            except Exception as error:  # half an answer would be one too few
                refused.append(repr(error))
                return
            if answer.status == 202:
                accepted.append(answer.result["id"])
            else:
                refused.append(answer.status)

    for _ in range(3):
        threads = [
            threading.Thread(target=load, args=(name, server.address, server.key)) for name in apps
        ]
        [t.start() for t in threads]
        seen = len(accepted)
        eventually(lambda: len(accepted) > seen + 200)
        server.stop()
        stop.set()
        [t.join(seconds(30)) for t in threads]
        stop.clear()
        server.start()
    assert all(r == 503 or "RemoteDisconnected" in r for r in refused), refused[:5]
    eventually(
        lambda: set(accepted) <= {r.id for r in receiver.requests()}, 60, "all of them arrived"
    )
    # An orderly end repeats nothing.
    assert len(receiver.requests()) == len({r.id for r in receiver.requests()})
    eventually(lambda: server.api.deliveries(status="pending") == [])


def test_failed_intake_while_it_drains_is_told(servers, app):
    """Not a silent drop: 503 in the envelope, or no connection at all."""
    server = servers().start()
    with server.api.connect() as connection:
        connection.call("POST", "/v1/events", event(app)).expect(202)
        server.signal()
        try:
            answer = connection.call("POST", "/v1/events", event(app, type=TYPE))
        except (OSError, EOFError):
            answer = None
        except Exception as error:
            assert "RemoteDisconnected" in repr(error) or "CannotSend" in repr(error)
            answer = None
        if answer and answer.status != 202:
            failed(answer, 503)
    assert server.wait() == 0
