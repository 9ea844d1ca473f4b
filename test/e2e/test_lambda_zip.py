"""The zip for AWS Lambda: the same twice, complete, and able to run where there is nothing else."""

import os
import subprocess
import sys
import zipfile

import pytest
from harness.server import GWH, ROOT
from harness.waiting import seconds

pytestmark = [
    pytest.mark.timeout(seconds(120)),
    pytest.mark.skipif(os.environ.get("GWH_VARIANT", "plain") != "plain",
                       reason="an instrumented program is never packed"),
]


def lambda_zip(*args):
    return subprocess.run([sys.executable, "-B", ROOT / "scripts/lambda_zip.py", *args],
                          capture_output=True, text=True)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    target = tmp_path_factory.mktemp("zip") / "gwh.zip"
    done = lambda_zip("pack", GWH, target)
    assert done.returncode == 0, done.stderr
    return target


def test_same_twice(zipped, tmp_path):
    assert lambda_zip("pack", GWH, tmp_path / "again.zip").returncode == 0
    assert (tmp_path / "again.zip").read_bytes() == zipped.read_bytes()


def test_content(zipped):
    with zipfile.ZipFile(zipped) as archive:
        names = archive.namelist()
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert names[:2] == ["bootstrap", "gwh"]
    assert modes["bootstrap"] == modes["gwh"] == 0o755
    assert {"lib/libc.so.6", "lib/libcurl.so.4", "lib/libuv.so.1"} <= set(names)
    assert zipped.stat().st_size < 50_000_000  # what Lambda takes


def test_needs_nothing_else(zipped):
    done = lambda_zip("prove", zipped)
    assert done.returncode == 0, done.stderr
    assert "proved" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave the machine's libraries behind")
def test_something_is_missing(zipped, tmp_path):
    poor = tmp_path / "poor.zip"
    with zipfile.ZipFile(zipped) as archive, zipfile.ZipFile(poor, "w") as kept:
        for entry in archive.infolist():
            if "libuv" not in entry.filename:
                kept.writestr(entry, archive.read(entry))
    done = lambda_zip("prove", poor)
    assert done.returncode == 1
    assert "libuv" in done.stderr
