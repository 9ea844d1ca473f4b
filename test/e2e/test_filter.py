"""Event patterns of core, compared with moto's matcher of EventBridge and with a model of what AWS
describes. Where moto is not what AWS says, DIFFERENCES has the sentence."""

import json
import random
import re
import unicodedata

import pytest
from harness import pattern_model
from harness.core_tool import CoreTool
from harness.server import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.events.models import EventPattern

pytestmark = pytest.mark.one_thread

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@pytest.fixture(scope="module")
def tool():
    tool = CoreTool()
    yield tool
    tool.close()


def ours(tool, pattern, event):
    answer = tool.ask("match", pattern=json.dumps(pattern), event=json.dumps(event))
    assert "error" not in answer, answer
    return answer["matches"]


def motos(pattern, event):
    return EventPattern.load(json.dumps(pattern)).matches_event(event)


def models(pattern, event):
    return pattern_model.matches(json.dumps(pattern), json.dumps(event))


# ── By hand ───────────────────────────────────────────────────────────────────────────────────

ITEMS = [
    ["x"], [""], ["300"], [300], [-1.5], [True], [False], [None],
    ["x", 7, None], [0.000001], [5000000000],
    [{"prefix": "us-"}], [{"prefix": ""}], [{"suffix": ".png"}], [{"suffix": ""}],
    [{"prefix": {"equals-ignore-case": "US-"}}], [{"suffix": {"equals-ignore-case": ".PnG"}}],
    [{"equals-ignore-case": "X"}], [{"equals-ignore-case": "ÉTÉ"}],
    [{"wildcard": "us-*.png"}], [{"wildcard": "*"}], [{"wildcard": "*-*"}],
    [{"wildcard": "a\\*b"}], [{"wildcard": ""}], [{"wildcard": "*x"}],
    [{"cidr": "10.0.0.0/24"}], [{"cidr": "2001:db8::/32"}],
    [{"numeric": ["=", 300]}], [{"numeric": ["<", 7]}], [{"numeric": ["<=", 7]}],
    [{"numeric": [">", 7]}], [{"numeric": [">=", -1.5]}],
    [{"numeric": [">", -2, "<", 7]}], [{"numeric": [">=", 7, "<=", 300]}],
    [{"exists": True}], [{"exists": False}], ["x", {"exists": False}],
    [{"anything-but": "x"}], [{"anything-but": ["x", "us-east"]}], [{"anything-but": 300}],
    [{"anything-but": [7, 300]}], [{"anything-but": {"prefix": "us-"}}],
    [{"anything-but": {"prefix": ["us-", "x"]}}], [{"anything-but": {"suffix": ".png"}}],
    [{"anything-but": {"suffix": [".png", "x"]}}],
    [{"anything-but": {"equals-ignore-case": "X"}}],
    [{"anything-but": {"equals-ignore-case": ["x", "US-EAST"]}}],
    [{"anything-but": {"wildcard": "us-*"}}],
    [{"anything-but": {"wildcard": ["us-*", "*x"]}}],
    [{"anything-but": {"numeric": [">", 0, "<=", 7]}}],
    [{"prefix": "us-"}, 7, {"suffix": "x"}],
]  # fmt: skip

MISSING = object()
VALUES = [
    MISSING, "x", "X", "", "300", "null", "true", "us-", "US-East", "us-east", "us-.png",
    "us-a.png", "A.PNG", "a*b", "a\\*b", "axb", "été", "10.0.0.7", "10.0.1.7", "2001:db8::1", "10",
    300, 300.0, 7, -1.5, -2, 0.000001, 5000000000, 1e9, None, True, False,
    ["x"], ["y", "x"], [7, "us-east"], [None, 300], ["us-east", "us-west"],
    {"b": 1}, {"x": "x"},
]  # fmt: skip


def takes_true_for_1(pattern, event):
    """What moto, being Python, does wherever both meet."""
    text = json.dumps(pattern)
    return ("true" in json.dumps(event) or "false" in json.dumps(event)) and (
        "numeric" in text or "0" in text or "1" in text or "true" in text or "false" in text)


@pytest.mark.parametrize("items", ITEMS, ids=json.dumps)
def test_values(tool, items):
    for value in VALUES:
        event = {"other": 1} if value is MISSING else {"other": 1, "a": value}
        for pattern, event in (({"a": items}, event), ({"d": {"a": items}}, {"d": event})):
            got = ours(tool, pattern, event)
            assert got == models(pattern, event), event
            if not takes_true_for_1(pattern, event):
                assert got == motos(pattern, event), event


STRUCTURES = [
    {},
    {"a": [1], "b": [2]},
    {"a": {"b": [1], "c": [2]}},
    {"a": {"b": {"c": [1]}}, "d": [{"exists": False}]},
    {"a": {"b": [{"exists": False}]}},
    {"$or": [{"a": [1]}, {"b": [2]}]},
    {"a": [1], "$or": [{"b": [2]}, {"b": [{"exists": False}]}]},
    {"$or": [{"a": {"b": [1]}}, {"a": {"c": [2]}}], "d": [{"exists": False}]},
    {"a": {"$or": [{"b": [1]}, {"c": [2], "d": [3]}]}},
    {"$or": [{"a": [1]}, {"$or": [{"b": [2]}, {"d": [3]}]}]},
    {"$or": [{"a": [1]}, {"b": [2]}], "a": [{"anything-but": 5}]},
]
EVENTS = [
    {}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 5, "b": 2}, {"d": 3},
    {"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": 3},
    {"a": {"c": 2, "d": 3}}, {"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 1}}, "d": 0},
    {"a": [1, 2], "b": [3, 2]}, {"a": None, "b": 2}, {"$or": [{"a": 1}]},
]  # fmt: skip


@pytest.mark.parametrize("pattern", STRUCTURES, ids=json.dumps)
def test_structures(tool, pattern):
    for event in EVENTS:
        got = ours(tool, pattern, event)
        assert got == motos(pattern, event) == models(pattern, event), event


# (pattern, event, what is right, the sentence). The User Guide is "Amazon EventBridge event
# patterns", the README that of event-ruler, AWS's own matcher.
DIFFERENCES = [
    ({"a": {"b": [1]}}, {"a": [{"b": 0}, {"b": 1}]}, True,
     'README: the array structure is "crushed out" of the rule pattern, and any contained objects '
     "are treated as if they are the value of the parent field"),
    ({"a": {"b": [1]}}, {"a": [[{"b": 0}], [{"b": 1}]]}, True,
     "README: This works for multi-level arrays too"),
    ({"a": ["x"]}, {"a": [["x"]]}, True, "README: This works for multi-level arrays too"),
    ({"a": {"b": [1], "c": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 2}]}, True,
     "README: will refuse to recognize any match in which any two fields are within JSON objects "
     "that are in different elements of the same array"),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 0}, {"b": 1}]}, False,
     "README: any contained objects are treated as if they are the value of the parent field"),
    ({"a": [{"exists": True}]}, {"a": {}}, False,
     "User Guide: Exists matching only works on leaf nodes. It does not work on intermediate nodes"),
    ({"a": [{"exists": True}]}, {"a": []}, False,
     "User Guide: if the value in the event is an array, then the pattern matches if the "
     "intersection of the event pattern array and the event array is non-empty"),
    ({"a": [{"exists": True}]}, {"a": [{"b": 1}]}, False,
     "User Guide: Exists matching only works on leaf nodes. It does not work on intermediate nodes"),
    ({"a": [{"anything-but": "x"}]}, {"a": {}}, False,
     "User Guide: Comparison operators only work on leaf nodes"),
    ({"a": [{"anything-but": "x"}]}, {"a": [{"b": 1}]}, False,
     "User Guide: Comparison operators only work on leaf nodes"),
    ({"a": [{"numeric": [">", 0]}]}, {"a": True}, False,
     "User Guide: Numeric matching works with values that are JSON numbers"),
    ({"a": [1]}, {"a": True}, False,
     "User Guide: The values being matched follow JSON rules: strings enclosed in quotes, numbers, "
     "and the unquoted keywords true, false, and null"),
    ({"a": [False]}, {"a": 0}, False, "User Guide: the same"),
    ({"a": [{"anything-but": 1}]}, {"a": True}, True, "User Guide: the same"),
    ({"a.b": [1]}, {"a": {"b": 1}}, False,
     "README, of keys with dots: This behaviour may change in future version (to avoid any "
     "confusions) and should not be relied upon"),
    ({"a": {"b": [1]}}, {"a.b": 1}, False, "README: the same"),
    ({"a": [{"wildcard": "dir/*.png"}]}, {"a": "dir/two\nlines.png"}, True,
     'User Guide: Any file with a .png extension, located within the folder "dir"'),
]  # fmt: skip


@pytest.mark.parametrize("pattern, event, right, sentence", DIFFERENCES,
                         ids=[json.dumps(row[:2]) for row in DIFFERENCES])
def test_where_moto_differs_from_aws(tool, pattern, event, right, sentence):
    assert sentence
    assert ours(tool, pattern, event) is right
    assert models(pattern, event) is right
    assert motos(pattern, event) is not right, "moto has learnt it: take it out of the list"


GUIDE = (ROOT / "docs/filter.md").read_text()
EXAMPLE = re.compile(r"^```json\n(.*?)\n```$|^- (matches|not) `(.*)`$", re.MULTILINE)


def test_the_guide_is_right(tool):
    pattern, said = None, 0
    for block, verdict, event in EXAMPLE.findall(GUIDE):
        if block:
            pattern = block
            continue
        assert tool.ask("match", pattern=pattern, event=event) == {"matches": verdict == "matches"}
        said += 1
    assert said == GUIDE.count("\n- matches `") + GUIDE.count("\n- not `") > 10


def test_the_guides_operators_are_all(tool):
    table = "".join(line for line in GUIDE.splitlines() if line.startswith("| `"))
    shown = re.findall(r"`(\{[^…`]*\})`", table)
    assert len(shown) > 8
    for item in shown:
        assert "matches" in tool.ask("match", pattern=f'{{"a":[{item}]}}', event="{}"), item
    refusal = tool.ask("match", pattern='{"a":[{"regex":"x"}]}', event="{}")["error"]
    for op in re.search(r"one operator of (.*), was", refusal)[1].split(", "):
        assert f'`{{"{op}": ' in GUIDE


# The number 300 as text is what the User Guide compares; event-ruler adds the value ("matchers for
# both the literal expression and the ComparableNumber form"), and so do moto and we.
@pytest.mark.parametrize("number", ["300", "300.0", "3e2", "3.000E+2", "0.3e3"])
def test_numbers_are_compared_by_value(tool, number):
    for written in ("300", "300.0", "3.0e2"):
        for items in (f'{written}', f'{{"numeric":["=",{written}]}}'):
            pattern, event = f'{{"a":[{items}]}}', f'{{"a":{number}}}'
            assert tool.ask("match", pattern=pattern, event=event) == {"matches": True}
            assert pattern_model.matches(pattern, event)
            assert EventPattern.load(pattern).matches_event(json.loads(event))


def test_letters_of_either_case(tool):
    """Every letter of these scripts that has two cases of one character each."""
    scripts = ("LATIN ", "GREEK ", "CYRILLIC ", "ARMENIAN ")
    ranges = (range(0x41, 0x17F), range(0x388, 0x3AC), range(0x400, 0x4C0), range(0x4C1, 0x557),
              range(0x1E00, 0x1E95), range(0x1EA0, 0x1F00))
    count = 0
    for letter in (chr(code) for codes in ranges for code in codes):
        small = letter.lower()
        if small == letter or len(small) > 1 or small.upper() != letter:
            continue
        if not unicodedata.name(letter, "").startswith(scripts):
            continue
        count += 1
        for one, other in ((letter, small), (small, letter)):
            assert ours(tool, {"a": [{"equals-ignore-case": one}]}, {"a": other}), letter
    assert count > 350


# ── Generated ─────────────────────────────────────────────────────────────────────────────────

words = st.sampled_from(["", "x", "X", "xy", "Xyz", "yx", "a*b", "é", "É", "10.0.0.1", "300"])
starts = words.filter(bool)
numbers = st.one_of(
    st.integers(-10, 10),
    st.integers(-5000000000, 5000000000),
    st.integers(-5000000, 5000000).map(lambda n: n / 1000),
    st.sampled_from([0.1, 1e-6, 3e2, -0.0]),
)
globs = st.sampled_from(["*", "x*", "*y", "*x*y*", "a\\*b", "x", "*\\**"])
names = st.sampled_from(["a", "b", "c"])  # of what has a value
parts = st.sampled_from(["p", "q"])  # of what has parts


def ranges():
    def make(ends, low, high):
        return {"numeric": [low, min(ends), high, max(ends)]}

    two = st.tuples(numbers, numbers).filter(lambda ends: ends[0] != ends[1])
    return st.one_of(
        st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), numbers).map(
            lambda pair: {"numeric": list(pair)}),
        st.builds(make, two, st.sampled_from([">", ">="]), st.sampled_from(["<", "<="])),
    )


def one_or_more(strategy):
    return strategy | st.lists(strategy, min_size=1, max_size=3)


def op(name, given):
    return given.map(lambda value: {name: value})


nocase = op("equals-ignore-case", words)
item = st.one_of(
    words, numbers, st.booleans(), st.none(),
    op("prefix", words | nocase), op("suffix", words | nocase), nocase, op("wildcard", globs),
    op("cidr", st.sampled_from(["10.0.0.0/8", "10.0.0.1"])), ranges(), op("exists", st.booleans()),
    op("anything-but", st.one_of(
        one_or_more(words), one_or_more(numbers), ranges(),
        op("prefix", one_or_more(starts)), op("suffix", one_or_more(starts)),
        op("equals-ignore-case", one_or_more(words)), op("wildcard", one_or_more(globs)))),
)  # fmt: skip
items = st.lists(item, min_size=1, max_size=3)


def objects(inner):
    """A pattern's object: some leaves, some parts, and perhaps alternatives."""

    def join(leaves, below, choice):
        whole = {**leaves, **below, **({"$or": choice} if choice else {})}
        return whole or {"a": [1]}

    return st.builds(
        join,
        st.dictionaries(names, items, max_size=2),
        st.dictionaries(parts, inner, max_size=2),
        st.none() | st.lists(inner, min_size=2, max_size=2),
    )


patterns = st.recursive(st.dictionaries(names, items, min_size=1, max_size=2), objects,
                        max_leaves=4)


def events(values, nest):
    return st.recursive(
        st.dictionaries(names, values, max_size=3),
        lambda inner: st.builds(lambda leaves, below: {**leaves, **below},
                                st.dictionaries(names, values, max_size=3),
                                st.dictionaries(parts, nest(inner), max_size=2)),
        max_leaves=8,
    )


flat = words | numbers | st.none()
plain_events = events(flat | st.lists(flat, min_size=1, max_size=3), lambda inner: inner)
wild = st.recursive(flat | st.booleans(), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(names, inner, max_size=2), max_leaves=5)

@SETTINGS
@given(pattern=patterns, event=events(wild, lambda inner: inner))
def test_values_like_the_model(tool, pattern, event):
    assert ours(tool, pattern, event) == models(pattern, event)


def small_pattern(rng, depth=2):
    """Few names and values: what counts is where things stand."""
    pattern = {}
    for name in rng.sample("ab", rng.randint(0 if depth else 1, 2)):
        pattern[name] = rng.choice([[1], [2], [{"exists": False}], [1, {"exists": False}]])
    if depth and (rng.random() < 0.8 or not pattern):
        pattern["p"] = small_pattern(rng, depth - 1)
    if depth and rng.random() < 0.3:
        pattern["$or"] = [small_pattern(rng, depth - 1) for _ in range(2)]
    return pattern


def small_event(rng, depth=3):
    """Arrays of objects, arrays of arrays, and now and then something else."""
    event = {name: rng.choice([1, 1, 2, [1, 2], [[2], 1], [], {}])
             for name in rng.sample("ab", rng.randint(0, 2))}  # fmt: skip
    if depth and rng.random() < 0.8:
        elements = [small_event(rng, depth - 1) for _ in range(rng.randint(0, 3))]
        event["p"] = rng.choice([elements, [elements, *elements[:1]], [*elements, 1], elements[:1]])
    return event


def test_arrays_like_the_model(tool):
    rng = random.Random(1)
    matched = 0
    for _ in range(5000):
        pattern, event = small_pattern(rng), small_event(rng)
        got = ours(tool, pattern, event)
        assert got == models(pattern, event), (pattern, event)
        matched += got
    assert 500 < matched < 4500, matched


@SETTINGS
@given(pattern=patterns, event=plain_events)
def test_like_moto(tool, pattern, event):
    assert ours(tool, pattern, event) == motos(pattern, event) == models(pattern, event)
