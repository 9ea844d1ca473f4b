"""`gwh send --batch`: a file of events, in slices that the API takes at once."""

import json

import pytest

from harness.cli import failed, said
from harness.events import TYPE, event, subscribe
from harness.receiver import Reply
from harness.server import clean_environment, run
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(90))

MIB = 1024 * 1024


def lines_of(*events):
    return "".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in events)


def accepted(id):
    return {"statusCode": 202, "status": "success", "result": {"id": id, "skipped": None}}


def ndjson(*answers):
    return Reply(headers={"content-type": "application/x-ndjson"}, body=lines_of(*answers).encode())


@pytest.fixture
def pretender(receiver):
    """Answers batches as a test says, for what a server does only in trouble."""

    def send(*args, input):
        env = clean_environment(GWH_URL=receiver.url(""), GWH_KEY="admin:x")
        return run("send", "--batch", *args, "-", input=input.encode(), env=env)

    receiver.send = send
    return receiver


def bodies(pretender):
    assert {r.path for r in pretender.requests()} == {"/v1/events/batch"}
    assert {r.header("content-type") for r in pretender.requests()} == {"application/x-ndjson"}
    return [r.body.decode().splitlines() for r in pretender.requests()]


def test_a_file_of_events(shared_server, shared, receiver, app, tmp_path):
    """More lines than one request takes, the bytes of each as they are, and each told apart."""
    subscribe(shared, app, receiver.url())
    texts = [f' {{"appId": "{app}", "eventType":"{TYPE}", "eventId":"{n}"}} ' for n in range(1200)]
    texts[3] = json.dumps(event(app, type="OTHER"))
    file = tmp_path / "events.ndjson"
    file.write_bytes("\r\n".join(texts).encode())
    text = said(shared_server.cli("send", "--batch", file))
    assert "1200 lines: 1200 accepted (1 of them go nowhere), 0 duplicate, 0 refused" in text
    got = {r.body.decode() for r in receiver.wait(1199)}
    assert got == {t for n, t in enumerate(texts) if n != 3}
    text = said(shared_server.cli("send", "--batch", file))
    assert "1200 lines: 1 accepted (1 of them go nowhere), 1199 duplicate, 0 refused" in text


def test_a_line_spoils_only_itself(shared_server, shared, receiver, app):
    subscribe(shared, app, receiver.url())
    good = json.dumps(event(app))
    text = lines_of(good, "", "nonsense", "   ", good, '{"eventType":"T"}', good)
    result = shared_server.cli("send", "--batch", "-", input=text)
    told = failed(result, 1, "line 3: ", "JSON", "line 6: ", "appId").splitlines()
    assert len(told) == 2
    assert b"5 lines: 3 accepted" in result.stdout and b"2 refused" in result.stdout
    receiver.wait(3)


def test_json_is_each_answer_in_order(shared_server, app):
    long = '{"appId":"%s","x":"%s"}' % (app, "x" * 8 * MIB)
    text = lines_of(*(event(app, eventId=str(n)) for n in range(1001)), "[]", long, event(app))
    result = shared_server.cli("send", "--batch", "-", "--json", input=text)
    answers = [json.loads(line) for line in said(result, 1).splitlines()]
    assert [a["result"]["eventId"] for a in answers[:1001]] == [str(n) for n in range(1001)]
    assert [a["statusCode"] for a in answers[1001:]] == [400, 413, 202]
    assert result.stderr == b""


def test_many_refusals_are_not_all_told(shared_server, app):
    result = shared_server.cli("send", "--batch", "-", input=lines_of(*["{}"] * 50))
    assert len(failed(result, 1, "line 20: ", "30 more").splitlines()) == 21


def test_slices_hold_as_many_bytes_as_a_request_may(pretender):
    def answer(request):
        return ndjson(*(accepted("m") for _ in request.body.splitlines()))

    pretender.always("/v1/events/batch", answer)
    lines = ["%04d" % n + "x" * (MIB - 5) for n in range(17)]  # a MiB each, with its end
    assert "17 lines: 17 accepted" in said(pretender.send(input=lines_of(*lines)))
    sent = bodies(pretender)
    assert [len(b) for b in sent] == [8, 8, 1] and sum(sent, []) == lines
    assert "0 lines" in said(pretender.send(input="\n\n"))


def test_what_was_too_much_is_sent_again(pretender):
    busy = {"statusCode": 503, "status": "failed", "error": "busy", "retryAfter": 1}
    many = {"statusCode": 429, "status": "failed", "error": "too many"}
    bad = {"statusCode": 400, "status": "failed", "error": "bad"}
    pretender.script(
        "/v1/events/batch",
        ndjson(accepted("a"), busy, bad, many),
        Reply(status=503, body=json.dumps(busy).encode()),
        ndjson(busy, accepted("d")),
        ndjson(accepted("b")),
    )
    result = pretender.send("--json", input="1\n2\n3\n4\n")
    answers = [json.loads(line) for line in said(result, 1).splitlines()]
    assert answers == [accepted("a"), accepted("b"), bad, accepted("d")]
    assert bodies(pretender) == [["1", "2", "3", "4"], ["2", "4"], ["2", "4"], ["2"]]
    first, second = (r.at for r in pretender.requests()[:2])
    assert second - first >= 0.9  # as long as the answer asked for


def test_an_app_that_may_send_less_at_a_time(servers, receiver, app):
    """All of it arrives, at the rate that the server allows."""
    server = servers("--intake-rate", 100).start()
    subscribe(server.api, app, receiver.url())
    text = lines_of(*(event(app, n=n) for n in range(250)))
    assert "250 lines: 250 accepted" in said(server.cli("send", "--batch", "-", input=text))
    got = [json.loads(r.body)["n"] for r in receiver.wait(250)]
    assert sorted(got) == list(range(250))


def test_it_ends_where_the_answers_end(pretender):
    busy = {"statusCode": 503, "status": "failed", "error": "busy"}
    bad = {"statusCode": 400, "status": "failed", "error": "bad"}
    pretender.script("/v1/events/batch", ndjson(accepted("a"), bad, busy, accepted("d")))
    pretender.always("/v1/events/batch", Reply(reset=True))
    result = pretender.send(input="1\n2\n3\n4\n")
    failed(result, 1, "line 2: bad", "from line 3 on")
    assert b"2 lines: 1 accepted" in result.stdout


def test_it_says_where_it_ended(pretender):
    pretender.script("/v1/events/batch", ndjson(*[accepted("a")] * 1000))
    pretender.always("/v1/events/batch", Reply(reset=True))
    result = pretender.send(input="x\n" * 2500)
    failed(result, 1, "from line 1001 on")
    assert b"1000 lines: 1000 accepted" in result.stdout

    refusal = {"statusCode": 403, "status": "failed", "error": "needs the role producer"}
    pretender.script("/v1/events/batch", Reply(status=403, body=json.dumps(refusal).encode()))
    failed(pretender.send(input="x\n"), 1, "needs the role producer", "from line 1 on")
    failed(run("send", "--batch", "/nothing/there", env=clean_environment()), 1, "/nothing/there")


def test_a_server_with_another_idea_of_lines(pretender):
    pretender.script("/v1/events/batch", ndjson(accepted("a")))
    failed(pretender.send(input="1\n2\n"), 1, "line 2: no answer")
