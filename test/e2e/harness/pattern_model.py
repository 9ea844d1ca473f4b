"""Event patterns the slow and obvious way, as AWS describes them in the README of event-ruler: an
event is a list of fields, a pattern is a list of rules, and a rule matches when each of its names
finds a field with a right value, no two of them in different elements of one array."""

import ipaddress
import itertools
import json
import re
from decimal import Decimal

ABSENT = object()


def loads(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def fields(event):
    """(path, value, {array: element}) of each value that has no parts."""
    arrays = itertools.count()

    def walk(node, path, within):
        if isinstance(node, dict):
            for name, value in node.items():
                yield from walk(value, (*path, name), within)
        elif isinstance(node, list):
            array = next(arrays)
            for at, element in enumerate(node):
                if isinstance(element, (dict, list)):
                    yield from walk(element, path, {**within, array: at})
                else:
                    yield path, element, within
        else:
            yield path, node, within

    return list(walk(event, (), {}))


def rules(pattern, path=()):
    """Each a list of (path, items)."""
    parts = []
    for name, value in pattern.items():
        if name == "$or":
            parts.append([rule for each in value for rule in rules(each, path)])
        elif isinstance(value, dict):
            parts.append(rules(value, (*path, name)))
        else:
            parts.append([[((*path, name), value)]])
    return [sum(choice, []) for choice in itertools.product(*parts)]


def consistent(a, b):
    return all(b.get(array, at) == at for array, at in a.items())


def rule_matches(rule, all_fields, within=None, absent=()):
    within = within or {}
    if not rule:
        return not any(path == name and consistent(within, there)
                       for name in absent for path, _, there in all_fields)
    (name, items), *rest = rule
    if {"exists": False} in items and rule_matches(rest, all_fields, within, (*absent, name)):
        return True
    return any(
        path == name and consistent(within, there) and any(holds(item, value) for item in items)
        and rule_matches(rest, all_fields, {**within, **there}, absent)
        for path, value, there in all_fields
    )


def same(a, b):
    return type(a) is type(b) and a == b


def listed(given):
    return given if isinstance(given, list) else [given]


def wildcard(pattern):
    parts = re.findall(r"\\[*\\]|.", pattern, re.DOTALL)
    return re.compile("".join(".*" if part == "*" else re.escape(part[-1]) for part in parts),
                      re.DOTALL)


def numeric(given, value):
    compare = {"=": Decimal.__eq__, "<": Decimal.__lt__, "<=": Decimal.__le__,
               ">": Decimal.__gt__, ">=": Decimal.__ge__}
    return isinstance(value, Decimal) and all(
        compare[sign](value, bound) for sign, bound in zip(given[::2], given[1::2], strict=True))


def cidr(given, value):
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(given)
    except ValueError:
        return False


def text(op, given, value):
    if isinstance(given, dict):
        return text(op, given["equals-ignore-case"].lower(), value.lower())
    return {
        "prefix": lambda: value.startswith(given),
        "suffix": lambda: value.endswith(given),
        "equals-ignore-case": lambda: value.lower() == given.lower(),
        "wildcard": lambda: wildcard(given).fullmatch(value) is not None,
        "cidr": lambda: cidr(given, value),
    }[op]()


def holds(item, value):
    if not isinstance(item, dict):
        return same(item, value)
    ((op, given),) = item.items()
    if op == "exists":
        return given
    if op == "numeric":
        return numeric(given, value)
    if op != "anything-but":
        return isinstance(value, str) and text(op, given, value)
    if not isinstance(given, dict):
        return not any(same(one, value) for one in listed(given))
    ((op, given),) = given.items()
    ones = [given] if op == "numeric" else listed(given)
    return not any(holds({op: one}, value) for one in ones)


def matches(pattern, event):
    """Both as JSON text."""
    all_fields = fields(loads(event))
    return any(rule_matches(rule, all_fields) for rule in rules(loads(pattern)))
