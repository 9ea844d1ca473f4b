"""What `gwh why` says, word for word, in the situations that support meets.

The words are in golden/NAME.txt, with ids, times, durations and ports made the same. After a change
of the words: pytest test/e2e/test_why.py --write-golden, then read what git shows as changed."""

import re

import pytest

from harness.dns import NameServer
from harness.events import attempted, event, settled, subscribe
from harness.golden import compare
from harness.receiver import Reply
from harness.server import CANARY
from harness.tls import Authority

DURATION = r"\d+(?:\.\d)? (?:µs|ms|s)|\d+ min \d+ s|\d+ h \d+ min|\d+ d \d+ h"

SAME = [
    (r"\b(msg|dlv)_[a-z2-7]{26}\b", r"\1_ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
    (r"(?m)^  \d{4}-\d\d-\d\d UTC$", "  DAY"),
    (r"(?m)^    \d\d:\d\d:\d\d\.\d{3} .{10}  ", "    TIME  "),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"nobody\.test:\d+", "nobody.test:PORT"),
    (r"timed out after \d+ ms", "timed out after DURATION"),
    (rf" \((?:waited|name looked|connected|TLS|first byte)[^)]*\)", ""),  # of some it took no time
    (rf"\b(in|after|within) (?:{DURATION})", r"\1 DURATION"),
    (rf"(?:{DURATION}) after it was accepted", "DURATION after it was accepted"),
]  # fmt: skip


@pytest.fixture(scope="module")
def names():
    names = NameServer()
    yield names
    names.close()


@pytest.fixture(scope="module")
def telling(servers_of_module, names):
    return servers_of_module("--name-servers", names.address).start()


@pytest.fixture
def golden(telling, request):
    """Compares what is said of an id with the file of that name."""

    def check(name, some_id, code=0):
        result = telling.cli("why", some_id)
        assert result.returncode == code, (result.stdout, result.stderr)
        text = result.stdout.decode()
        assert CANARY not in text and "token" not in text
        for pattern, same in SAME:
            text = re.sub(pattern, same, text)
        compare(request, name, text)

    return check


def sent(api, app, type="DONE", **more):
    return api.send(event(app, type=type, eventId=f"{app}-e", transactionId=f"{app}-t", **more))


def first(result):
    return result["deliveries"][0]["id"]


# ── Delivered, or on its way ─────────────────────────────────────────────────────────────────────


def test_delivered(telling, receiver, golden):
    subscribe(telling.api, "delivered", receiver.url("/in?token=x"), type="DONE")
    result = sent(telling.api, "delivered")
    settled(telling.api, first(result), "delivered")
    assert sent(telling.api, "delivered")["duplicate"]
    golden("delivered", result["id"])


def test_delivered_at_last(telling, receiver, golden):
    receiver.script("/", 503, 200)
    subscribe(telling.api, "at-last", receiver.url(), type="*", retry={"schedule": [0]})
    settled(telling.api, first(sent(telling.api, "at-last")), "delivered")
    golden("delivered_at_last", "at-last-t")


def test_one_target_of_two(telling, receiver, golden):
    receiver.always("/bad", 410)
    subscribe(
        telling.api, "workflow", receiver.url("/default"), type="DONE",
        workflows={"w-1": [receiver.url("/good"), receiver.url("/bad")]},
    )  # fmt: skip
    good, bad = [d["id"] for d in sent(telling.api, "workflow", workflowId="w-1")["deliveries"]]
    settled(telling.api, good, "delivered")
    settled(telling.api, bad, "dead")
    golden("one_target_of_two", bad)
    (told,) = telling.api.why("workflow-e")["events"]
    assert [step["what"] for step in told["steps"]][:3] == ["accepted", "routed", "routed"]
    for what, path in [("delivered", "/good"), ("dead", "/bad")]:
        (end,) = [step["detail"] for step in told["steps"] if step["what"] == what]
        assert end.startswith(receiver.url(path) + ": ")


def test_waiting(telling, receiver, golden):
    receiver.always("/", 500)
    subscribe(telling.api, "waiting", receiver.url(), type="DONE", retry={"schedule": [600, 600]})
    attempted(telling.api, first(sent(telling.api, "waiting")), 1)
    golden("waiting", "waiting-e")


def test_held(telling, receiver, golden):
    receiver.always("/", 500)
    subscribe(telling.api, "held", receiver.url(), type="DONE", retry={"schedule": [600]})
    attempted(telling.api, first(sent(telling.api, "held")), 1)
    telling.api.patch("held", "DONE", isActive=False).expect(200)
    golden("held", "held-e")


def test_cancelled(telling, receiver, golden):
    receiver.always("/", 500)
    subscribe(telling.api, "cancelled", receiver.url(), type="DONE", retry={"schedule": [600]})
    delivery = first(sent(telling.api, "cancelled"))
    attempted(telling.api, delivery, 1)
    telling.api.delete("cancelled", "DONE").expect(200)
    settled(telling.api, delivery, "cancelled")
    golden("cancelled", delivery)


def test_cancelled_url(telling, receiver, golden):
    receiver.always("/w", 500)
    subscribe(
        telling.api, "no-url", receiver.url(), type="DONE", retry={"schedule": [600]},
        workflows={"w-1": [receiver.url("/w")]},
    )  # fmt: skip
    delivery = first(sent(telling.api, "no-url", workflowId="w-1"))
    attempted(telling.api, delivery, 1)
    telling.api.patch("no-url", "DONE", workflows=None).expect(200)
    settled(telling.api, delivery, "cancelled")
    golden("cancelled_url_removed", delivery)


# ── Dead ─────────────────────────────────────────────────────────────────────────────────────────

STATUSES = [301, 401, 404, 405, 413, 415, 429]
REPLIES = {
    **{str(status): status for status in STATUSES},
    "timeout": Reply(hang=True),
    "reset": Reply(reset=True),
    "protocol": Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
}


def dies(telling, golden, app, url):
    retry = {"schedule": [], "timeoutMs": 1000}
    subscribe(telling.api, app, url, type="DONE", retry=retry)
    settled(telling.api, first(sent(telling.api, app)), "dead")
    golden(app.replace("-", "_"), f"{app}-e")


@pytest.mark.parametrize("name", REPLIES)
def test_dead(telling, receiver, golden, name):
    receiver.always("/", REPLIES[name])
    dies(telling, golden, f"dead-{name}", receiver.url())


def test_dead_name(telling, golden):
    dies(telling, golden, "dead-name", "http://nobody.test:9000/")


def test_dead_port(telling, receiver, golden):
    receiver.down()
    dies(telling, golden, "dead-port", receiver.url())


def test_dead_issuer(telling, receivers, tmp_path, golden):
    receiver = receivers(tls=Authority(tmp_path).server())
    dies(telling, golden, "dead-issuer", receiver.url())


def test_dead_certificate_has_expired(servers, receivers, tmp_path):
    """Only whose authority is known can be seen to have expired."""
    authority = Authority(tmp_path)
    server = servers("--ca-file", authority.file).start()
    for days, host, words in [(-1, "127.0.0.1", "has expired"), (9, "127.0.0.2", "another")]:
        receiver = receivers(tls=authority.server(host, days))
        app = f"tls{days}"
        subscribe(server.api, app, receiver.url(), type="DONE", retry={"schedule": []})
        settled(server.api, first(sent(server.api, app)), "dead")
        assert words in server.api.why(f"{app}-e")["events"][0]["next"]


# ── Never on its way ─────────────────────────────────────────────────────────────────────────────


def test_skipped_without_any_config(telling, golden):
    sent(telling.api, "nobody")
    golden("skipped_no_config_at_all", "nobody-e")


def test_skipped_other_type(telling, receiver, golden):
    for type in ("A", "B", "C", "D", "E"):
        subscribe(telling.api, "other-type", receiver.url(), type=type)
    sent(telling.api, "other-type")
    golden("skipped_other_type", "other-type-e")


def test_skipped_case(telling, receiver, golden):
    subscribe(telling.api, "case", receiver.url(), type="DONE")
    sent(telling.api, "case", type="Done")
    golden("skipped_case", "case-e")


def test_skipped_inactive(telling, receiver, golden):
    subscribe(telling.api, "inactive", receiver.url(), type="DONE", isActive=False)
    sent(telling.api, "inactive")
    golden("skipped_inactive", "inactive-e")


def test_skipped_filtered(telling, receiver, golden):
    subscribe(telling.api, "filtered", receiver.url(), type="DONE", filter={"status": ["approved"]})
    sent(telling.api, "filtered", status="rejected")
    golden("skipped_filtered", "filtered-e")


def test_skipped_filtered_in_parts(telling, receiver, golden):
    """Each part that did not match, with what the event had there; of values only the kind."""
    filter = {"status": ["approved"], "order": {"total": [{"numeric": [">", 100]}]},
              "reviewer": {"country": ["DE"]}, "test": [{"exists": False}]}  # fmt: skip
    subscribe(telling.api, "parts", receiver.url(), type="DONE", filter=filter)
    sent(telling.api, "parts", status=CANARY, order={"total": "12"}, reviewer=[{"country": "DE"}])
    golden("skipped_filtered_in_parts", "parts-e")


def test_skipped_filtered_then_changed(telling, receiver, golden):
    """The filter of now is asked, and told apart from that of then."""
    subscribe(telling.api, "refiltered", receiver.url(), type="DONE", filter={"n": [1]})
    sent(telling.api, "refiltered", n=2)
    telling.api.patch("refiltered", "DONE", filter={"n": [3]}).expect(200)
    golden("skipped_filtered_still", "refiltered-e")
    telling.api.patch("refiltered", "DONE", filter={"n": [2]}).expect(200)
    golden("skipped_filtered_once", "refiltered-e")
    telling.api.patch("refiltered", "DONE", filter=None).expect(200)
    golden("skipped_filtered_no_more", "refiltered-e")


def test_who_may_see_no_payload_is_told_kinds(telling, receiver):
    """What differs in values only is told alike, to everybody."""
    subscribe(telling.api, "kinds", receiver.url(), type="DONE", filter={"secret": ["x"]})
    told = []
    for value in (CANARY, "another"):
        id = telling.api.send(event("kinds", type="DONE", secret=value))["id"]
        told.append(telling.api.why(id)["summary"])
    assert told[0] == told[1] and "secret" in told[0] and "a string" in told[0]


def test_refused(telling, golden):
    telling.api.post_event(event("refused", eventId="refused-e", transactionId=7)).expect(400)
    golden("refused", "refused-e")


def test_unknown(telling, golden):
    golden("unknown", "never-seen", code=1)
    golden("unknown_url", "https://client.example/hook", code=1)
    golden("unknown_message", "msg_" + "a" * 26, code=1)
