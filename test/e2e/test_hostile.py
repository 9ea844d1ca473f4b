"""Receivers that mean harm or are broken, all at once: each ends as what it is, with the words that
tell a person why, and a healthy target beside them notices nothing."""

import ssl

import pytest

from harness.events import event, settled, subscribe
from harness.hostile import Peer, flood, hang, request, reset, trickle
from harness.tls import Authority

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
TIMEOUT_MS = 2000


def says(data, then=None):
    """Reads the request, says that, and ends the connection or does something more."""

    def behave(peer, connection):
        request(connection)
        connection.sendall(data)
        if then:
            then(peer, connection)

    return behave


def trickles(data, again):
    return says(data, lambda peer, connection: trickle(peer, connection, again))


def floods(data, again):
    return says(data, lambda peer, connection: flood(peer, connection, again))


def resets_inside_the_request(peer, connection):
    connection.recv(16)
    reset(connection)


def resets(peer, connection):
    reset(connection)


def answers_early(data):
    """Before the body has come, and leaves it where it is."""

    def behave(peer, connection):
        connection.recv(100)
        connection.sendall(data)
        hang(peer, connection)

    return behave


WAITING = "no answer within 2000 ms: connected and sent, waiting for the first byte"
INSIDE = "no answer within 2000 ms: in the middle of the reply's headers"
TOO_LARGE = "the reply's header block is larger than 64 KiB"
TOO_MANY = "the reply's headers are too many or too long"
NO_HTTP = "the reply is not HTTP, or malformed"
DONE = ("delivered", "success", 200, "")

# name: (what it does, (status, outcome, status code, what the error says))
PEERS = {
    # silence
    "never-reads": (
        lambda peer, connection: peer.closing.wait(), ("dead", "timeout", None, WAITING)),
    "hangs-after-the-request": (says(b"", hang), ("dead", "timeout", None, WAITING)),
    "hangs-inside-the-headers": (says(OK + b"a: b\r\n", hang), ("dead", "timeout", None, INSIDE)),
    "hangs-after-100": (
        says(b"HTTP/1.1 100 Continue\r\n\r\n", hang), ("dead", "timeout", None, INSIDE)),
    "trickles-the-first-line": (
        trickles(b"HTTP/1.1 200 ", b"O"), ("dead", "timeout", None, "no answer")),
    "trickles-headers": (trickles(OK, b"a: b\r\n"), ("dead", "timeout", None, INSIDE)),
    "trickles-interim-answers": (
        trickles(b"", b"HTTP/1.1 102 Wait\r\n\r\n"), ("dead", "timeout", None, "no answer")),
    "trickles-a-body": (trickles(OK + b"\r\n", b"x"), DONE),
    "trickles-chunks": (trickles(CHUNKED, b"1\r\nx\r\n"), DONE),
    "trickles-a-body-of-500": (
        trickles(b"HTTP/1.1 500 No\r\n\r\n", b"x"), ("dead", "http_error", 500, "answered 500")),
    "hangs-inside-a-body": (says(OK + b"content-length: 9\r\n\r\nx", hang), DONE),
    # without end
    "many-headers": (floods(OK, b"a: b\r\n"), ("dead", "protocol", None, TOO_MANY)),
    "large-headers": (floods(OK, b"a: bcdefghijklmnop\r\n"), ("dead", "protocol", None, TOO_LARGE)),
    "an-endless-header": (floods(OK, b"a"), ("dead", "protocol", None, TOO_MANY)),
    "an-endless-first-line": (floods(b"HTTP/1.1 200 ", b"x"), ("dead", "protocol", None, TOO_MANY)),
    "endless-100": (floods(b"", b"HTTP/1.1 100 Go\r\n\r\n"), ("dead", "protocol", None, TOO_LARGE)),
    "endless-103": (
        floods(b"", b"HTTP/1.1 103 Hint\r\nlink: <a>\r\n\r\n"),
        ("dead", "protocol", None, TOO_LARGE)),
    "an-endless-body": (floods(OK + b"\r\n", b"x" * 9999), DONE),
    "endless-chunks": (floods(CHUNKED, b"4\r\nabcd\r\n"), DONE),
    "an-endless-body-of-404": (
        floods(b"HTTP/1.1 404 No\r\n\r\n", b"x" * 9999),
        ("dead", "http_error", 404, "answered 404")),
    # cut off
    "resets-at-once": (resets, ("dead", "reset", None, "connection reset")),
    "resets-inside-the-request": (
        resets_inside_the_request, ("dead", "reset", None, "connection reset")),
    "resets-after-the-request": (says(b"", resets), ("dead", "reset", None, "connection reset")),
    "resets-inside-the-headers": (
        says(OK + b"a: b\r\n", resets), ("dead", "reset", None, "connection reset")),
    "ends-after-the-request": (says(b""), ("dead", "reset", None, "connection closed")),
    "ends-inside-the-headers": (
        says(OK + b"a: b\r\n"),
        ("dead", "reset", None, "connection closed: in the middle of the reply's headers")),
    "ends-inside-a-body": (says(OK + b"content-length: 9\r\n\r\nx"), DONE),
    "ends-inside-a-chunk": (says(CHUNKED + b"9\r\nx"), DONE),
    # contradictions
    "bad-chunks": (says(CHUNKED + b"no number\r\n\r\n"), DONE),
    "a-length-and-chunks": (
        says(OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("dead", "protocol", None, "both Content-Length and Transfer-Encoding")),
    "two-lengths": (
        says(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
        ("dead", "protocol", None, "")),
    "another-protocol": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), ("dead", "protocol", None, NO_HTTP)),
    "switches-protocols": (
        says(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", hang),
        ("dead", "protocol", None, "switches to a protocol nobody asked for")),
    # early answers: the event below has nearly 1 MiB
    "413-early": (
        answers_early(b"HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        ("dead", "http_error", 413, "answered 413")),
    "200-early": (answers_early(OK + b"content-length: 0\r\n\r\n"), DONE),
}  # fmt: skip
LARGE = {"never-reads", "413-early", "200-early"}

NOT_KNOWN = "the certificate's issuer is not known"
TLS = {
    "trusted": ("delivered", "success", 200, ""),
    "expired": ("dead", "tls", None, "certificate has expired"),
    "another-name": ("dead", "tls", None, "the certificate is for another"),
    "another-authority": ("dead", "tls", None, NOT_KNOWN),
    "forged": ("dead", "tls", None, "the TLS handshake failed"),
    "self-signed": ("dead", "tls", None, "the certificate is self-signed"),
    "tls-1.1": ("dead", "tls", None, "the TLS handshake failed"),
    "plain": ("dead", "tls", None, "the TLS handshake failed"),
    "hangs": ("dead", "timeout", None, "timed out after 2000 ms in the TLS handshake"),
    "resets": ("dead", "tls", None, ""),
}


@pytest.fixture
def peers():
    made = []

    def make(*args, **kwargs):
        made.append(Peer(*args, **kwargs))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


def started(api, app, urls, large=()):
    """An event sent to each; {name: delivery id}."""
    retry = {"schedule": [], "timeoutMs": TIMEOUT_MS}
    for name, url in urls.items():
        subscribe(api, app, url, type=name, retry=retry)
    sent = {}
    for name in urls:
        more = {"pad": "x" * 1_000_000} if name in large else {}
        (delivery,) = api.send(event(app, type=name, **more))["deliveries"]
        sent[name] = delivery["id"]
    return sent


def wrong(api, delivery_id, status, outcome, code, error):
    """What is not as it should be; None = nothing."""
    delivery = settled(api, delivery_id, status)
    (attempt,) = delivery["attemptLog"]
    came = f"{attempt['outcome']}, {attempt['statusCode']}, {attempt['error']}"
    if (attempt["outcome"], attempt["statusCode"]) != (outcome, code):
        return came
    if outcome == "success":
        return came if attempt["error"] else None
    if not attempt["error"] or error not in attempt["error"] or not attempt["advice"]:
        return came
    told = [step["detail"] or "" for e in api.why(delivery_id)["events"] for step in e["steps"]]
    return None if any(attempt["error"] in detail for detail in told) else f"why says {told}"


def test_all_at_once(servers, peers, receiver, app):
    api = servers().start().api
    hostile = {name: peers(behave) for name, (behave, _) in PEERS.items()}
    sent = started(api, app, {name: peer.url() for name, peer in hostile.items()}, LARGE)
    subscribe(api, app, receiver.url(), type="HEALTHY", retry={"schedule": []})
    healthy = [api.send(event(app, type="HEALTHY"))["deliveries"][0]["id"] for _ in range(200)]
    receiver.wait(200)
    for delivery_id in healthy:
        settled(api, delivery_id, "delivered")
    bad = {name: wrong(api, sent[name], *PEERS[name][1]) for name in PEERS}
    assert {name: found for name, found in bad.items() if found} == {}
    assert {name: peer.taken for name, peer in hostile.items() if peer.taken != 1} == {}


def old_tls(authority):
    context = authority.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_of_every_kind(servers, peers, receivers, tmp_path, app):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    authority, other = Authority(ours), Authority(theirs, "somebody else's")
    impostor = Authority(tmp_path)  # calls itself as ours does
    contexts = {
        "trusted": authority.server(),
        "expired": authority.server(days=-1),
        "another-name": authority.server("127.0.0.2"),
        "another-authority": other.server(),
        "forged": impostor.server(),
        "self-signed": authority.self_signed(),
        "tls-1.1": old_tls(authority),
    }
    urls = {name: receivers(tls=context).url() for name, context in contexts.items()}
    urls["plain"] = f"https://127.0.0.1:{receivers().port}/"
    urls["hangs"] = peers(hang, scheme="https").url()
    urls["resets"] = peers(resets_inside_the_request, scheme="https").url()
    api = servers("--ca-file", authority.file).start().api
    sent = started(api, app, urls)
    bad = {name: wrong(api, sent[name], *TLS[name]) for name in TLS}
    assert {name: found for name, found in bad.items() if found} == {}

    strange = servers("--ca-file", other.file).start().api  # now it is the other way round
    sent = started(strange, app, {name: urls[name] for name in ("trusted", "another-authority")})
    assert wrong(strange, sent["trusted"], "dead", "tls", None, NOT_KNOWN) is None
    assert wrong(strange, sent["another-authority"], *TLS["trusted"]) is None


def test_redirects_lead_nowhere(servers, peers, receiver, app):
    """Neither to a healthy target nor to where nobody may go."""
    api = servers().start().api
    urls = {}
    for status in (300, 301, 302, 303, 305, 307, 308):
        for place in (receiver.url("/other"), "http://169.254.169.254/", "//x", "", "file:///x"):
            head = f"HTTP/1.1 {status} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
            urls[f"{status} {place}"] = peers(says(head.encode())).url()
    sent = started(api, app, urls)
    for name, delivery_id in sent.items():
        status = int(name[:3])
        expected = ("dead", "http_error", status, f"answered {status}")
        assert wrong(api, delivery_id, *expected) is None
    assert receiver.requests() == []
