"""Pairs with tools: rendered as TRL renders them, or not trained on at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from micro import RECIPE, make_model, make_tokenizer

from loopllm_cli.correct import TrainRequest
from loopllm_cli.correct.encoding import encode_answer
from loopllm_cli.correct.pair_rows import VoteRow
from loopllm_cli.correct.preflight import check_pairs
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.correct.trainer import make_trainer, to_dataset
from loopllm_cli.errors import BadPairs

pytestmark = pytest.mark.train


TOOLS = [
    {"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}},
]
WITH_TOOLS = (
    "{% if tools %}<|tools|>{% for tool in tools %}{{ tool.function.name }} {% endfor %}<|end|>"
    "{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% for call in m.tool_calls or [] %}call {{ call.function.name }} "
    "{{ call.function.arguments | tojson }}{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tool_pair(number: int) -> dict[str, Any]:
    """Return a pair in which the better answer calls one tool and the worse one another."""

    def call(name: str, **arguments: Any) -> dict[str, Any]:
        function = {"name": name, "arguments": arguments}
        calls = [{"type": "function", "function": function}]
        return {"role": "assistant", "content": "", "tool_calls": calls}

    return {
        "prompt": [{"role": "user", "content": f"where is {number}"}],
        "chosen": [call("track", order=number)],
        "rejected": [call("refund", reason="unknown")],
        "tools": TOOLS,
    }


def write_tool_pairs(
    folder: Path, n: int = 24, make: Callable[[int], dict[str, Any]] = tool_pair
) -> Path:
    """Write a folder whose rows have tools, as JSON columns."""
    chat = pa.list_(pa.string())
    sides = ("prompt", "chosen", "rejected")
    schema = pa.schema([*((side, chat) for side in sides), ("tools", pa.string())])
    rows = [
        {
            **{side: [json.dumps(m) for m in row[side]] for side in sides},
            "tools": json.dumps(row["tools"]),
        }
        for row in map(make, range(n))
    ]
    (folder / "data").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / "data" / "train.parquet")
    return folder


# As Llama 3.1 has it: a message that has the key calls a tool, whatever its value.
BY_KEY = WITH_TOOLS.replace(
    "{% for call in m.tool_calls or [] %}",
    "{% if 'tool_calls' in m and m.tool_calls | length != 1 %}{{ raise_exception('one call') }}"
    "{% endif %}{% for call in m.tool_calls or [] %}",
)
REFUSING = (
    "{% for m in messages %}{% if m.role not in ('user', 'assistant') or m.tool_calls %}"
    "{{ raise_exception('what is a tool?') }}{% endif %}<|{{ m.role }}|>{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def answered_pair(number: int) -> dict[str, Any]:
    """Return a pair of texts after a call and its result."""
    asked, called = tool_pair(number)["prompt"], tool_pair(number)["chosen"]
    result = {"role": "tool", "content": f"arrives on day {number}", "name": "track"}
    return {
        "prompt": [*asked, *called, result],
        "chosen": [{"role": "assistant", "content": f"day {number}"}],
        "rejected": [{"role": "assistant", "content": "soon"}],
        "tools": TOOLS,
    }


def test_pairs_with_tools_are_rendered_with_them(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(WITH_TOOLS)
    checked = check_pairs(write_tool_pairs(tmp_path), tokenizer, Recipe())
    row = checked.train[0]
    encoded = encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools)
    assert (24, {}) == (len(checked.train), checked.report.dropped)
    assert "track refund" in tokenizer.decode(encoded.prompt)
    assert "track" in tokenizer.decode(encoded.answer)
    assert encoded.is_prefix


def test_trl_gets_every_call_with_its_own_arguments_only(tmp_path: Path) -> None:
    checked = check_pairs(write_tool_pairs(tmp_path), make_tokenizer(WITH_TOOLS), Recipe())
    first = to_dataset(checked.train)[0]
    assert {"order": 0} == first["chosen"][0]["tool_calls"][0]["function"]["arguments"]
    assert {"reason": "unknown"} == first["rejected"][0]["tool_calls"][0]["function"]["arguments"]
    assert TOOLS == json.loads(first["tools"])


@pytest.mark.parametrize("template", [None, WITH_TOOLS.replace("m.tool_calls or []", "[]")])
def test_a_template_that_hides_tools_or_calls_trains_none_of_them(
    tmp_path: Path, template: str | None
) -> None:
    tokenizer = make_tokenizer(template) if template else make_tokenizer()
    with pytest.raises(BadPairs, match="that the chat template does not show"):
        check_pairs(write_tool_pairs(tmp_path), tokenizer, Recipe())


def test_a_template_that_hides_results_or_refuses_tools_trains_none_of_them(
    tmp_path: Path,
) -> None:
    hiding = WITH_TOOLS.replace("{{ m.content }}", "{{ m.content if m.role != 'tool' }}")
    folder = write_tool_pairs(tmp_path, make=answered_pair)
    assert 24 == len(check_pairs(folder, make_tokenizer(WITH_TOOLS), Recipe()).train)
    for template in (hiding, REFUSING):
        with pytest.raises(BadPairs, match="24 of 24 training pairs have tools or calls") as caught:
            check_pairs(folder, make_tokenizer(template), Recipe())
        assert "whose chat template renders tools" in caught.value.hint


def test_a_few_pairs_whose_tools_are_hidden_are_left_out_and_counted(tmp_path: Path) -> None:
    def make(number: int) -> dict[str, Any]:
        plain = {**answered_pair(number), "tools": None}
        return plain | {"prompt": plain["prompt"][:1]} if number else answered_pair(number)

    checked = check_pairs(write_tool_pairs(tmp_path, make=make), make_tokenizer(REFUSING), Recipe())
    reason = "tools or calls that the chat template does not show"
    assert (23, {reason: 1}) == (len(checked.train), checked.report.dropped)


@pytest.mark.parametrize("template", [WITH_TOOLS, BY_KEY], ids=["by value", "by key"])
@pytest.mark.parametrize("make", [tool_pair, answered_pair])
def test_trl_trains_on_the_very_tokens_that_were_checked(
    tmp_path: Path, template: str, make: Callable[[int], dict[str, Any]]
) -> None:
    tokenizer = make_tokenizer(template)
    folder = write_tool_pairs(tmp_path / "pairs", make=make)
    checked = check_pairs(folder, tokenizer, RECIPE)
    with quiet():
        trainer = make_trainer(
            make_model(tokenizer), tokenizer, checked.train, RECIPE, tmp_path / "run"
        )
    assert len(checked.train) == len(trainer.train_dataset)
    for row, trained in zip(checked.train, trainer.train_dataset, strict=True):
        chosen = encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools)
        rejected = encode_answer(tokenizer, row.prompt, row.rejected_message, row.tools)
        assert chosen.prompt == trained["prompt_ids"]
        assert (chosen.answer, rejected.answer) == (trained["chosen_ids"], trained["rejected_ids"])


def test_an_adapter_is_trained_on_calls(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(BY_KEY)
    make_model(tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    folder = write_tool_pairs(tmp_path / "pairs")
    card = build_adapter(
        TrainRequest(str(tmp_path / "model"), folder, tmp_path / "adapter", RECIPE)
    )
    assert 24 == card.n_train
    assert card.final_metrics["train_reward_accuracy"] > 0.9


@pytest.mark.parametrize("make", [tool_pair, answered_pair])
def test_votes_and_answers_alone_are_trained_on_the_same_tokens(
    tmp_path: Path, make: Callable[[int], dict[str, Any]]
) -> None:
    """The trainers for judged answers and for better answers render what was checked."""
    tokenizer = make_tokenizer(BY_KEY)
    rows = check_pairs(write_tool_pairs(tmp_path / "pairs", make=make), tokenizer, RECIPE).train
    one = {"loss_weights": (1.0,), "micro_batch_size": 4}
    kto = replace(RECIPE, method="kto", loss_type=("kto",), **one)
    sft = replace(RECIPE, method="sft", loss_type=("sft",), **one)
    votes = [VoteRow(row.better, i % 2 == 0) for i, row in enumerate(rows)]
    with quiet():
        liked = make_trainer(make_model(tokenizer), tokenizer, votes, kto, tmp_path / "kto")
        learnt = make_trainer(make_model(tokenizer), tokenizer, rows, sft, tmp_path / "sft")
    for row, by_kto, by_sft in zip(rows, liked.train_dataset, learnt.train_dataset, strict=True):
        chosen = encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools)
        assert (chosen.prompt, chosen.answer) == (by_kto["prompt_ids"], by_kto["completion_ids"])
        assert chosen.prompt + chosen.answer == by_sft["input_ids"]
        assert [-100] * len(chosen.prompt) + chosen.answer == by_sft["labels"]
