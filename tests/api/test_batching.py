"""Concurrent requests share batches; what nobody waits for is not read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest

from analysis.errors import BadSpan
from analysis.types import Usages
from service import batching
from service.batching import LEAST_BESIDE, MOST_TOGETHER, Shared
from service.fair import Fair
from service.tickets import CURRENT, ClientGone, DeadlinePassed, ShuttingDown, Ticket
from service.turns import Turns
from tests.api.conftest import MONEY, RIVER, MakeClient, problem
from tests.fake import FakeEncoder
from tests.gated import Gated, Together, use, wait_until


@contextlib.contextmanager
def sharing(encoder: FakeEncoder, beside: int = 0) -> Iterator[tuple[Shared, Fair, Turns]]:
    turns = Turns()
    shared = Shared(turns, lambda _: None, beside)
    try:
        yield shared, Fair(encoder, turns, lambda _: None), turns
    finally:
        getattr(encoder, "gate", Event()).set()
        shared.close()


async def asked(shared: Shared, fair: Fair, texts: Sequence[str], ticket: Ticket, layers: Sequence[int] = (3,)) -> Any:
    CURRENT.set(ticket)
    return await shared.encode(fair, [use(text) for text in texts], layers)


def all_of(*coroutines: Any) -> list[Any]:
    async def run() -> list[Any]:
        return await asyncio.gather(*coroutines, return_exceptions=True)

    return asyncio.run(run())


def test_those_who_wait_are_read_together_and_each_gets_its_own() -> None:
    encoder = Together()
    texts = [f"the bank {i}" for i in range(20)]
    with sharing(encoder) as (shared, fair, _):

        async def run() -> list[Any]:
            first = asyncio.ensure_future(asked(shared, fair, texts[:1], Ticket("first")))
            await asyncio.to_thread(encoder.begun.wait, 10)
            rest = [asyncio.ensure_future(asked(shared, fair, [text], Ticket(text))) for text in texts[1:]]
            while shared.waiting() < 19:
                await asyncio.sleep(0.001)
            encoder.gate.set()
            return await asyncio.gather(first, *rest)

        answers = asyncio.run(run())
    assert [len(batch) for batch in encoder.seen] == [1, 19]
    for text, answer in zip(texts, answers, strict=True):
        alone = FakeEncoder().encode([use(text)], layers=[3])
        assert [occurrence.text for occurrence in answer.occurrences] == [text]
        np.testing.assert_allclose(answer.layers, alone.layers, atol=1e-5)


def test_a_batch_has_an_end_and_callers_are_read_in_turn() -> None:
    encoder = Together()
    with sharing(encoder) as (shared, fair, _):

        async def run() -> None:
            first = asyncio.ensure_future(asked(shared, fair, ["first bank"], Ticket("x")))
            await asyncio.to_thread(encoder.begun.wait, 10)
            greedy = [asked(shared, fair, [f"greedy bank {i}"], Ticket("greedy")) for i in range(3 * MOST_TOGETHER)]
            waiting = [asyncio.ensure_future(one) for one in greedy]
            await asyncio.sleep(0)
            modest = asyncio.ensure_future(asked(shared, fair, ["modest bank"], Ticket("modest")))
            while shared.waiting() <= 3 * MOST_TOGETHER:
                await asyncio.sleep(0.001)
            encoder.gate.set()
            await asyncio.gather(first, modest, *waiting)

        asyncio.run(run())
    assert max(map(len, encoder.seen)) == MOST_TOGETHER
    assert "modest bank" in encoder.seen[1], "it came last, and is read in the next batch"


def test_batches_go_side_by_side_where_enough_wait_and_let_a_large_request_in_between() -> None:
    encoder = Together()
    with sharing(encoder, beside=2) as (shared, fair, turns):

        async def run() -> list[Any]:
            def ask(name: str, n: int) -> list[Any]:
                return [
                    asyncio.ensure_future(asked(shared, fair, [f"{name} bank {i}"], Ticket(name))) for i in range(n)
                ]

            async def until(what: Any) -> None:
                await asyncio.to_thread(wait_until, what)

            waiting = ask("first", 1)
            await until(lambda: len(encoder.seen) == 1)
            waiting += ask("few", LEAST_BESIDE - 1)
            await asyncio.sleep(0.05)
            assert len(encoder.seen) == 1, "of so few, each would cost more beside another batch"
            waiting += ask("last", 1)
            await until(lambda: len(encoder.seen) == 2)
            waiting += ask("more", 3 * LEAST_BESIDE)
            large = asyncio.ensure_future(asyncio.to_thread(fair.encode, [use("large bank")]))
            await until(lambda: turns.waiting() == 1)
            assert len(encoder.seen) == 2, "two at a time"
            encoder.gate.set()
            return await asyncio.gather(large, *waiting)

        _, *answers = asyncio.run(run())
        assert shared.alive
    sizes = [len(batch) for batch in encoder.seen]
    assert sizes[:2] == [1, LEAST_BESIDE]
    assert encoder.seen[2] == ["large bank"]
    assert sum(sizes) == 2 + 4 * LEAST_BESIDE
    for answer in answers:
        assert len(answer) == 1
        alone = FakeEncoder().encode(answer.occurrences, layers=[3])
        np.testing.assert_allclose(answer.layers, alone.layers, atol=1e-5)


def test_the_first_to_ask_again_after_many_is_read_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "SOON", 1.0)
    encoder = Together()
    encoder.gate.set()
    with sharing(encoder, beside=2) as (shared, fair, _):

        async def run() -> None:
            def ask(n: int) -> list[Any]:
                return [asyncio.ensure_future(asked(shared, fair, [f"bank {i}"], Ticket("x"))) for i in range(n)]

            await asyncio.gather(*ask(2 * LEAST_BESIDE))
            first = ask(1)
            await asyncio.sleep(0.1)
            assert shared.waiting() == 1, "others are likely to come"
            await asyncio.gather(*first, *ask(LEAST_BESIDE // 2 - 1))
            await asyncio.gather(*ask(1))  # nobody else comes, and it is read in the end

        asyncio.run(run())
    assert [len(batch) for batch in encoder.seen][-2:] == [LEAST_BESIDE // 2, 1]


def test_batches_side_by_side_are_finished_when_the_service_stops() -> None:
    encoder = Together()
    with sharing(encoder, beside=2) as (shared, fair, _):

        async def run() -> list[Any]:
            texts = [f"bank {i}" for i in range(3 * LEAST_BESIDE)]
            waiting = [asyncio.ensure_future(asked(shared, fair, [text], Ticket(text))) for text in texts]
            await asyncio.to_thread(wait_until, lambda: len(encoder.seen) == 2)
            read = {text for batch in encoder.seen for text in batch}
            late = [asyncio.ensure_future(asked(shared, fair, [f"late bank {i}"], Ticket("late"))) for i in range(3)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(asyncio.to_thread(shared.close))
            await asyncio.to_thread(wait_until, lambda: shared._closed)
            encoder.gate.set()
            done = await asyncio.gather(*waiting, *late, return_exceptions=True)
            await closing
            told = dict(zip([*texts, "late 0", "late 1", "late 2"], done, strict=True))
            assert {text for text, answer in told.items() if isinstance(answer, Usages)} == read
            return done

        done = asyncio.run(run())
    assert all(isinstance(answer, Usages | ShuttingDown) for answer in done)
    assert not any(thread.is_alive() for thread in shared._threads)


def test_other_layers_are_another_batch() -> None:
    with sharing(FakeEncoder()) as (shared, fair, _):
        first, second = all_of(
            asked(shared, fair, ["a bank"], Ticket("x"), [0]), asked(shared, fair, ["a bank"], Ticket("y"), [1, 3])
        )
    assert (first.layer_ids, second.layer_ids) == ((0,), (1, 3))


def test_a_bad_input_fails_nobody_else() -> None:
    class Picky(Together):
        def encode(self, readings: Any, **kwargs: Any) -> Usages:
            if any("bad" in reading.text for reading in readings):
                self.begun.set()
                raise BadSpan("nothing there", remedy="mend it")
            return super().encode(readings, **kwargs)

    encoder = Picky()
    with sharing(encoder) as (shared, fair, turns), turns.turn(holder := Ticket()):

        async def released() -> list[Any]:
            both = asyncio.gather(
                asked(shared, fair, ["bad bank"], Ticket("x")),
                asked(shared, fair, ["good bank"], Ticket("y")),
                return_exceptions=True,
            )
            while shared.waiting() < 2:
                await asyncio.sleep(0.001)
            encoder.gate.set()
            turns._give(holder)
            return await both

        bad, good = asyncio.run(released())
        turns._take(holder)
    assert isinstance(bad, BadSpan)
    assert good.occurrences[0].text == "good bank"


@pytest.mark.parametrize(("ticket", "error"), [(Ticket("x", 0.05), DeadlinePassed), (Ticket("x"), ClientGone)])
def test_what_nobody_waits_for_is_not_read(ticket: Ticket, error: type[Exception]) -> None:
    encoder = Together()
    with sharing(encoder) as (shared, fair, _):

        async def run() -> Any:
            first = asyncio.ensure_future(asked(shared, fair, ["first bank"], Ticket("a")))
            await asyncio.to_thread(encoder.begun.wait, 10)
            second = asyncio.ensure_future(asked(shared, fair, ["second bank"], ticket))
            while not shared.waiting():
                await asyncio.sleep(0.001)
            if error is ClientGone:
                ticket.cancel()
            else:
                await asyncio.wait([second])
            third = asyncio.ensure_future(asked(shared, fair, ["third bank"], Ticket("b")))
            while shared.waiting() < 2:
                await asyncio.sleep(0.001)
            encoder.gate.set()
            return await asyncio.gather(first, second, third, return_exceptions=True)

        _, second, third = asyncio.run(run())
    assert isinstance(second, error)
    assert isinstance(third, Usages)
    assert encoder.seen == [["first bank"], ["third bank"]]


def test_who_waits_when_the_service_stops_is_told() -> None:
    encoder = Together()
    with sharing(encoder) as (shared, fair, _):

        async def run() -> Any:
            first = asyncio.ensure_future(asked(shared, fair, ["first bank"], Ticket("a")))
            await asyncio.to_thread(encoder.begun.wait, 10)
            second = asyncio.ensure_future(asked(shared, fair, ["second bank"], Ticket("b")))
            while not shared.waiting():
                await asyncio.sleep(0.001)
            closing = asyncio.create_task(asyncio.to_thread(shared.close))
            wait = asyncio.create_task(asyncio.to_thread(wait_until, lambda: shared._closed))
            await wait
            encoder.gate.set()
            done = await asyncio.gather(first, second, return_exceptions=True)
            await closing
            with pytest.raises(ShuttingDown):
                await asked(shared, fair, ["late bank"], Ticket("c"))
            return done

        first, second = asyncio.run(run())
    assert isinstance(first, Usages), "what was begun is finished"
    assert isinstance(second, ShuttingDown)


def test_embeddings_of_many_clients_are_batched_and_as_if_alone(make_client: MakeClient) -> None:
    encoder = Together()
    client = make_client({"fake": encoder})
    shared = client.app.state.services.shared  # type: ignore[attr-defined]
    bodies = [{"target": "bank", "texts": [text]} for text in RIVER + MONEY]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(client.post, "/v1/embeddings", json=bodies[0])]
        assert encoder.begun.wait(10)
        waiting += [pool.submit(client.post, "/v1/embeddings", json=body) for body in bodies[1:]]
        wait_until(lambda: shared.waiting() == 7)
        encoder.gate.set()
        together = [one.result(10).json() for one in waiting]
    assert sorted(map(len, encoder.seen)) == [1, 7]
    alone = make_client()
    assert together == [alone.post("/v1/embeddings", json=body).json() for body in bodies]


def test_a_full_queue_is_503_and_says_when_to_come_again(make_client: MakeClient) -> None:
    encoder = Together()
    client = make_client({"fake": encoder}, queue_size=2)
    with ThreadPoolExecutor(2) as pool:
        bodies = [{"target": "bank", "texts": [text]} for text in RIVER[:2]]
        first = pool.submit(client.post, "/v1/embeddings", json=bodies[0])
        assert encoder.begun.wait(10)
        second = pool.submit(client.post, "/v1/senses", json=bodies[1] | {"drivers": "none"})
        wait_until(lambda: client.app.state.services.load.requests == 2)  # type: ignore[attr-defined]
        for path in ("/v1/embeddings", "/v1/senses", "/v1/attention"):
            body = {"text": "a bank"} if path == "/v1/attention" else bodies[0]
            refused = client.post(path, json=body)
            assert problem(refused, 503)["type"] == "urn:polyseme:problem:queue-full"
            assert int(refused.headers["retry-after"]) >= 1
        encoder.gate.set()
        assert (first.result(10).status_code, second.result(10).status_code) == (200, 200)
    assert client.post("/v1/embeddings", json=bodies[0]).status_code == 200


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/senses"])
def test_a_request_past_its_deadline_is_503(make_client: MakeClient, path: str) -> None:
    encoder = Gated()
    client = make_client({"fake": encoder}, deadline_seconds=0.05)
    refused = client.post(path, json={"target": "bank", "texts": RIVER + MONEY})
    assert problem(refused, 503)["type"] == "urn:polyseme:problem:deadline-passed"
    assert "retry-after" in refused.headers
    encoder.gate.set()
