"""What core removes from a body, to the byte, against the slow and obvious way: one member after the
other, each time the whole text is read anew."""

import json
import random
import re

import pytest
from harness.core_tool import CoreTool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.homes("embedded", "aws")

SPACE = " \t\r\n"
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
PLAIN = re.compile(r"[^][{},:\s]+")

SETTINGS = settings(max_examples=500, deadline=None, derandomize=True, database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@pytest.fixture(scope="module")
def tool():
    tool = CoreTool()
    yield tool
    tool.close()


# ── The slow way ──────────────────────────────────────────────────────────────────────────────


def skip_space(text, at):
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def skip_value(text, at):
    if text[at] == '"':
        return STRING.match(text, at).end()
    if text[at] not in "[{":
        return PLAIN.match(text, at).end()
    return elements(text, at)[1]


def elements(text, at):
    """Of the array or object at `at`: [(name or None, where it begins, where its value does, where
    that ends)], and where all of it ends."""
    is_object, found = text[at] == "{", []
    at = skip_space(text, at + 1)
    while text[at] not in "]}":
        begins, name = at, None
        if is_object:
            end = STRING.match(text, at).end()
            name = json.loads(text[at:end], strict=False)
            at = skip_space(text, skip_space(text, end) + 1)
        value, at = at, skip_value(text, at)
        found.append((name, begins, value, at))
        at = skip_space(text, at)
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return found, at + 1


def find(text, at, steps):
    """The first member that the steps lead to, as (begin, end)."""
    at = skip_space(text, at)
    if text[at] not in "[{":
        return None
    for name, begins, value, end in elements(text, at)[0]:
        if name is None:
            below = find(text, value, steps)
        elif name != steps[0]:
            continue
        elif len(steps) == 1:
            return begins, end
        else:
            below = find(text, value, steps[1:])
        if below:
            return below
    return None


def cut(text, begin, end):
    """The white space before, the member, and one comma: the one after it, or before it when it
    was the last."""
    before = text[:begin].rstrip(SPACE)
    mark = skip_space(text, end)
    if text[mark] == ",":
        return before + text[end:mark] + text[mark + 1:]
    return (before[:-1] if before[-1] == "," else before) + text[end:]


def steps_of(path):
    if not path.startswith("/"):
        return path.split(".")
    return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]


def remove_slowly(text, paths):
    for path in paths:
        while found := find(text, 0, steps_of(path)):
            text = cut(text, *found)
    return text


# ── Generated ─────────────────────────────────────────────────────────────────────────────────

NAMES = {
    "a": ['"a"', '"\\u0061"'],
    "b": ['"b"'],
    "appId": ['"appId"', '"app\\u0049d"'],
    "": ['""'],
    "a.b": ['"a.b"', '"a\\u002eb"'],
    "a/b": ['"a/b"', '"a\\/b"'],
    "a~b": ['"a~b"'],
    "é": ['"é"', '"\\u00e9"', '"\\u00E9"'],
    "😀": ['"😀"', '"\\ud83d\\ude00"'],
    "}": ['"}"'],
    '"': ['"\\""', '"\\u0022"'],
}
SCALARS = ["0", "-1.5e+300", "123456789012345678901234567890.000", "true", "null", '""', '"a"',
           '"},\\"a\\":1"', '"\\\\"', '"[{"']  # fmt: skip

GAPS = ["", " ", "\t", "\r", "\n"]
space = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n  "])
name = st.sampled_from([spelling for spellings in NAMES.values() for spelling in spellings])
few_names = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"a.b"'])


def around(value):
    return st.tuples(space, value, space).map("".join)


def objects(value):
    member = st.tuples(around(few_names | few_names | name), around(value)).map(":".join)
    return st.lists(member, max_size=5).map(lambda members: "{" + ",".join(members) + "}")


def arrays(value):
    return st.lists(around(value), max_size=3).map(lambda values: "[" + ",".join(values) + "]")


values = st.recursive(st.sampled_from(SCALARS),
                      lambda value: objects(value) | objects(value) | arrays(value), max_leaves=10)
documents = around(objects(values))


def pointer(steps):
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


step = st.sampled_from(["a", "b"] * 8 + list(NAMES))
path = st.lists(step, min_size=1, max_size=2).map(
    lambda steps: ".".join(steps) if all(s and not re.search("[./]", s) for s in steps)
    else pointer(steps))  # fmt: skip


@SETTINGS
@given(document=documents, paths=st.lists(path, min_size=1, max_size=4))
def test_like_the_slow_way(tool, document, paths):
    answer = tool.ask("remove", paths=paths, json=document)
    assert answer == {"json": remove_slowly(document, paths)}


def test_in_any_order(tool):
    """Most members go, in an order that is not theirs: what matters then is the white space."""
    rng = random.Random(1)
    for _ in range(3000):
        members = (f"{rng.choice(GAPS)}\"{rng.choice('abcd')}\":0{rng.choice(GAPS)}"
                   for _ in range(rng.randint(1, 6)))  # fmt: skip
        document = "{" + ",".join(members) + "}"
        if rng.random() < 0.3:
            document = f'{{"p":[{document}, {document}]}}'
        paths = rng.sample(["a", "b", "c", "d", "p.a", "p.b", "p.c", "p.d"], 5)
        answer = tool.ask("remove", paths=paths, json=document)
        assert answer == {"json": remove_slowly(document, paths)}, (document, paths)


def test_the_slow_way_itself():
    for paths, before, after in (
        (["a"], '{"a":1}', "{}"),
        (["a"], '{ "a" : 1 , "b":2 }', '{  "b":2 }'),
        (["b"], '{ "a":1 , "b" : 2 }', '{ "a":1  }'),
        (["a.b"], '{"a":[{"b":1,"c":[1]},[{"b":2}]],"b":3}', '{"a":[{"c":[1]},[{}]],"b":3}'),
        (["/a.b", "a"], '{"a.b":1,"\\u0061":2,"c":3}', '{"c":3}'),
    ):
        assert remove_slowly(before, paths) == after
