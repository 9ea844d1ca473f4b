"""Configurations under many hands, and every wrong one with the exact answer it gets."""

import threading

import pytest

from harness.events import TYPE, event, subscribe
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(90))

URL = "https://93.184.216.34/hook"  # a public address; nothing is sent to it here


def together(*jobs):
    """Runs all of them at once, each on a connection of its own; what they returned."""
    results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def run(at, job):
        barrier.wait(30)
        results[at] = job()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return results


def insist(call):
    """What it answers, once the service is not too busy with the others."""
    while True:
        answer = call()
        if answer.status != 503:
            return answer
        assert answer.headers["retry-after"]


# ── Many hands ───────────────────────────────────────────────────────────────────────────────────


def test_writers_of_different_fields_lose_nothing(shared, app):
    subscribe(shared, app, URL)
    values = {
        "webhookUrl": lambda n: f"{URL}/{n}",
        "product": lambda n: f"product-{n}",
        "maxInFlight": lambda n: n + 1,
        "retry": lambda n: {"schedule": [n], "timeoutMs": 2000 + n},
        "headers": lambda n: {"x-a": f"{n}"},
        "workflows": lambda n: {"w": [f"{URL}/w/{n}"]},
    }
    changes = 8

    def writer(field):
        def write():
            with shared.connect() as connection:
                for n in range(changes):
                    body = {"appId": app, "eventType": TYPE, field: values[field](n)}
                    insist(lambda body=body: connection.call("PATCH", "/v1/config", body)).expect(200)

        return write

    together(*map(writer, values))
    result = shared.config(app, TYPE).expect(200).result
    assert {f: result[f] for f in values} == {f: v(changes - 1) for f, v in values.items()}
    assert result["version"] == 1 + changes * len(values)


def test_readers_that_write_back_lose_nothing(shared, app):
    """With If-Match what was read is what is changed; whoever lost reads again."""
    subscribe(shared, app, URL, product="0")
    lost = []

    def count():
        with shared.connect() as connection:
            pair = {"appId": app, "eventType": TYPE}
            for _ in range(8):
                while True:
                    read = connection.call("GET", "/v1/config", query=pair).expect(200)
                    assert read.headers["etag"] == '"%d"' % read.result["version"]
                    body = {**pair, "product": str(int(read.result["product"]) + 1)}
                    headers = {"if-match": read.headers["etag"]}
                    answer = connection.call("PATCH", "/v1/config", body, headers)
                    if answer.status == 200:
                        break
                    answer.expect(412)
                    lost.append(answer)

    together(*[count] * 4)
    result = shared.config(app, TYPE).expect(200).result
    assert (result["product"], result["version"]) == ("32", 33)


def test_a_change_never_brings_back_what_is_deleted(shared, app):
    for n in range(25):
        subscribe(shared, app, URL)
        changes = [lambda: shared.patch(app, TYPE, product="p")] * 3
        removed, *changed = together(lambda: shared.delete(app, TYPE), *changes)
        removed.expect(200)
        assert {a.status for a in changed} <= {200, 404}, changed
        shared.config(app, TYPE).expect(404)
        assert shared.send(event(app, n=n))["skipped"] == {"reason": "no_config"}


def test_creating_changing_and_deleting_at_once(shared, app):
    """Whatever the order: each answer is true, and in the end as many were made as were deleted,
    but for the one that is there or not."""
    body = dict(appId=app, eventType=TYPE, webhookUrl=URL)
    allowed = {"POST": {201, 409}, "PATCH": {200, 404}, "DELETE": {200, 404}}
    done = []

    def storm(method, call):
        def run():
            while sum(d[0] == "POST" and d[1] < 300 for d in done) < 25:
                status = insist(call).status
                assert status in allowed[method]
                done.append((method, status))

        return run

    together(
        *[storm("POST", lambda: shared.call("POST", "/v1/config", body))] * 2,
        *[storm("PATCH", lambda: shared.patch(app, TYPE, product="p"))] * 2,
        *[storm("DELETE", lambda: shared.delete(app, TYPE))] * 2,
    )
    counts = {m: sum(d[0] == m and d[1] < 300 for d in done) for m in allowed}
    assert min(counts.values()) > 0, counts  # else nothing met
    there = shared.config(app, TYPE).status == 200
    assert counts["POST"] - counts["DELETE"] == there
