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
from typing import TYPE_CHECKING, NamedTuple, NoReturn

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

# What is run together, the longest first, so that of two processes none has much left when the other is done.
GROUPS = ("browser", "real models", "PostgreSQL")


def pytest_configure(config: pytest.Config) -> None:
    """pytest-xdist would begin with the groups of the most tests, which are not the longest."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two processes each takes whole files, or all files that share a browser, the large models, or a server."""
    servers = {item.path for item in items if item.get_closest_marker("postgres")}

    def group(item: pytest.Item) -> str:
        folder = item.path.parent.name
        shared = {"browser": "browser", "golden": "real models"}.get(folder)
        return shared or ("PostgreSQL" if item.path in servers else str(item.path))

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: GROUPS.index(group(item)) if group(item) in GROUPS else len(GROUPS))
