from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text, update

from analysis import edits, fitting, sensefile
from analysis.corpus import documents
from analysis.errors import BadOption
from analysis.pipeline import analyse, induced
from analysis.record import Analysis
from analysis.saved import SavedSenses
from service.encoders import Encoders, ModelUnavailable
from service.store import ANALYSES, SENSE_MODELS, NotFound, Store, StoreError
from tests.api.conftest import MONEY, RIVER
from tests.fake import FakeEncoder


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(FakeEncoder(), documents([*RIVER, *MONEY, "an “über” bank 🏦\0"]), "bank")


@pytest.fixture(scope="module")
def saved() -> SavedSenses:
    return fitting.keep(induced(FakeEncoder(), documents([*RIVER, *MONEY, "an “über” bank 🏦\0"]), "bank"))


@pytest.fixture(params=["memory", "file", pytest.param("server", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    urls = {"memory": lambda: "sqlite://", "file": lambda: f"sqlite:///{tmp_path}/new folder/a.db"}
    store = Store(urls.get(request.param, lambda: request.getfixturevalue("postgres_url"))())
    yield store
    store.close()


def test_what_is_saved_comes_back_the_same(store: Store, analysis: Analysis) -> None:
    store.save(analysis)
    store.save(analysis)
    assert store.get(analysis.id) == analysis
    store.ping()


def test_what_is_deleted_is_gone(store: Store, analysis: Analysis) -> None:
    store.save(analysis)
    store.delete(analysis.id)
    with pytest.raises(NotFound, match=analysis.id):
        store.get(analysis.id)
    with pytest.raises(NotFound):
        store.delete(analysis.id)


def test_sense_models_come_back_the_same_and_go(store: Store, saved: SavedSenses) -> None:
    assert store.save_senses(saved)
    assert not store.save_senses(saved)
    again = store.get_senses(saved.id)
    assert sensefile.to_bytes(again) == sensefile.to_bytes(saved)
    with pytest.raises(NotFound, match="no analysis"):
        store.get(saved.id)
    store.delete_senses(saved.id)
    with pytest.raises(NotFound, match=f"no sense model '{saved.id}'"):
        store.get_senses(saved.id)
    for missing in (saved.id, "\0", "a'; DROP TABLE sense_models", "é"):
        with pytest.raises(NotFound):
            store.delete_senses(missing)


def test_sense_models_are_listed_newest_first(store: Store, saved: SavedSenses) -> None:
    # A database of the whole session may hold others, which are older.
    names = ["“über”", "b", "c"]
    made = [edits.rename(saved, saved.model.senses[0], name) for name in names]
    for one in made:
        store.save_senses(one)
    listed, cursor = store.list_senses(limit=2)
    assert [one["id"] for one in listed] == [made[2].id, made[1].id]
    (first,) = store.list_senses(limit=1, cursor=cursor).items
    assert (first["id"], first["parent"], first["target"], first["model"]) == (made[0].id, saved.id, "bank", "fake")
    assert first["senses"][0]["label"] == "“über”"


def test_pages_hold_every_analysis_once_whatever_comes_and_goes(store: Store, analysis: Analysis) -> None:
    with store.engine.begin() as connection:
        connection.execute(ANALYSES.delete())
    ids = [f"{number:020x}" for number in range(7)]
    for name in ids:
        store.save(replace(analysis, id=name))
    with store.engine.begin() as connection:  # five of one moment, as a restored backup may have them
        connection.execute(
            update(ANALYSES).where(ANALYSES.c.id < ids[5]).values(created=datetime(2026, 1, 1, tzinfo=UTC))
        )
    first = store.list_analyses(limit=3)
    assert [row["id"] for row in first.items] == [ids[6], ids[5], ids[0]]
    about = first.items[0]
    assert (about["target"], about["model"], about["verdict"]) == ("bank", "fake", analysis.verdict)
    assert (about["usages"], about["senses"]) == (9, len(analysis.senses))
    assert first.items[2]["created"] == datetime(2026, 1, 1, tzinfo=UTC)
    store.delete(ids[0])  # where the page ended
    store.save(replace(analysis, id="f" * 20))  # newer than the page
    second = store.list_analyses(limit=3, cursor=first.next)
    assert [row["id"] for row in second.items] == ids[1:4]
    assert store.list_analyses(limit=3, cursor=second.next) == (
        [store.list_analyses(limit=10).items[-1]],
        None,
    )


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "MjAyNg==", "MjAyNi0wMS0wMSAnIE9S", "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCBh"]
)
def test_a_cursor_that_no_list_gave(store: Store, cursor: str) -> None:
    with pytest.raises(BadOption, match="cursor"):
        store.list_analyses(limit=1, cursor=cursor)


def test_threads_may_save_the_same_sense_model_at_once(store: Store, saved: SavedSenses) -> None:
    one = edits.rename(saved, saved.model.senses[0], "at once")
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(store.save_senses, [one] * 16)) == 1
    assert store.get_senses(one.id).id == one.id


def test_threads_may_save_the_same_at_once(store: Store, analysis: Analysis) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.save, [analysis] * 16))
    assert store.get(analysis.id) == analysis


def test_a_file_is_kept_and_in_wal_mode(tmp_path: Path, analysis: Analysis) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    first = Store(url)
    first.save(analysis)
    first.close()
    again = Store(url)
    assert again.get(analysis.id) == analysis
    with again._engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000
    again.close()


def test_a_body_of_another_version_is_the_stores_fault(store: Store, analysis: Analysis) -> None:
    store.save(analysis)
    with store._engine.begin() as connection:
        connection.execute(update(ANALYSES).values(body='{"schema_version": 99}'))
    with pytest.raises(StoreError, match="another version"):
        store.get(analysis.id)


def test_a_sense_model_of_another_version_is_the_stores_fault(store: Store, saved: SavedSenses) -> None:
    store.save_senses(saved)
    with store._engine.begin() as connection:
        connection.execute(update(SENSE_MODELS).values(body=sensefile.to_bytes(saved)[:-1]))
    with pytest.raises(StoreError, match="another version"):
        store.get_senses(saved.id)
    with store._engine.begin() as connection:  # a server outlives the test
        connection.execute(SENSE_MODELS.delete())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "URL is not right"),
        ("oracle9://x", "URL is not right"),
        ("sqlite:////proc/none/a.db", "cannot be opened: .*/proc/none"),
        ("postgresql+psycopg://polyseme:secret@127.0.0.1:1/x", "cannot be opened: .*refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_clear_line(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        Store(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_encoder_is_loaded_once_and_only_by_its_name() -> None:
    loaded: list[str] = []

    def load(name: str) -> FakeEncoder:
        loaded.append(name)
        return FakeEncoder()

    encoders = Encoders(["a", "b"], load)
    assert list(encoders) == ["a", "b"]
    assert "a" in encoders
    assert "/etc" not in encoders
    assert encoders.info("a") is None
    assert loaded == []
    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(encoders.__getitem__, ["a"] * 16)))) == 1
    assert loaded == ["a"]
    assert encoders.info("a") == FakeEncoder().info
    with pytest.raises(KeyError):
        encoders["/etc"]


def test_a_model_that_failed_to_load_is_tried_again() -> None:
    from analysis.errors import DigestMismatch

    answers: list[FakeEncoder | Exception] = [DigestMismatch("/secret", remedy="pull"), FakeEncoder()]

    def load(name: str) -> FakeEncoder:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    encoders = Encoders(["a"], load)
    with pytest.raises(ModelUnavailable) as caught:
        encoders["a"]
    assert "secret" not in str(caught.value)
    assert encoders["a"].info.name == "fake"
