"""HTTP as bytes, for what no client library would send."""

import re


def request_head(api, *lines, path="/v1/events", method="POST"):
    fields = ["host: gwh", *(f"{k}: {v}" for k, v in api.headers.items()), *lines]
    return (f"{method} {path} HTTP/1.1\r\n" + "\r\n".join(fields) + "\r\n\r\n").encode()


def answers(raw):
    """The (status, body) of each answer in a stream of them."""
    found = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        size = int(length[1]) if length and status >= 200 else 0
        found.append((status, raw[:size]))
        raw = raw[size:]
    return found
