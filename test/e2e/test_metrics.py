"""/metrics: well formed as `promtool check metrics` and the Python client's parser see it, every
number counted from what was done, and nothing in it that names an app, a client or a URL."""

import os
import re
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.access import Signer, caller, make_key
from harness.events import attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.server import CANARY, ROOT
from harness.waiting import eventually

# What promtool's linter wants of names, as far as it concerns us.
OTHER_UNITS = re.compile(r"_(milli|micro|nano)?(second|byte)s?_|_(ms|us|msec|sec|secs|kb|kib|mb)(_|$)")
HZ = os.sysconf("SC_CLK_TCK")

KINDS = re.compile(r"(^|_)(counter|gauge|histogram|summary)(_|$)")


def read(api):
    """The samples as {(name, labels): value}, and the families by name; each checked."""
    answer = api.get("/metrics").expect(200)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(set(names)) == len(names) and text.endswith("\n")
    assert re.findall(r"^# HELP (\S+) ", text, re.MULTILINE) == names
    blocks = text.split("# HELP ")[1:]  # a family's samples stand behind it and nowhere else
    samples = {}
    for name, block in zip(names, blocks, strict=True):
        (family,) = text_string_to_metric_families("# HELP " + block)
        check_family(name, family)
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"{key} twice"
            samples[key] = sample.value
    return samples


def check_family(name, family):
    assert re.fullmatch(r"(gwh|process)(_[a-z0-9]+)+", name), name
    assert family.documentation and family.documentation[-1] == ".", name
    assert name.endswith("_total") == (family.type == "counter"), name
    assert not KINDS.search(name) and not OTHER_UNITS.search(name.removesuffix("_total")), name
    if family.type == "histogram":
        check_histogram(name, family)
        return
    for sample in family.samples:
        assert sample.name == name and sample.value >= 0, sample
        assert len(sample.labels) <= 1 and not {"le", "quantile"} & sample.labels.keys()


def check_histogram(name, family):
    *buckets, total, count = family.samples
    assert total.name == name + "_sum" and count.name == name + "_count"
    assert all(bucket.name == name + "_bucket" for bucket in buckets)
    bounds = [float(bucket.labels["le"]) for bucket in buckets]
    assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf")
    values = [bucket.value for bucket in buckets]
    assert values == sorted(values) and values[-1] == count.value
    assert (total.value > 0) <= (count.value > 0)


def grown(api, before):
    """What counters and histograms' counts have become more since."""
    return {
        name + "".join(f" {value}" for _, value in labels): value - before.get((name, labels), 0)
        for (name, labels), value in read(api).items()
        if name.startswith("gwh_") and name.endswith(("_total", "_count"))
        and not name.startswith(("gwh_ledger_", "gwh_log_", "gwh_http_"))
        and value != before.get((name, labels), 0)
    }  # fmt: skip


def test_what_is_done_is_counted(server, receiver, app):
    api = server.api
    receiver.script("/" + CANARY, 500)
    subscribe(api, app, receiver.url("/" + CANARY), retry={"schedule": [0]})
    subscribe(api, app, receiver.url(), type="OFF", isActive=False)
    subscribe(api, app, receiver.url(), type="PICKY", filter={"a": [1]})
    receiver.always("/dead", 500)
    subscribe(api, app, receiver.url("/dead"), type="DEAD", retry={"schedule": []})
    before = read(api)
    assert before["gwh_configs", ()] == 4
    for n in range(3):
        sent = api.send(event(app, eventId=f"e-{n}"))
        settled(api, sent["deliveries"][0]["id"], "delivered")
    settled(api, api.send(event(app, type="DEAD"))["deliveries"][0]["id"], "dead")
    api.send(event(app, eventId="e-0"))
    for type in ("OTHER", "OFF", "PICKY"):
        api.send(event(app, type=type))
    assert grown(api, before) == {
        "gwh_events_received_total": 7,
        "gwh_events_routed_total": 4,
        "gwh_events_skipped_total no_config": 1,
        "gwh_events_skipped_total inactive": 1,
        "gwh_events_skipped_total filtered": 1,
        "gwh_events_duplicate_total": 1,
        "gwh_event_accept_duration_seconds_count": 8,
        "gwh_deliveries_delivered_total": 3,
        "gwh_delivery_duration_seconds_count": 3,
        "gwh_deliveries_dead_total": 1,
        "gwh_attempts_total success": 3,
        "gwh_attempts_total http_error": 2,
        "gwh_attempt_duration_seconds_count": 5,
    }
    text = api.get("/metrics").body.decode()
    for secret in (CANARY, app, str(receiver.port), "127.0.0.1"):
        assert secret not in text


def test_refusals_are_counted(servers, receiver, app):
    server = servers("--max-body-bytes", 1024, "--intake-rate", 1).start()
    api = server.api
    _, producer = make_key(api, "producer", scope=app)
    before = read(api)
    api.post_event(b"{}").expect(400)
    api.post_event(b"{").expect(400)
    api.post_event(event(app, pad="x" * 2000)).expect(413)
    producer.post_event(event("another")).expect(403)
    api.call("POST", "/v1/events/batch", b"\n" + b"x" * 2000).expect(200)
    eventually(lambda: producer.post_event(event(app)).status == 429)
    counted = grown(api, before)
    assert counted.pop("gwh_events_refused_total limited") >= 1
    assert {name: by for name, by in counted.items() if "refused" in name} == {
        "gwh_events_refused_total invalid": 3,
        "gwh_events_refused_total too_large": 2,
        "gwh_events_refused_total other_app": 1,
    }


def test_who_is_refused_is_counted(servers, app):
    signer = Signer()
    server = servers(env={"PUBLIC_CERT": signer.pem}).start()
    api = server.api
    _, viewer = make_key(api, "viewer", scope=app)
    before = read(api)
    path = "/v1/deliveries"
    caller(api).get(path).expect(401)
    caller(api, appid="boss", appkey=CANARY).get(path).expect(401)
    caller(api, authorization="Bearer x").get(path).expect(401)
    signer.caller(api, appId=app, exp=1).get(path).expect(401)
    viewer.post_event(event(app)).expect(403)
    assert grown(api, before) == {
        "gwh_auth_failures_total credentials": 3,
        "gwh_auth_failures_total expired": 1,
        "gwh_auth_failures_total role": 1,
    }
    after = read(api)
    code = ("gwh_http_responses_total", (("code", "4xx"),))
    assert after[code] - before[code] == 5
    foreign = servers("--allowed-ips", "127.0.0.1", "--trusted-proxies", "127.0.0.1").start()
    before = read(foreign.api)
    headers = {**foreign.api.headers, "x-forwarded-for": "203.0.113.9"}
    caller(foreign.api, **headers).get(path).expect(403)
    assert grown(foreign.api, before) == {"gwh_auth_failures_total address": 1}


def test_keys_that_cannot_be_checked_are_counted(servers, app):
    server = servers("--auth-url", "http://127.0.0.1:9/").start()
    before = read(server.api)
    caller(server.api, appid=app, appkey=CANARY).get("/v1/deliveries").expect(503)
    assert grown(server.api, before) == {"gwh_auth_failures_total unchecked": 1}


def test_what_waits_shows(servers, receiver, app):
    """How many are open and under way, how long the oldest is due, how the targets do."""
    api = servers("--in-flight", 1, shards=1).start().api
    hold = threading.Event()
    receiver.always("/slow", Reply(200, hold=hold))
    receiver.always("/bad", 500)
    subscribe(api, app, receiver.url("/bad"), type="BAD", retry={"schedule": [3600]})
    subscribe(api, app, receiver.url("/slow"))
    sent = api.send(event(app, type="BAD"))
    attempted(api, sent["deliveries"][0]["id"], 1)
    for _ in range(3):
        api.send(event(app))

    def shows(**wanted):
        now = read(api)
        state = {key[1][0][1]: value for key, value in now.items() if key[0] == "gwh_targets"}
        got = {
            "open": now["gwh_ledger_open_deliveries", ()],
            "in_flight": now["gwh_attempts_in_flight", ()],
            "is_due": now["gwh_oldest_due_age_seconds", ()] > 0,
            "failing": state["failing"],
        }
        assert got == wanted
        return True

    eventually(lambda: shows(open=4, in_flight=1, is_due=True, failing=1))
    hold.set()
    eventually(lambda: shows(open=1, in_flight=0, is_due=False, failing=1))


def test_the_process(server):
    """As the system tells it from outside."""
    now = read(server.api)
    proc = Path(f"/proc/{server.process.pid}")
    limits = (proc / "limits").read_text()
    soft = re.search(r"Max open files +(\d+)", limits)[1]
    assert now["process_max_fds", ()] == int(soft)
    assert now["process_threads", ()] == len(list((proc / "task").iterdir()))
    assert 0 < now["process_open_fds", ()] <= now["process_max_fds", ()]
    assert 0 < now["process_resident_memory_bytes", ()] < now["process_virtual_memory_bytes", ()]
    ticks = int((proc / "stat").read_text().rpartition(")")[2].split()[19])
    began = re.search(r"btime (\d+)", Path("/proc/stat").read_text())[1]
    assert abs(now["process_start_time_seconds", ()] - (int(began) + ticks / HZ)) <= 1
    assert read(server.api)["process_cpu_seconds_total", ()] >= now["process_cpu_seconds_total", ()]
    assert now["gwh_ledger_accepting", ()] == 1
    assert now["gwh_store_disk_free_bytes", ()] > now["gwh_store_disk_reserve_bytes", ()] > 0
    assert now["gwh_ledger_commit_duration_seconds_count", ()] >= 0

    def lines_are_counted():
        counted = read(server.api)["gwh_log_lines_total", (("level", "info"),)]
        return counted == sum('"level":"info"' in line for line in server.lines)

    eventually(lines_are_counted)


def test_many_may_ask_at_once(shared):
    def scrape():
        for _ in range(30):
            try:
                read(shared)
                shared.get("/healthz").expect(200)
            except Exception as failure:
                failures.append(failure)

    failures = []
    threads = [threading.Thread(target=scrape) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failures


def test_the_page_lists_them_all(server):
    page = (ROOT / "docs" / "metrics.md").read_text()
    listed = re.findall(r"^\| `(\S+)` \| (\S+) \|", page, re.MULTILINE)
    text = server.api.get("/metrics").body.decode()
    assert listed == re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    rules = page.split("## What to watch")[1]
    watched = re.findall(r"(?:gwh|process)_\w+(?:\{\w+)?", rules)
    assert len(watched) > 10
    for name in watched:
        assert re.search(rf"^{re.escape(name)}\b", text, re.MULTILINE), name


@pytest.mark.parametrize(
    "text",
    [
        "# HELP gwh_a_ms A.\n# TYPE gwh_a_ms gauge\ngwh_a_ms 1\n",
        "# HELP gwh_a A.\n# TYPE gwh_a counter\ngwh_a 1\n",
        "# HELP gwh_a_total A.\n# TYPE gwh_a_total gauge\ngwh_a_total 1\n",
        "# TYPE gwh_a gauge\ngwh_a 1\n",
        "# HELP gwh_a A.\n# TYPE gwh_a gauge\ngwh_a 1\ngwh_a 2\n",
        "# HELP gwh_a A.\n# TYPE gwh_a gauge\ngwh_b 1\n",
        "# HELP gwh_a A.\n# TYPE gwh_a histogram\n"
        'gwh_a_bucket{le="1"} 2\ngwh_a_bucket{le="+Inf"} 1\ngwh_a_sum 1\ngwh_a_count 1\n',
        "# HELP gwh_a A.\n# TYPE gwh_a histogram\n"
        'gwh_a_bucket{le="1"} 1\ngwh_a_bucket{le="+Inf"} 1\ngwh_a_sum 1\ngwh_a_count 2\n',
    ],
    ids=["unit", "counter", "gauge", "help", "twice", "name", "falls", "count"],
)
def test_the_check_itself(text):
    class Fake:
        def get(self, path):
            return self

        def expect(self, status):
            return self

        headers = {"content-type": "text/plain; version=0.0.4"}
        body = text.encode()

    with pytest.raises((AssertionError, ValueError)):
        read(Fake())
