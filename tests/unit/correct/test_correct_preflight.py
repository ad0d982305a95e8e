"""Pairs that would train nothing, or something nobody meant, are refused with counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro import SPECIAL, TEMPLATE, good_pairs, liked, make_tokenizer, pair

from loopllm_cli.correct.encoding import ends_properly
from loopllm_cli.correct.preflight import check_pairs
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import BadPairs

pytestmark = pytest.mark.train

MakePairs = Callable[..., Path]
RECIPE = Recipe(max_length=128)


def refusal(folder: Path, tokenizer: Any, recipe: Recipe = RECIPE) -> BadPairs:
    """Return what the pre-flight says against a folder."""
    with pytest.raises(BadPairs) as caught:
        check_pairs(folder, tokenizer, recipe)
    assert caught.value.hint
    return caught.value


def test_good_pairs_are_kept_and_counted(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Nothing is left out of good pairs, and their lengths are counted."""
    checked = check_pairs(make_pairs(good_pairs(24), good_pairs(5, 50)), tokenizer, RECIPE)
    report = checked.report
    assert (
        report.n_read, report.n_train, report.n_test, report.n_retention, report.dropped,
    ) == (24, 24, 5, 0, {})  # fmt: skip
    assert 0 < report.tokens_mean <= report.tokens_max < 128
    assert report.notes == ()
    assert checked.card["drift_run_id"] == "drift-1"


def test_a_missing_folder_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    """A folder without training pairs is refused with the command that makes one."""
    said = refusal(tmp_path / "none", tokenizer)
    assert "loopllm pairs" in said.hint


def test_an_empty_set_is_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """An empty training file is refused."""
    assert "0 rows" in refusal(make_pairs([]), tokenizer).message


def test_a_damaged_file_is_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """A training file that is no Parquet is refused."""
    folder = make_pairs(good_pairs(24))
    (folder / "data" / "train.parquet").write_bytes(b"PAR1 and no more")
    assert "cannot be read as Parquet" in refusal(folder, tokenizer).message


def test_a_damaged_card_is_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """A card that is cut off is refused."""
    folder = make_pairs(good_pairs(24))
    (folder / "card.json").write_text('{"content_hash": ')
    assert "not valid JSON" in refusal(folder, tokenizer).message


@pytest.mark.parametrize("column", ["prompt", "chosen", "rejected"])
def test_a_missing_column_is_refused(make_pairs: MakePairs, tokenizer: Any, column: str) -> None:
    """Each of the three columns is needed."""
    columns = [name for name in ("prompt", "chosen", "rejected") if name != column]
    assert column in refusal(make_pairs(good_pairs(24), columns=columns), tokenizer).message


def test_too_few_pairs_are_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Nineteen pairs are refused and twenty are not."""
    assert "only 19 of 19" in refusal(make_pairs(good_pairs(19)), tokenizer).message
    checked = check_pairs(make_pairs(good_pairs(20), name="more"), tokenizer, RECIPE)
    assert checked.report.n_train == 20


@pytest.mark.parametrize(
    "bad",
    [
        pair("a", "", "no"),
        pair("a", "yes", "  \n"),
        pair("a", None, "no"),
        {"prompt": [], "chosen": pair("a", "b", "c")["chosen"], "rejected": None},
        {**pair("a", "b", "c"), "chosen": [{"role": "user", "content": "b"}]},
        {**pair("a", "b", "c"), "prompt": [{"role": "user", "content": None}]},
    ],
    ids=["chosen", "rejected", "none", "no prompt", "role", "prompt text"],
)
def test_empty_sides_are_refused(make_pairs: MakePairs, tokenizer: Any, bad: Any) -> None:
    """An empty or missing side is refused with its count."""
    said = refusal(make_pairs([*good_pairs(24), bad]), tokenizer)
    assert "1 of 25 training pairs have an empty or missing" in said.message


def test_identical_and_repeated_pairs_are_dropped(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Pairs that differ in white space only, and repeats, are left out and counted."""
    rows = [*good_pairs(24), *good_pairs(2), pair("a", "one  two", "one two\n")]
    report = check_pairs(make_pairs(rows), tokenizer, RECIPE).report
    assert report.dropped == {"chosen and rejected are the same": 1, "repeated pair": 2}
    assert report.n_train == 24
    assert len(report.notes) == 2


def test_only_identical_pairs_leave_nothing_to_learn(make_pairs: MakePairs, tokenizer: Any) -> None:
    """When every pair is identical the run is refused."""
    said = refusal(make_pairs([pair(f"p {i}", "same", "same") for i in range(30)]), tokenizer)
    assert said.message.startswith("nothing to learn: none of 30")


def test_pairs_equal_after_truncation_are_dropped(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Answers that differ only behind max_length teach nothing."""
    rows = [pair(f"p {i}", "same " * 60 + "a", "same " * 60 + "b") for i in range(30)]
    said = refusal(make_pairs(rows), tokenizer, Recipe(max_length=32))
    assert "30 same after truncation to max_length" in said.message


def test_contradictory_pairs_are_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """A over B and B over A on one context cannot both be learnt."""
    rows = [*good_pairs(24), pair("p", "a", "b"), pair("p", "b", "a")]
    assert "1 pair(s) appear in both directions" in refusal(make_pairs(rows), tokenizer).message


def test_many_long_contexts_are_refused_and_few_dropped(
    make_pairs: MakePairs, tokenizer: Any
) -> None:
    """One context in forty that is too long is dropped; one in ten is refused."""
    long = [pair("word " * 200 + str(i), "yes", "no") for i in range(4)]
    report = check_pairs(make_pairs([*good_pairs(39), long[0]]), tokenizer, RECIPE).report
    assert report.dropped == {"context longer than max_length": 1}
    said = refusal(make_pairs([*good_pairs(36), *long], name="long"), tokenizer)
    assert "4 of 40 contexts are longer than max_length = 128" in said.message


def test_cut_answers_are_refused_when_many_and_dropped_when_few(
    make_pairs: MakePairs, tokenizer: Any
) -> None:
    """Nothing is trained on an answer without its end; the remedy names the length that holds."""
    cut = [pair(f"p {i}", "yes " * 200, "no") for i in range(2)]
    cut.append(pair("q", "yes", "no " * 200))
    report = check_pairs(make_pairs([*good_pairs(57), *cut]), tokenizer, RECIPE).report
    assert (report.n_train, report.n_truncated) == (57, 3)
    assert report.dropped == {"answer cut at max_length": 3}
    folder = make_pairs([*good_pairs(30), *cut], name="many")
    said = refusal(folder, tokenizer)
    assert "3 of 33 rows have an answer that is cut at max_length = 128" in said.message
    needed = int(said.hint.split(": ")[1].split()[0])
    assert check_pairs(folder, tokenizer, Recipe(max_length=needed)).report.n_train == 33
    assert refusal(folder, tokenizer, Recipe(max_length=needed - 1)).message.startswith("2 of 33")


def test_a_template_that_never_stops_is_refused(make_pairs: MakePairs) -> None:
    """A template that writes no end token would train a model that does not stop."""
    tokenizer = make_tokenizer(TEMPLATE.replace("{{ eos_token }}", ""))
    assert "stop token" in refusal(make_pairs(good_pairs(24)), tokenizer).message


def test_a_line_break_after_the_stop_token_is_allowed(make_pairs: MakePairs) -> None:
    """Templates that end a turn with a stop token and a line break are fine."""
    tokenizer = make_tokenizer(TEMPLATE.replace("{{ eos_token }}", "{{ eos_token + '\n' }}"))
    assert check_pairs(make_pairs(good_pairs(24)), tokenizer, RECIPE).report.n_train == 24


def test_a_turn_token_counts_as_stop_when_the_model_says_so(make_pairs: MakePairs) -> None:
    """A template may end with a token that only the generation settings name."""
    tokenizer = make_tokenizer(TEMPLATE.replace("{{ eos_token }}", "<|system|>"))
    folder = make_pairs(good_pairs(24))
    assert "stop token" in refusal(folder, tokenizer).message
    stops = {SPECIAL.index("<|end|>"), SPECIAL.index("<|system|>")}
    assert check_pairs(folder, tokenizer, RECIPE, stops).report.n_train == 24


def test_text_after_the_stop_token_is_not_an_end(tokenizer: Any) -> None:
    """A stop token in the middle of an answer does not end it."""
    ids = [*tokenizer("yes").input_ids, tokenizer.eos_token_id]
    assert ends_properly(tokenizer, ids, {tokenizer.eos_token_id})
    assert not ends_properly(tokenizer, [*ids, *ids[:1]], {tokenizer.eos_token_id})


def test_a_generation_prompt_that_is_no_prefix_is_refused(make_pairs: MakePairs) -> None:
    """Training and serving must see the same context."""
    tokenizer = make_tokenizer(TEMPLATE.replace("%}<|assistant|>{%", "%}<|assistant|>Well: {%"))
    said = refusal(make_pairs(good_pairs(24)), tokenizer)
    assert "renders 24 of 24 contexts differently" in said.message


def test_unusable_retention_rows_are_left_out(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Retention rows that are empty, repeated or too long do not stop a run."""
    rows = [*liked(10), *liked(2), *liked(1)]
    rows[-1] = {"prompt": rows[0]["prompt"], "chosen": [{"role": "assistant", "content": " "}]}
    rows.append({"prompt": rows[0]["prompt"], "chosen": pair("", "yes " * 200, "")["chosen"]})
    checked = check_pairs(make_pairs(good_pairs(24), retention=rows), tokenizer, RECIPE)
    assert checked.report.n_retention == 10
    assert {True} == {row.chosen == row.rejected for row in checked.retention}


def test_a_folder_without_a_card_is_used(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Pairs made by hand need no card."""
    folder = make_pairs(good_pairs(24))
    assert json.loads((folder / "card.json").read_text())
    (folder / "card.json").unlink()
    assert check_pairs(folder, tokenizer, RECIPE).card == {}


FAILED = {"name": "flipped-labels", "severity": "fail", "text": "60 of 80 are the wrong way round"}


def with_findings(folder: Path, findings: Any) -> Path:
    """Write an audit into the card of a pairs folder."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "findings": findings}))
    return folder


def test_pairs_whose_audit_failed_are_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    error = refusal(with_findings(make_pairs(good_pairs(24)), [FAILED]), tokenizer)
    assert "flipped-labels: 60 of 80 are the wrong way round" in error.message
    assert "accept" in error.hint


@pytest.mark.parametrize(
    "findings",
    [[{**FAILED, "severity": "warn"}], [{**FAILED, "accepted": True}], [], None, "x", [3]],
)
def test_pairs_that_only_warn_or_are_accepted_are_used(
    make_pairs: MakePairs, tokenizer: Any, findings: Any
) -> None:
    folder = with_findings(make_pairs(good_pairs(24)), findings)
    assert check_pairs(folder, tokenizer, RECIPE).train
