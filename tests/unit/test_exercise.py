from __future__ import annotations

import pytest

from analysis.errors import BadText
from analysis.exercise import CHOICES, IDEAS, LONGEST, exercise, feedback
from analysis.lesson import PARTS

GOOD = (
    "Any two words are connected by a path of constant length, so gradients do not vanish; all words are processed in "
    "parallel, and queries pick what is relevant by content."
)


def found(answer: str) -> set[str]:
    told = feedback(answer)
    assert told.kind == "typed"
    return {idea.id for idea in (*told.found, *told.mistaken)}


def test_one_choice_is_right_and_all_point_to_a_part() -> None:
    assert [choice.letter for choice in CHOICES if choice.right] == ["b"]
    assert {choice.chart for choice in CHOICES} | {idea.chart for idea in IDEAS} < set(PARTS)
    assert [option.text for option in exercise().choices] == [choice.text for choice in CHOICES]
    for choice in CHOICES:
        for given in (choice.letter, f" {choice.letter.upper()}) "):
            told = feedback(given)
            assert (told.kind, told.right, told.said) == ("choice", choice.right, choice.feedback)


def test_a_good_answer_has_all_ideas_and_an_honest_caveat() -> None:
    told = feedback(GOOD)
    assert {idea.id for idea in told.found} == {"path", "gradients", "parallel", "content"}
    assert not told.missing
    assert not told.mistaken
    assert told.right is None
    assert "does not understand" in told.said


@pytest.mark.parametrize(
    ("answer", "ideas"),
    [
        ("there is a direct connection between far words", {"path"}),
        ("O(1) path length", {"path"}),
        ("RNNs suffer from vanishing gradients", {"gradients"}),
        ("it can be computed simultaneously", {"parallel"}),
        ("it looks at the whole sentence", {"content"}),
        ("it is cheaper", {"cheap"}),
        ("attention knows the word order", {"order"}),
        ("because bananas are yellow", set()),
        ("the keynote was in the pathology department", set()),
    ],
)
def test_ideas_are_recognised_by_their_words(answer: str, ideas: set[str]) -> None:
    assert found(answer) == ideas


def test_what_is_recognised_is_quoted_and_what_is_not_is_named() -> None:
    told = feedback("Gradients vanish. GRADIENTS!")
    assert [(idea.id, idea.words) for idea in told.found] == [("gradients", ("gradients", "vanish"))]
    assert [idea.id for idea in told.missing] == ["path", "parallel", "content"]
    assert all(idea.why and idea.chart for idea in told.missing)


@pytest.mark.parametrize("answer", ["", " ", "z", "?", "w" * (LONGEST + 1)])
def test_what_is_no_answer_is_refused(answer: str) -> None:
    with pytest.raises(BadText) as caught:
        feedback(answer)
    assert caught.value.where == ("answer",)
    assert "a, b, c, d, e" in caught.value.remedy
