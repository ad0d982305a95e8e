"""Pairs of answers drawn from a model: what is asked, kept, ranked and forgotten."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loopllm_cli.config import Config, PairsConfig, VerifyConfig
from loopllm_cli.errors import ConfigError, ModelUnusable, NoFeedback
from loopllm_cli.loop.drawn import SampleRequest
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.loop.forget_traces import hits
from loopllm_cli.loop.repairs import RepairRequest
from loopllm_cli.model import PairsSummary
from loopllm_cli.pairs.dataset.stored import logged_id
from loopllm_cli.store.erase import Erasure
from loopllm_cli.store.project import Project
from tests.unit.correct.micro import make_model, make_tokenizer

pytestmark = pytest.mark.train

VOWEL = {"kind": "regex", "pattern": "[aeiou]", "worse": "up"}
CONFIG = Config(
    pairs=PairsConfig(sample_prompts=12, seed=3),
    verify=VerifyConfig(max_new_tokens=8),
    signals={"vowel": VOWEL},
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an untrained model that soon stops talking."""
    torch = pytest.importorskip("torch", reason="needs the training extra")
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("micro") / "model"
    tokenizer = make_tokenizer()
    made = make_model(tokenizer)
    # Of an untrained model every token is about as likely: one in three ends the answer.
    made.generation_config.eos_token_id = list(range(0, len(tokenizer), 3))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def build(
    project: Project, request: SampleRequest, config: Config = CONFIG
) -> tuple[PairsSummary, list[str]]:
    """Build pairs and return what was said meanwhile."""
    said: list[str] = []
    wanted = PairsRequest(repair=RepairRequest(sample=request))
    return make_pairs(project, config, wanted, said.append), said


def drawn(project: Project) -> list[dict[str, Any]]:
    """Return what is kept of the model's answers."""
    (path,) = (project.home / "samples").glob("*.parquet")
    return list(pq.read_table(path).to_pylist())


def test_the_best_and_the_worst_answer_to_each_prompt_pair_and_both_are_the_models_own(
    drifted: Project, model: str
) -> None:
    summary, said = build(drifted, SampleRequest(model, 6, ("vowel",)))
    assert f"drawing 72 answers from {model}" in said
    assert {"sampled"} == set(summary.by_rule)
    assert {"refund"} == set(summary.by_segment)
    texts = {row["text"].strip() for row in drawn(drifted)}
    rows = pq.read_table(Path(summary.path) / "data" / "train.parquet").to_pylist()
    assert rows
    for row in rows:
        better, worse = row["chosen"][0]["content"], row["rejected"][0]["content"]
        assert {better, worse} <= texts
        assert not set("aeiou") & set(better)
        assert set("aeiou") & set(worse)
    origins = pq.read_table(Path(summary.path) / "provenance.parquet").to_pylist()
    pairs = [row for row in origins if row["split"] in ("train", "test")]
    assert all(["vowel"] == row["signals"] and model == row["chosen_model"] for row in pairs)
    logged = {row["interaction_id"] for row in drawn(drifted)}
    assert all(logged_id(name) in logged for row in pairs for name in row["interaction_ids"])


def test_a_second_run_draws_nothing_and_a_larger_one_only_what_is_new(
    drifted: Project, model: str
) -> None:
    first, _ = build(drifted, SampleRequest(model, 4, ("vowel",)))
    before = drawn(drifted)
    again, said = build(drifted, SampleRequest(model, 4, ("vowel",)))
    assert first.content_hash == again.content_hash == again.previous
    assert not [line for line in said if line.startswith("drawing")]
    _, said = build(drifted, SampleRequest(model, 6, ("vowel",)))
    assert f"drawing 24 answers from {model}" in said
    after = drawn(drifted)
    assert before == after[: len(before)]
    assert 12 * 6 == len(after)


def test_what_was_drawn_before_an_interruption_is_kept(
    drifted: Project, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopllm_cli.correct import generate

    real, calls = generate.generate_answers, []

    def stops(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(generate, "generate_answers", stops)
    with pytest.raises(KeyboardInterrupt):
        build(drifted, SampleRequest(model, 4, ("vowel",)))
    assert {0, 1} == {row["sample"] for row in drawn(drifted)}
    monkeypatch.undo()
    _, said = build(drifted, SampleRequest(model, 4, ("vowel",)))
    assert f"drawing 24 answers from {model}" in said


def test_other_settings_are_drawn_anew(drifted: Project, model: str) -> None:
    build(drifted, SampleRequest(model, 4, ("vowel",)))
    hot = replace(CONFIG, pairs=replace(CONFIG.pairs, sample_temperature=1.5))
    _, said = build(drifted, SampleRequest(model, 4, ("vowel",)), hot)
    assert f"drawing 48 answers from {model}" in said
    assert 2 == len(list((drifted.home / "samples").glob("*.parquet")))


def test_a_judge_ranks_where_it_is_allowed(drifted: Project, model: str, tmp_path: Path) -> None:
    path = tmp_path / "judge.py"
    path.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    row = json.loads(line)\n"
        "    score = float(not set('aeiou') & set(row['completion']))\n"
        "    print(json.dumps({'id': row['id'], 'score': score}))\n"
    )
    pairs = replace(CONFIG.pairs, judge=f"'{sys.executable}' '{path}'")
    with pytest.raises(ConfigError, match="judges are not heard"):
        build(drifted, SampleRequest(model, 6), replace(CONFIG, pairs=pairs))
    pairs = replace(pairs, allow_judge=True)
    summary, said = build(drifted, SampleRequest(model, 6), replace(CONFIG, pairs=pairs))
    assert {"judge sampled"} == set(summary.by_rule)
    assert "asking the judge about 72 answers" in said
    relative = replace(pairs, judge_model="llama-70b")
    with pytest.raises(ConfigError, match="of the family of the model"):
        build(drifted, SampleRequest("meta-llama/tiny", 6), replace(CONFIG, pairs=relative))


def test_answers_that_are_all_equally_good_make_no_pair(drifted: Project, model: str) -> None:
    """The untrained model never refuses, so what failed cannot tell its answers apart."""
    with pytest.raises(NoFeedback, match="no feedback"):
        build(drifted, SampleRequest(model, 4))


def test_a_model_that_is_not_there_is_said_so(drifted: Project, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable):
        build(drifted, SampleRequest(str(tmp_path / "none"), 4))


def test_what_was_drawn_names_whose_prompts_they_answer(drifted: Project, model: str) -> None:
    """So that forgetting a user, a conversation or an answer finds it."""
    build(drifted, SampleRequest(model, 4, ("vowel",)))
    (path,) = (drifted.home / "samples").glob("*.parquet")
    table = pq.read_table(path)
    user = table.column("user_id").to_pylist()[0]
    gone = Erasure("user", frozenset({user}), frozenset(), frozenset())
    assert 4 == sum(hits(table, gone))
