"""Requests take turns at the encoder, caller by caller; who no longer waits leaves the line."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread, get_ident
from typing import Any

import numpy as np
import pytest

from service.fair import Fair
from service.tickets import CURRENT, ClientGone, DeadlinePassed, ShuttingDown, Ticket
from service.turns import Turns
from tests.fake import FakeEncoder
from tests.gated import Gated, use, wait_until


def in_thread(ticket: Ticket, work: Any) -> Future[Any]:
    done: Future[Any] = Future()

    def run() -> None:
        CURRENT.set(ticket)
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is for whoever asks for the result
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done


def test_a_small_request_goes_between_the_batches_of_a_large_one() -> None:
    encoder = Gated()
    turns = Turns()
    fair = Fair(encoder, turns, lambda _: None)
    large = in_thread(Ticket("a"), lambda: fair.encode([use(f"large bank {i}") for i in range(6)]))
    assert encoder.begun.wait(10)
    more = in_thread(Ticket("a"), lambda: fair.encode([use("second bank of a")]))
    wait_until(lambda: turns.waiting() == 1)
    small = in_thread(Ticket("b"), lambda: fair.encode([use("small bank")]))
    wait_until(lambda: turns.waiting() == 2)
    encoder.gate.set()
    np.testing.assert_array_equal(
        large.result(10).vectors, FakeEncoder().encode([use(f"large bank {i}") for i in range(6)]).vectors
    )
    assert len(small.result(10)) == len(more.result(10)) == 1
    first = [batch[0] for batch in encoder.seen]
    # Callers in turn: b before the rest of a; and of a its second request before the third batch of the first.
    assert first.index("small bank") < first.index("large bank 4")
    assert first.index("second bank of a") < first.index("large bank 4")
    assert turns.waiting() == 0


@pytest.mark.parametrize("how", ["gone", "late", "stopped"])
def test_a_large_request_is_dropped_between_two_batches(how: str) -> None:
    encoder = Gated()
    turns = Turns()
    fair = Fair(encoder, turns, lambda _: None)
    ticket = Ticket("a", 0.2 if how == "late" else None)
    large = in_thread(ticket, lambda: fair.encode([use(f"bank {i}") for i in range(6)]))
    assert encoder.begun.wait(10)
    if how == "gone":
        ticket.cancel()
    elif how == "stopped":
        turns.close()
    else:
        wait_until(lambda: ticket.left() == 0)
    encoder.gate.set()
    with pytest.raises({"gone": ClientGone, "late": DeadlinePassed, "stopped": ShuttingDown}[how]):
        large.result(10)
    assert len(encoder.seen) == 1
    if how != "stopped":
        assert len(fair.encode([use("next bank")])) == 1, "the turn was given back"


def test_who_gives_up_waiting_leaves_the_line() -> None:
    turns = Turns()
    gone, late = Ticket("a"), Ticket("b", 0.01)
    with turns.turn(Ticket("holder")):
        waits = [in_thread(ticket, lambda ticket=ticket: turns.turn(ticket).__enter__()) for ticket in (gone, late)]
        with pytest.raises(DeadlinePassed):
            waits[1].result(10)
        wait_until(lambda: turns.waiting() == 1)
        gone.cancel()
        with pytest.raises(ClientGone):
            waits[0].result(10)
        assert turns.waiting() == 0
    with turns.turn(Ticket("next")):
        pass


def test_who_had_a_turn_lets_go_before_the_next_has_one() -> None:
    told: list[tuple[str, int]] = []

    def note(what: str) -> None:
        told.append((what, get_ident()))

    turns = Turns(let_go=lambda: note("let go"))

    def work() -> None:
        with turns.turn(Ticket("b")):
            note("has it")

    with turns.turn(Ticket("a")):
        other = in_thread(Ticket("b"), work)
        wait_until(lambda: turns.waiting() == 1)
    other.result(10)
    assert [what for what, _ in told] == ["let go", "has it", "let go"]
    assert told[0][1] == get_ident() != told[2][1] == told[1][1]


def test_tickets_beside_each_other_go_together_but_not_before_who_waits() -> None:
    turns = Turns()
    first, second = Ticket("shared", beside=True), Ticket("shared", beside=True)
    with turns.turn(first):
        with turns.turn(second):
            alone = in_thread(Ticket("a"), lambda: turns.turn(Ticket("a")).__enter__())
            wait_until(lambda: turns.waiting() == 1)
        gone = Ticket("b")
        third = in_thread(gone, lambda: turns.turn(Ticket("shared", 0.05, beside=True)).__enter__())
        with pytest.raises(DeadlinePassed):
            third.result(10)
        assert not alone.done()
    alone.result(10)
    assert turns.waiting() == 0
