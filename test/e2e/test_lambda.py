"""The function on an emulator, out of its own template and zip."""

import os

import pytest
from harness.ministack import Ministack
from harness.stack import Stack
from harness.waiting import seconds

pytestmark = [
    pytest.mark.timeout(seconds(180)),
    pytest.mark.skipif(os.environ.get("GWH_VARIANT", "plain") != "plain",
                       reason="an instrumented program is never packed"),
]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    ministack = Ministack(tmp_path_factory.mktemp("ministack"))
    try:
        yield ministack.start()
    finally:
        ministack.stop()


@pytest.fixture(scope="module")
def stack(aws, tmp_path_factory):
    return Stack(aws, tmp_path_factory.mktemp("stack")).make(
        GWH_ALLOW_HTTP="true", GWH_ALLOW_NETS="127.0.0.0/8", GWH_ALLOW_PORTS="*")


def test_api_by_url(stack):
    answer = stack.request("GET", "/healthz", key=None)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert stack.request("GET", "/openapi.json").json()["openapi"].startswith("3.1")
    assert stack.request("GET", "/nothing").status_code == 404
