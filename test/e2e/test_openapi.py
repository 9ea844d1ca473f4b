"""docs/openapi.json against a running server: schemathesis makes requests out of it, good ones and
bad ones, and looks whether each answer is one that the file allows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.events import subscribe
from harness.server import ROOT, clean_environment
from harness.waiting import SLOWER, seconds

HERE = Path(__file__).parent / "openapi"
EXAMPLES = int(os.environ.get("GWH_OPENAPI_EXAMPLES", 12 if SLOWER == 1 else 3))


def test_the_file_is_served(server):
    answer = server.api.get("/openapi.json").expect(200)
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == (ROOT / "docs/openapi.json").read_bytes()


@pytest.mark.timeout(seconds(300))
def test_every_operation(server, receiver, tmp_path):
    """No 5xx, no status, type or field that is not in the file, nothing bad taken, no way around
    the key."""
    subscribe(server.api, "acme", receiver.url())
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", HERE / "schemathesis.toml", "run"]
    command += [f"{server.url}/openapi.json", "--max-examples", str(EXAMPLES)]
    for name, value in server.api.headers.items():
        command += ["--header", f"{name}: {value}"]
    told = {
        "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
        "OPENAPI_TEST_RECEIVER": receiver.url("").rstrip("/"),
    }
    done = subprocess.run(
        command,
        cwd=tmp_path,  # it leaves things behind
        env=clean_environment(**told),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds(280),
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0
    server.api.get("/healthz").expect(200)
