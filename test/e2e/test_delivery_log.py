"""The delivery log: `gwh init` makes its tables; a row for each event and each attempt, column by
column; nothing is lost while the database is away; nothing in it that must not be seen; only SQL that
Redshift takes; and the reports of docs/queries.sql, which a batch that came twice does not change."""

import itertools
import json
import re
import signal
from datetime import UTC, datetime, timedelta

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from harness.canary import Secrets
from harness.cli import failed, said
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.postgres import PASSWORD, PLAIN, Postgres
from harness.receiver import Reply
from harness.redshift import refusals
from harness.server import CANARY, ROOT, clean_environment, run
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(120))

DELIVERY = """row_id phase message_id event_id app_id event_type product transaction_id workflow_id
    delivery_id attempt url status_code outcome skip_reason received_at sent_at finished_at queue_ms
    dns_ms connect_ms tls_ms first_byte_ms total_ms payload_bytes config_version""".split()
FAILURE = """row_id message_id delivery_id app_id event_type url attempt failure_class error is_final
    next_attempt_at failed_at""".split()


@pytest.fixture(scope="module")
def cluster():
    made = Postgres()
    try:
        yield made.create().start()
    finally:
        made.remove()


@pytest.fixture
def postgres(cluster):
    """Running, with empty tables."""
    if cluster.process.poll() is not None:
        cluster.start()
    said(init(cluster))
    cluster.run("TRUNCATE webhook_delivery, webhook_failure")
    return cluster


def init(postgres):
    return run("init", env=clean_environment(GWH_LOG_URL=postgres.url))


def logging(servers, postgres, *flags, **kwargs):
    return servers(*flags, env={"GWH_LOG_URL": postgres.url}, **kwargs)


def metrics(server):
    text = requests.get(server.url + "/metrics", timeout=seconds(10)).text
    return {
        sample.name.removeprefix("gwh_delivery_log_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("gwh_delivery_log_")
    }


def rows_of(postgres, app, count, table="webhook_delivery"):
    """An app's rows by row_id, once there are so many."""

    def there():
        found = postgres.rows(f"SELECT * FROM {table} WHERE app_id = '{app}' ORDER BY row_id")
        assert len(found) == count, [row["row_id"] for row in found]
        return found

    return {row["row_id"]: row for row in eventually(there, 40, f"{count} rows in {table}")}


def at(text):
    """Of a column: UTC, without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def asked(text):
    """Of the API."""
    return datetime.fromisoformat(text)


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────


def columns(postgres, table):
    found = postgres.rows(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM"
        f" information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    )
    return [tuple(row.values()) for row in found]


def test_init(cluster):
    cluster.run("DROP TABLE IF EXISTS webhook_delivery, webhook_failure")
    tables = ("webhook_delivery", "webhook_failure")
    for _ in range(2):
        assert said(init(cluster)) == "webhook_delivery is there\nwebhook_failure is there\n"
    made = {table: columns(cluster, table) for table in tables}
    assert [row[0] for row in made["webhook_delivery"]] == DELIVERY
    assert [row[0] for row in made["webhook_failure"]] == FAILURE
    # One that is missing is made, the other stays.
    cluster.run("DROP TABLE webhook_failure; INSERT INTO webhook_delivery (row_id, phase, message_id,"
                " app_id, event_type, received_at) VALUES ('r', 'p', 'm', 'a', 't', now())")  # fmt: skip
    said(init(cluster))
    assert columns(cluster, "webhook_failure") == made["webhook_failure"]
    assert cluster.run("SELECT COUNT(*) FROM webhook_delivery").strip() == "1"
    # The file says the same.
    cluster.run("DROP TABLE webhook_delivery, webhook_failure")
    cluster.run((ROOT / "deploy/sql/postgresql.sql").read_text())
    assert {table: columns(cluster, table) for table in tables} == made


def test_both_dialects_have_the_same_columns():
    def told(file):
        text = (ROOT / "deploy/sql" / file).read_text()
        return re.findall(r"^    (\w+ .*?),?$|^CREATE TABLE (.*)$", text, re.MULTILINE)

    assert told("redshift.sql") == told("postgresql.sql")
    assert len(told("redshift.sql")) == len(DELIVERY) + len(FAILURE) + 2


def test_init_fails_well(cluster):
    failed(run("init"), 2, "--log-url: must be given")
    for url in (f"postgres://gwh:{PASSWORD}@127.0.0.1:x/db", f"gwh:{PASSWORD}", "http://a.example/"):
        text = failed(run("init", "--log-url", url), 2, "--log-url: must be postgres://")
        assert PASSWORD not in text and url not in text
    wrong = cluster.url.replace(PASSWORD, CANARY)
    text = failed(run("init", "--log-url", wrong), 1, "tables were not made", "password")
    assert PLAIN not in text
    nobody = cluster.url.replace(str(cluster.port), "1")
    assert PASSWORD not in failed(run("init", "--log-url", nobody), 1, "tables were not made")


@pytest.mark.parametrize("url", ["firehose:/hidden", "mysql://a:hidden@b/c", "postgres://a:hid/den@b/c"])
def test_url_is_refused(servers, url):
    server = servers(env={"GWH_LOG_URL": url}).launch()
    assert server.wait() == 2
    assert "GWH_LOG_URL: must be postgres://" in server.log
    assert "hid" not in server.log


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────


def absent(row, *names):
    assert {name: row[name] for name in names} == dict.fromkeys(names)


def test_rows_of_a_delivery(servers, postgres, receiver, app):
    server = logging(servers, postgres).start()
    api = server.api
    receiver.script("/hook?token=hidden", 503)
    subscribe(api, app, receiver.url("/hook?token=hidden"), product="Link KYC", deleteAppId=True,
              retry={"schedule": [0]})  # fmt: skip
    body = event(app, eventId="e-1", transactionId="t-1", workflowId="w-1")
    sent = api.send(body)
    message, delivery = sent["id"], sent["deliveries"][0]["id"]
    done = settled(api, delivery, "delivered")
    rows = rows_of(postgres, app, 5)
    assert list(rows) == [f"{delivery}-{n}-{when}" for n in (1, 2) for when in ("post", "pre")] + [
        f"{message}-received"
    ]
    for row in rows.values():
        assert list(row) == DELIVERY
        assert {name: row[name] for name in DELIVERY[2:9]} == {
            "message_id": message, "event_id": "e-1", "app_id": app, "event_type": TYPE,
            "product": "Link KYC", "transaction_id": "t-1", "workflow_id": "w-1",
        }  # fmt: skip
        assert at(row["received_at"]) == asked(done["createdAt"])
        assert row["config_version"] == 1 and row["skip_reason"] is None

    received = rows[f"{message}-received"]
    assert received["phase"] == "received"
    assert received["payload_bytes"] == len(json.dumps(body).encode())
    absent(received, *DELIVERY[9:15], *DELIVERY[16:24])

    for n, (outcome, status) in enumerate([("http_error", 503), ("success", 200)], start=1):
        pre, post = rows[f"{delivery}-{n}-pre"], rows[f"{delivery}-{n}-post"]
        told = done["attemptLog"][n - 1]
        assert (pre["phase"], post["phase"]) == ("pre_delivery", "post_delivery")
        for row in (pre, post):
            assert row["delivery_id"] == delivery and row["attempt"] == n
            assert row["url"] == receiver.url("/hook")
            assert at(row["sent_at"]) == asked(told["at"])
            assert row["queue_ms"] is not None
        absent(pre, "status_code", "outcome", *DELIVERY[17:18], *DELIVERY[19:24])
        assert (post["outcome"], post["status_code"]) == (outcome, status)
        took = (at(post["finished_at"]) - at(post["sent_at"])).total_seconds() * 1000
        assert took == post["total_ms"] and abs(post["total_ms"] - told["durationMs"]) <= 1
        parts = [post[name] for name in ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")]
        assert all(part >= 0 for part in parts) and sum(parts) <= post["total_ms"] + 4
        request = receiver.requests()[n - 1]
        assert post["payload_bytes"] == len(request.body) < pre["payload_bytes"]

    (failure,) = rows_of(postgres, app, 1, "webhook_failure").values()
    next_at = failure.pop("next_attempt_at")
    rounding = timedelta(milliseconds=1)
    assert at(next_at) + rounding >= at(failure.pop("failed_at")) >= asked(done["attemptLog"][0]["at"])
    assert failure == {
        "row_id": f"{delivery}-1-failure", "message_id": message, "delivery_id": delivery,
        "app_id": app, "event_type": TYPE, "url": receiver.url("/hook"), "attempt": 1,
        "failure_class": "http_error", "error": "answered 503", "is_final": False,
    }  # fmt: skip
    assert metrics(server)["rows_dropped_total"] == 0


def test_rows_of_what_goes_nowhere(servers, postgres, receiver, app):
    api = logging(servers, postgres).start().api
    subscribe(api, app, receiver.url(), type="PICKY", filter={"a": [1]}, product="P")
    no_config = api.send(event(app))["id"]
    filtered = api.send(event(app, type="PICKY", eventId="e-2"))["id"]
    api.send(event(app, type="PICKY", eventId="e-2"))  # after a skip it may come again
    rows = rows_of(postgres, app, 6)
    for message, reason, product in ((no_config, "no_config", None), (filtered, "filtered", "P")):
        received, skipped = rows[f"{message}-received"], rows[f"{message}-skipped"]
        assert (received["phase"], received["skip_reason"]) == ("received", None)
        assert (skipped["phase"], skipped["skip_reason"]) == ("skipped", reason)
        assert received["product"] == skipped["product"] == product


def test_row_of_a_death(servers, postgres, receiver, app):
    api = logging(servers, postgres).start().api
    receiver.always("/gone", 410)
    receiver.always("/reset", Reply(reset=True))
    subscribe(api, app, receiver.url("/gone"), type="GONE")
    subscribe(api, app, receiver.url("/reset"), type="RESET", retry={"schedule": []})
    for kind in ("GONE", "RESET"):
        settled(api, api.send(event(app, type=kind))["deliveries"][0]["id"], "dead")
    rows = rows_of(postgres, app, 2, "webhook_failure").values()
    assert {(row["event_type"], row["failure_class"], row["is_final"]) for row in rows} == {
        ("GONE", "http_error", True), ("RESET", "reset", True),
    }  # fmt: skip
    assert all(row["next_attempt_at"] is None for row in rows)


def test_a_duplicate_leaves_no_row(servers, postgres, receiver, app):
    server = logging(servers, postgres).start()
    subscribe(server.api, app, receiver.url())
    first, *others = [server.api.send(event(app, eventId="e-1")) for _ in range(3)]
    assert all(other["duplicate"] for other in others)
    settled(server.api, first["deliveries"][0]["id"], "delivered")
    server.stop()
    rows_of(postgres, app, 3)


# ── When the database is away ────────────────────────────────────────────────────────────────────


def send_some(server, app, name, count=20):
    api = server.api
    ids = [api.send(event(app, eventId=f"{name}-{n}"))["deliveries"][0]["id"] for n in range(count)]
    for id in ids:
        settled(api, id, "delivered")


def test_outage(servers, postgres, receiver, app):
    server = logging(servers, postgres).start()
    subscribe(server.api, app, receiver.url())
    send_some(server, app, "before")
    rows_of(postgres, app, 60)
    postgres.stop()
    send_some(server, app, "during")
    eventually(lambda: metrics(server)["rows_spooled_total"] == 60, what="all rows are on disk")
    away = metrics(server)
    assert away["spool_bytes"] > 0 and away["rows_dropped_total"] == 0
    assert away["lag_seconds"] > 0 and away["rows_written_total"] == 60
    postgres.start()
    rows_of(postgres, app, 120)
    send_some(server, app, "after")
    rows_of(postgres, app, 180)
    eventually(lambda: metrics(server)["spool_bytes"] == 0, what="the spool is empty")
    there = metrics(server)
    assert there["rows_written_total"] == 180 and there["rows_dropped_total"] == 0
    eventually(lambda: metrics(server)["lag_seconds"] == 0, what="nothing waits")
    assert len(server.logged("delivery_log_down")) == len(server.logged("delivery_log_up")) == 1
    assert not list((server.data / "log-spool").iterdir())


def test_spool_outlives_the_server(servers, postgres, receiver, app):
    server = logging(servers, postgres).start()
    subscribe(server.api, app, receiver.url())
    postgres.stop()
    send_some(server, app, "down")
    server.stop()  # what is in memory goes to disk
    assert list((server.data / "log-spool").iterdir())
    server.start()
    send_some(server, app, "again")
    eventually(lambda: metrics(server)["rows_spooled_total"] == 60, what="all rows are on disk")
    server.kill()
    postgres.start()
    server.start()
    rows_of(postgres, app, 120)


def test_without_room_rows_are_dropped_and_counted(servers, postgres, receiver, app):
    server = logging(servers, postgres, "--log-spool-bytes", 0).start()
    subscribe(server.api, app, receiver.url())
    postgres.stop()
    send_some(server, app, "lost")
    eventually(lambda: metrics(server)["rows_dropped_total"] == 60, what="all rows are dropped")
    postgres.start()
    rounds = itertools.count()

    def written():  # what comes before the next try to connect is dropped, too
        send_some(server, app, f"kept-{next(rounds)}")
        return metrics(server)["rows_written_total"] > 0

    eventually(written, 40, "rows are written again")


def test_a_database_that_hangs_holds_nobody(servers, postgres, receiver, app):
    server = logging(servers, postgres).start()
    subscribe(server.api, app, receiver.url())
    send_some(server, app, "before")
    rows_of(postgres, app, 60)
    postgres.signal(signal.SIGSTOP)
    try:
        send_some(server, app, "during")
        server.stop()
    finally:
        postgres.signal(signal.SIGCONT)
    server.start()
    count = "SELECT COUNT(DISTINCT row_id) AS n FROM webhook_delivery WHERE event_id LIKE 'during-%'"
    eventually(lambda: postgres.rows(count) == [{"n": 60}], 40, "no row is lost")


def test_tables_that_are_made_later(servers, postgres, receiver, app):
    postgres.run("DROP TABLE webhook_delivery")
    server = logging(servers, postgres).start()
    subscribe(server.api, app, receiver.url())
    send_some(server, app, "early")
    eventually(lambda: server.logged("delivery_log_down"), what="the log says so")
    assert "webhook_delivery" in server.logged("delivery_log_down")[0]["why"]
    said(init(postgres))
    rows_of(postgres, app, 60)


# ── What must not be seen ────────────────────────────────────────────────────────────────────────


def test_nothing_shows(servers, postgres, receiver, app):
    server = logging(servers, postgres, "--log-level", "debug").start()
    api, secrets = server.api, Secrets()
    for name in ("payload", "header", "query", "answer"):
        secrets.add(name, f"{CANARY}-{name}-of-the-log")
    secrets.add("password", PLAIN)
    path = f"/hook?token={CANARY}-query-of-the-log"
    dead = Reply(500, headers={"x-why": CANARY}, body=f"{CANARY}-answer-of-the-log".encode())
    receiver.always("/dead" + path, dead)
    common = {"headers": {"authorization": f"{CANARY}-header-of-the-log"}}
    first = subscribe(api, app, receiver.url(path), **common)
    second = subscribe(api, app, receiver.url("/dead" + path), type="DEAD", retry={"schedule": []},
                       **common)  # fmt: skip
    for config in (first, second):
        secrets.add("secret", config["secret"])

    def send(name):
        for kind, status in ((TYPE, "delivered"), ("DEAD", "dead")):
            body = event(app, type=kind, eventId=name + kind, x=f"{CANARY}-payload-of-the-log")
            settled(api, api.send(body)["deliveries"][0]["id"], status)

    send("there")
    rows_of(postgres, app, 6)
    rows_of(postgres, app, 1, "webhook_failure")
    postgres.stop()
    send("away")
    eventually(lambda: metrics(server)["rows_spooled_total"] == 7, what="all rows are on disk")
    assert secrets.clean_files(server.data / "log-spool") > 0
    postgres.start()
    rows_of(postgres, app, 12)
    for table in ("webhook_delivery", "webhook_failure"):
        text = json.dumps(postgres.rows(f"SELECT * FROM {table}"))
        secrets.clean(text, table)
        assert CANARY not in text
    assert PLAIN not in server.log and PASSWORD not in server.log
    secrets.clean(json.dumps(metrics(server)), "metrics")


# ── SQL ──────────────────────────────────────────────────────────────────────────────────────────

# What PostgreSQL alone allows; sqlglot's own grammar of Redshift lets most of it pass.
NOT_REDSHIFT = [
    "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING",
    "INSERT INTO t (a) VALUES ($1) RETURNING a",
    "CREATE TABLE t (a JSONB)",
    "CREATE TABLE t (a SERIAL)",
    "CREATE TABLE t (a UUID)",
    "CREATE TABLE t (a INT[])",
    "SELECT ARRAY[1, 2]",
    "SELECT COUNT(*) FILTER (WHERE a) FROM t",
    "CREATE INDEX i ON t (a)",
    "SELECT DISTINCT ON (a) a FROM t",
    "SELECT * FROM generate_series(1, 2)",
    "SELECT a->>'b' FROM t",
    "SELECT FROM WHERE",
]


@pytest.mark.parametrize("sql", NOT_REDSHIFT)
def test_the_gate_refuses(sql):
    assert refusals(sql)


@pytest.mark.parametrize("file", ["deploy/sql/redshift.sql", "docs/queries.sql"])
def test_redshift_takes_the_file(file):
    assert refusals((ROOT / file).read_text()) == []


def test_redshift_takes_each_statement(servers, postgres, receiver, app):
    before = len(postgres.statements())
    server = logging(servers, postgres).start()
    receiver.script("/", 500)
    subscribe(server.api, app, receiver.url("/"), retry={"schedule": [0]})
    send_some(server, app, "e")
    rows_of(postgres, app, 62)
    sent = postgres.statements()[before:]
    kinds = {" ".join(statement.split()[:3]) for statement in sent}
    assert kinds == {
        "SET statement_timeout TO", "INSERT INTO webhook_delivery", "INSERT INTO webhook_failure",
    }  # fmt: skip
    for statement in sent:
        assert refusals(statement) == [], statement


# ── Reports ──────────────────────────────────────────────────────────────────────────────────────


def queries():
    text = (ROOT / "docs/queries.sql").read_text()
    parts = re.split(r"^-- name: (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (part.strip().rstrip(";") for part in parts[1::2]), strict=True))


def test_reports(servers, postgres, receiver, app):
    api = logging(servers, postgres).start().api
    receiver.script("/", 500)
    receiver.always("/dying", 503)
    subscribe(api, app, receiver.url("/"), retry={"schedule": [0]})
    subscribe(api, app, receiver.url("/dying"), type="DYING", retry={"schedule": [0] * 5 + [3600]})
    good = api.send(event(app))["deliveries"][0]["id"]
    settled(api, good, "delivered")
    dying = api.send(event(app, type="DYING"))["deliveries"][0]["id"]
    attempted(api, dying, 6)
    rows_of(postgres, app, 2 + 2 * 8)
    rows_of(postgres, app, 7, "webhook_failure")

    def answers():
        return {
            name: postgres.rows(f"SELECT * FROM ({re.sub(r'^--.*$', '', sql, flags=re.M)}) AS q"
                                + ("" if "by class" in name else f" WHERE app_id = '{app}'"))
            for name, sql in queries().items()
        }  # fmt: skip

    once = answers()
    rate = once["success rate by client and hour, of the last week"]
    assert sum(row["attempts"] for row in rate) == 8
    assert sum(row["succeeded"] for row in rate) == 1
    (times,) = once["how long attempts take, by client, of the last week"]
    assert times["attempts"] == 8 and 0 <= times["p50_ms"] <= times["p95_ms"]
    assert once["failures by class, of the last week"] == [
        {"failure_class": "http_error", "failures": 7, "deliveries": 2, "died": 0}
    ]
    slowest = once["the slowest targets, of the last week"]
    assert {(row["url"], row["attempts"]) for row in slowest} == {
        (receiver.url("/"), 2), (receiver.url("/dying"), 6),
    }  # fmt: skip
    (about,) = once["what is about to die"]
    assert about["delivery_id"] == dying and about["attempt"] == 6
    assert about["failure_class"] == "http_error" and about["next_attempt_at"]

    for table in ("webhook_delivery", "webhook_failure"):
        postgres.run(f"INSERT INTO {table} SELECT * FROM {table}")
    assert answers() == once
