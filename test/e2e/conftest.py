"""Fixtures of the end-to-end tests. They start the binary named by GWH_BIN, talk to 127.0.0.1 on
free ports only, and leave nothing behind. Each test has an app of its own."""

import itertools
import os

import pytest

pytest.register_assert_rewrite("harness")

from harness.aws_home import FORCE_S, AwsServer  # noqa: E402
from harness.ministack import Ministack  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.waiting import SLOWER  # noqa: E402

_number = itertools.count(1)

# A module's marker says in which homes its tests run; a test's own says which of them cannot show it,
# and why: @pytest.mark.homes("embedded", "aws"), @pytest.mark.only_embedded("…").
HOMES = ("embedded", "aws")


def pytest_addoption(parser):
    parser.addoption(
        "--write-golden", action="store_true", help="write what is said into golden/, then compare"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "homes(*names): runs in each of these homes")
    config.addinivalue_line("markers", "only_embedded(why): cannot be shown on AWS")
    config.addinivalue_line("markers", "one_thread: what it runs has one, or does all it tests in one")


def pytest_collection_modifyitems(config, items):
    """The thread sanitizer has nothing to find in one thread."""
    if os.environ.get("GWH_VARIANT") != "tsan":
        return
    left_out = [item for item in items if item.get_closest_marker("one_thread")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("one_thread")]


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("homes")
    if not marker or "server_home" not in metafunc.fixturenames:
        return
    here = metafunc.definition.get_closest_marker("only_embedded")
    # What sanitizers find they find in the embedded home too; the emulator alone is slow enough.
    homes = marker.args if not here and SLOWER == 1 else ["embedded"]
    metafunc.parametrize("server_home", homes, indirect=True, scope="module")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """AWS; nothing of one test is seen by another, for each server has names of its own."""
    with Ministack(tmp_path_factory.mktemp("ministack")) as ministack:
        yield ministack


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """AWS for one module, which may make anything there."""
    with Ministack(tmp_path_factory.mktemp("ministack")) as ministack:
        yield ministack


@pytest.fixture(scope="module")
def server_home(request):
    """Makes the servers: embedded, or on AWS with a worker beside each."""
    if getattr(request, "param", "embedded") == "embedded":
        return Server
    emulator = request.getfixturevalue("emulator")
    return lambda *args, **kwargs: AwsServer(emulator, *args, **kwargs)


@pytest.fixture
def in_force_s(server_home):
    """How long after its answer a change may not be in force for what is under way."""
    return 0 if server_home is Server else FORCE_S + 2


@pytest.fixture
def shows_rates(server_home):
    """Whether who answers has also sent. On AWS that is the worker, which keeps its rates to itself."""
    return server_home is Server


@pytest.fixture
def excerpt_bytes(server_home):
    """Of what a client answers. On AWS all attempts are in one item, written again with each."""
    return 2048 if server_home is Server else 256


@pytest.fixture
def app():
    """An appId that no other test uses."""
    return f"app-{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}-{next(_number)}"


class _Servers:
    def __init__(self, directory, home):
        self.directory = directory
        self.home = home
        self.all = []

    def __call__(self, *flags, data=None, **kwargs):
        """A server that is not started yet."""
        data = data or self.directory / f"data-{len(self.all)}"
        server = self.home(data, *flags, **kwargs)
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
def servers(tmp_path, server_home):
    """Makes servers, each on a data directory of its own unless told otherwise."""
    made = _Servers(tmp_path, server_home)
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
def servers_of_module(tmp_path_factory, server_home):
    """The same, for as long as a module's tests run."""
    made = _Servers(tmp_path_factory.mktemp("module"), server_home)
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
