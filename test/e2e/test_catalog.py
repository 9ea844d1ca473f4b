"""GET /v1/catalog: what it says of the known events is true of those that are sent, and it says
enough to find a wrong one."""

import copy
import json

import jsonschema_rs
import pytest

from harness.api import failed
from harness.cli import said
from harness.events import subscribe

PRODUCERS = {
    "Audit Portal": ["FINISH_TRANSACTION_WEBHOOK", "INTERMEDIATE_TRANSACTION_WEBHOOK",
                     "MANUAL_REVIEW_STATUS_UPDATE", "APPLICATION_STATE_RESET"],
    "Link KYC": ["LINK_KYC_STARTED", "LINK_KYC_EXPIRED_LINK_OPENED"],
}  # fmt: skip
TYPES = [type for types in PRODUCERS.values() for type in types]
RESET = ["eventId", "eventType", "eventTime", "appId", "transactionId", "workflowId",
         "previousStatus", "reviewerId", "resetType"]  # fmt: skip

GONE = object()


@pytest.fixture
def catalog(shared):
    answer = shared.get("/v1/catalog").expect(200)
    assert answer.result["next"] is None
    return answer.result["items"]


def _judge(catalog, type):
    (item,) = [item for item in catalog if item["eventType"] == type]
    jsonschema_rs.meta.validate(item["schema"])
    assert item["schema"]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    return item["example"], jsonschema_rs.validator_for(item["schema"])


def _with(event, changes):
    event = copy.deepcopy(event) | changes
    return {name: value for name, value in event.items() if value is not GONE}


def test_it_holds_the_known_events(catalog):
    listed = [(item["producer"], item["eventType"]) for item in catalog]
    assert listed == [(name, type) for name, types in PRODUCERS.items() for type in types]


def test_it_takes_no_parameter(shared):
    failed(shared.get("/v1/catalog", limit=1), 400, "limit")


@pytest.mark.parametrize("type", TYPES)
def test_an_example_is_right_and_taken(catalog, shared, app, type):
    example, judge = _judge(catalog, type)
    judge.validate(example)
    assert example["eventType"] == type
    shared.send(example | {"appId": app})


@pytest.mark.parametrize("type", TYPES)
def test_what_is_right_all_the_same(catalog, type):
    """More fields, any form of time, ids of any alphabet: what intake takes."""
    example, judge = _judge(catalog, type)
    for changes in (
        {"somethingNew": {"deep": [1, None]}},
        {"eventTime": "24 Nov 2026, a quarter to eight"},
        {"eventTime": 1795506360000},
        {"transactionId": "ü" * 256},
    ):
        judge.validate(_with(example, changes))


@pytest.mark.parametrize("type", TYPES)
def test_a_broken_event_is_found(catalog, type):
    example, judge = _judge(catalog, type)
    for changes in (
        {"appId": GONE},
        {"appId": ""},
        {"appId": "a" * 257},
        {"appId": "line\nbreak"},
        {"eventType": GONE},
        {"eventType": "SOMETHING_ELSE"},
        {"eventId": GONE},
        {"eventId": 7},
        {"eventTime": {}},
        {"transactionId": None},
        {"workflowId": []},
    ):
        assert not judge.is_valid(_with(example, changes)), changes
    assert not judge.is_valid([example])


def test_a_reset_names_how_far(catalog):
    example, judge = _judge(catalog, "APPLICATION_STATE_RESET")
    for name in RESET:
        assert not judge.is_valid(_with(example, {name: GONE})), name
    complete = {"resetType": "COMPLETE_STATE_RESET"}
    partial = {"resetType": "RESET_FROM_SPECIFIC_STEP"}
    judge.validate(_with(example, complete))
    judge.validate(_with(example, complete | {"moduleId": GONE}))
    judge.validate(_with(example, partial))
    assert not judge.is_valid(_with(example, partial | {"moduleId": GONE}))
    assert not judge.is_valid(_with(example, {"resetType": "PARTIAL"}))


@pytest.mark.parametrize("producer, types", list(zip(("audit-portal", "link-kyc"),
                                                     PRODUCERS.values())))  # fmt: skip
def test_simulated_events_are_like_it(catalog, shared_server, shared, receiver, app, producer,
                                      types):  # fmt: skip
    subscribe(shared, app, receiver.url(), type="*")
    said(shared_server.cli("simulate", producer, "--app", app, "--rate", 1000, "--count", 300))
    events = [json.loads(request.body) for request in receiver.wait(300)]
    assert {event["eventType"] for event in events} == set(types)
    judges = {type: _judge(catalog, type)[1] for type in types}
    for event in events:
        judges[event["eventType"]].validate(event)
