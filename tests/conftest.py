"""System parts that tests may need: a real PostgreSQL server and a real Chromium. Absent, their tests are skipped with
a line that says how to get them; where POLYSEME_REQUIRE_SYSTEM_PARTS is set, as in CI, that is a failure."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import pytest
from hypothesis import settings

from analysis.errors import LexiconNotPulled

if TYPE_CHECKING:
    from analysis.lexicon.wordnet import Lexicon

CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def absent(part: str, remedy: str) -> NoReturn:
    """Skip the test, or fail it where every part is required."""
    line = f"no {part} on this machine: {remedy}"
    if os.environ.get("POLYSEME_REQUIRE_SYSTEM_PARTS"):
        pytest.fail(line)
    pytest.skip(line)


class Postgres(NamedTuple):
    """A server: the URL of a database, and what lets it fall and starts it again."""

    url: str
    restart: Callable[[], None]


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """A database of a server that lives as long as the tests."""
    return postgres.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that lives as long as the tests; it listens on 127.0.0.1 only."""
    programs = [Path(found).parent for found in [shutil.which("initdb")] if found]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = [folder for folder in programs if (folder / "initdb").exists()]
    if not programs:
        absent("PostgreSQL server", "apt-get install postgresql")
    # PostgreSQL refuses to run as root: there it runs as the user that its package makes.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="polyseme-pg-") as folder, socket.socket() as free:
        if as_user:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs[0] / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        data, log = f"{folder}/data", f"{folder}/log"
        run("initdb", "-D", data, "-U", "polyseme", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -F"
        run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")

        def restart() -> None:
            run("pg_ctl", "-D", data, "-l", log, "-m", "immediate", "-w", "restart")

        try:
            yield Postgres(f"postgresql+psycopg://polyseme@127.0.0.1:{port}/postgres", restart)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database of that server with nothing in it, gone after the test."""
    from sqlalchemy import create_engine, text

    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.rpartition("/")[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    """WordNet 3.0, where it was pulled."""
    from analysis.lexicon import wordnet
    from service.settings import Settings

    try:
        return wordnet.load(Settings().home)
    except LexiconNotPulled:
        return absent("WordNet", "polyseme lexicon pull")


# A test that says nothing else: the time that an example takes is the machine's, and no reason to fail.
settings.register_profile("polyseme", deadline=None, max_examples=50)
settings.load_profile("polyseme")

# What is run by one process, since it shares a browser, the large models or a server; any other file is by itself.
# The longest come first, so that of two processes none has much left when the other is done.
GROUPS = {
    "browser": ("tests/browser/",),
    "real models": ("tests/golden/", "tests/unit/test_complexity.py"),
    "PostgreSQL": tuple(
        f"tests/api/test_{name}.py" for name in ("backup", "job_rows", "migrations", "store", "worker")
    ),
}


def _group(nodeid: str) -> str:
    return next((name for name, places in GROUPS.items() if nodeid.startswith(places)), nodeid.partition("::")[0])


def pytest_configure(config: pytest.Config) -> None:
    """pytest-xdist would begin with the groups of the most tests, which are not the longest."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup` by the groups above: pytest-xdist 3.8's own go by a mark that pytest 9.2 does not let it set,
    and then each process sets up every module's fixtures."""
    if config.option.dist != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = list(GROUPS)
    items.sort(key=lambda item: order.index(group) if (group := _group(item.nodeid)) in GROUPS else len(order))
