"""Fixtures of the end-to-end tests. They start the binary named by GWH_BIN, talk to 127.0.0.1 on
free ports only, and leave nothing behind. Each test has an app of its own."""

import itertools
import os

import pytest

pytest.register_assert_rewrite("harness")

from harness.receiver import Receiver  # noqa: E402
from harness.server import Server  # noqa: E402

_number = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption(
        "--write-golden", action="store_true", help="write what is said into golden/, then compare"
    )


@pytest.fixture
def app():
    """An appId that no other test uses."""
    return f"app-{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}-{next(_number)}"


class _Servers:
    def __init__(self, directory):
        self.directory = directory
        self.all = []

    def __call__(self, *flags, data=None, **kwargs):
        """A server that is not started yet."""
        data = data or self.directory / f"data-{len(self.all)}"
        server = Server(data, *flags, **kwargs)
        self.all.append(server)
        return server

    def end(self):
        """Every process is reaped, whatever else goes wrong."""
        failures = []
        for server in self.all:
            for step in (server.stop, server.check_log):
                try:
                    step()
                except AssertionError as failure:
                    failures.append(str(failure))
            server.kill()
        assert not failures, "\n".join(failures)


@pytest.fixture
def servers(tmp_path):
    """Makes servers, each on a data directory of its own unless told otherwise."""
    made = _Servers(tmp_path)
    yield made
    made.end()


@pytest.fixture
def server(servers):
    """A running server."""
    return servers().start()


@pytest.fixture
def api(server):
    return server.api


@pytest.fixture(scope="module")
def servers_of_module(tmp_path_factory):
    """The same, for as long as a module's tests run."""
    made = _Servers(tmp_path_factory.mktemp("module"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_server(servers_of_module):
    """A running server for tests that only touch their own app."""
    return servers_of_module().start()


@pytest.fixture
def shared(shared_server):
    assert shared_server.process.poll() is None, shared_server.log
    return shared_server.api


@pytest.fixture
def receivers():
    """Makes receivers."""
    made = []

    def make(**kwargs):
        made.append(Receiver(**kwargs))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(receivers):
    return receivers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """What the server said, beside the failure."""
    report = yield
    if report.failed and report.when == "call":
        for name, value in item.funcargs.items():
            if name in ("servers", "servers_of_module"):
                for at, server in enumerate(value.all):
                    report.sections.append((f"{name} {at}", "\n".join(server.lines[-60:])))
    return report
