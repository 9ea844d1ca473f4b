"""`make run`: the demo shows what it promises, ends when told, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.server import GWH, ROOT, clean_environment
from harness.waiting import eventually, seconds

pytestmark = pytest.mark.timeout(seconds(90))
DEMO = ROOT / "scripts" / "demo.sh"


def start(out, **env):
    return subprocess.Popen(
        [DEMO], env=clean_environment(GWH_BIN=GWH, **env), stdin=subprocess.DEVNULL,
        stdout=out.open("w"), stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def directory_of(text):
    (directory,) = set(re.findall(r"build/demo\.\w+", text))
    return ROOT / directory


def deliveries(out, app):
    """What the commands that the demo tells to type show of a client."""
    url, data = re.search(r"export GWH_URL=(\S+) GWH_DATA=(\S+)", out.read_text()).groups()
    env = clean_environment(GWH_URL=url, GWH_DATA=data)
    command = [GWH, "deliveries", "--app", app]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True).stdout


def nothing_is_left(demo, text):
    """No process of its session, and no directory."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # it has just ended
        assert int(session) != demo.pid or state == "Z", stat
    assert not directory_of(text).exists()


def test_it_ends_by_itself(tmp_path):
    out = tmp_path / "out"
    demo = start(out, DEMO_SECONDS=str(seconds(12)))
    eventually(lambda: "Ctrl-C ends all of it" in out.read_text(), what="the demo runs")
    # The table shows only the newest: what each client does is asked as the demo says.
    eventually(lambda: re.search(r" delivered +1 +200 ", deliveries(out, "acme")), what="acme is well")
    eventually(lambda: re.search(r" +500 ", deliveries(out, "globex")), what="globex fails")
    eventually(lambda: "no answer" in deliveries(out, "initech"), what="initech hangs")
    assert demo.wait(seconds(60)) == 0, out.read_text()
    text = out.read_text()
    assert re.search(r"dlv_\w+ +delivered +1 +200 .* acme ", text), text
    nothing_is_left(demo, text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told(tmp_path, number):
    out = tmp_path / "out"
    demo = start(out)
    eventually(lambda: "Ctrl-C ends all of it" in out.read_text(), what="the demo runs")
    time.sleep(0.5)
    os.killpg(demo.pid, number)  # as a terminal does
    assert demo.wait(seconds(30)) == 0, out.read_text()
    nothing_is_left(demo, out.read_text())


def test_it_says_when_the_server_is_gone(tmp_path):
    out = tmp_path / "out"
    demo = start(out)
    eventually(lambda: "Ctrl-C ends all of it" in out.read_text(), what="the demo runs")
    log = (directory_of(out.read_text()) / "serve.log").read_text()
    pid = int(re.search(r'"pid":(\d+)', log)[1])
    os.kill(pid, signal.SIGKILL)
    assert demo.wait(seconds(30)) == 1
    assert "the server has ended" in out.read_text()
    nothing_is_left(demo, out.read_text())
