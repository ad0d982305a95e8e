"""Answers come back in order, end where the model ends them, and do not depend on the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from micro import SPECIAL, make_model

from loopllm_cli.correct.encoding import encode_prompt
from loopllm_cli.correct.generate import GenerateSettings, generate_answers
from loopllm_cli.correct.pair_rows import PairRow
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.score import adapter_effect, kl_per_token, score_pairs
from loopllm_cli.model import Message

pytestmark = pytest.mark.train

PROMPTS: list[list[Message]] = [
    [{"role": "user", "content": "where is my " + "parcel " * n + "?"}] for n in (9, 1, 5, 2, 7, 3)
]


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    """Return a micro model with an adapter whose weights are all drawn."""
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    # PEFT asks transformers by a name that is about to go, and says so.
    with quiet():
        wrapped = get_peft_model(make_model(tokenizer), config)
    torch.manual_seed(0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    return wrapped.eval()


def naive(model: Any, tokenizer: Any, prompt: list[Message], n_tokens: int) -> list[int]:
    """Return the likeliest answer, token by token and without cache, batch or padding."""
    import torch

    ids = encode_prompt(tokenizer, prompt)
    answer: list[int] = []
    while len(answer) < n_tokens:
        with torch.no_grad():
            logits = model(torch.tensor([ids + answer]), use_cache=False).logits
        answer.append(int(logits[0, -1].argmax()))
        if answer[-1] == tokenizer.eos_token_id:
            break
    return answer


def test_batched_answers_equal_naive_ones_in_order(model: Any, tokenizer: Any) -> None:
    """Sorting, padding and caching change nothing, and the order is restored."""
    settings = GenerateSettings(max_new_tokens=8, batch_size=4)
    answers = generate_answers(model, tokenizer, PROMPTS, settings)
    expected = [naive(model, tokenizer, prompt, 8) for prompt in PROMPTS]
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in expected]
    assert texts == [answer.text for answer in answers]
    assert [len(ids) for ids in expected] == [answer.n_tokens for answer in answers]
    assert all(answer.duration_s > 0 for answer in answers)


def test_an_answer_that_never_ends_says_length(model: Any, tokenizer: Any) -> None:
    """An answer cut by the limit is marked so."""
    answers = generate_answers(model, tokenizer, PROMPTS, GenerateSettings(max_new_tokens=3))
    assert {("length", 3)} == {(answer.finish_reason, answer.n_tokens) for answer in answers}


def test_an_answer_ends_at_any_stop_token(model: Any, tokenizer: Any) -> None:
    """Generation ends at the tokens of the generation settings too, and counts the stop token."""
    first = naive(model, tokenizer, PROMPTS[0], 3)
    before = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, first[2]]
    try:
        answers = generate_answers(
            model, tokenizer, PROMPTS[:1], GenerateSettings(max_new_tokens=9)
        )
    finally:
        model.generation_config.eos_token_id = before
    n_tokens = first.index(first[2]) + 1
    assert ("stop", n_tokens) == (answers[0].finish_reason, answers[0].n_tokens)


def test_an_answer_of_nothing_but_the_end_is_empty(model: Any, tokenizer: Any) -> None:
    """A model that says nothing gives an empty text and one token."""
    bias = SPECIAL.index("<|end|>")
    weight = model.get_output_embeddings().weight
    kept = weight.data.clone()
    weight.data.zero_()
    weight.data[bias] = 0.0
    weight.data[:bias] = 0.0
    try:
        # All logits are equal, so the first token of the vocabulary is taken; make it the end.
        model.generation_config.eos_token_id = [0, tokenizer.eos_token_id]
        answers = generate_answers(model, tokenizer, PROMPTS, GenerateSettings(max_new_tokens=4))
    finally:
        weight.data.copy_(kept)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
    assert {("", 1, "stop")} == {(a.text, a.n_tokens, a.finish_reason) for a in answers}


def test_drawn_answers_follow_the_seed(model: Any, tokenizer: Any) -> None:
    """The same seed draws the same answers, and another seed others."""

    def draw(seed: int) -> list[str]:
        settings = GenerateSettings(max_new_tokens=8, temperature=1.0, seed=seed)
        return [answer.text for answer in generate_answers(model, tokenizer, PROMPTS, settings)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_no_conversations_give_no_answers(model: Any, tokenizer: Any) -> None:
    """Nothing asked, nothing answered."""
    assert generate_answers(model, tokenizer, [], GenerateSettings()) == []


def naive_logprob(model: Any, tokenizer: Any, prompt: list[Message], answer: str) -> float:
    """Return the summed log-probability of an answer from the whole row of logits."""
    import torch

    start = encode_prompt(tokenizer, prompt)
    whole = start + tokenizer(answer).input_ids + [tokenizer.eos_token_id]
    with torch.no_grad():
        logs = model(torch.tensor([whole]), use_cache=False).logits.log_softmax(-1)[0]
    return sum(float(logs[i - 1, whole[i]]) for i in range(len(start), len(whole)))


def test_pair_scores_equal_naive_ones(model: Any, tokenizer: Any) -> None:
    """Batched scores equal those of one answer at a time, with the adapter on and off."""
    answers = ("yes", "no, never", "yes it is", "no", "maybe", "yes yes yes")
    rows = [
        PairRow(tuple(prompt), better, "no " * (i + 1))
        for i, (prompt, better) in enumerate(zip(PROMPTS, answers, strict=True))
    ]
    scores = score_pairs(model, tokenizer, rows)
    on = [naive_logprob(model, tokenizer, list(row.prompt), row.chosen) for row in rows]
    np.testing.assert_allclose(scores.chosen, on, rtol=1e-4)
    with model.disable_adapter():
        off = [naive_logprob(model, tokenizer, list(row.prompt), row.rejected) for row in rows]
    np.testing.assert_allclose(scores.base_rejected, off, rtol=1e-4)
    assert scores.accuracy == np.mean(scores.chosen > scores.rejected)
    assert 0 <= scores.reward_accuracy <= 1


def test_kl_equals_its_definition(model: Any, tokenizer: Any) -> None:
    """The divergence is the mean over answer tokens of KL(without adapter ‖ with adapter)."""
    import torch

    conversations = [
        [*prompt, {"role": "assistant", "content": "yes " * (i + 1)}]
        for i, prompt in enumerate(PROMPTS)
    ]
    measured = kl_per_token(model, tokenizer, conversations)
    start = encode_prompt(tokenizer, PROMPTS[2])
    whole = start + tokenizer("yes " * 3).input_ids + [tokenizer.eos_token_id]
    with torch.no_grad():
        on = model(torch.tensor([whole])).logits.log_softmax(-1)[0, len(start) - 1 : -1]
        with model.disable_adapter():
            off = model(torch.tensor([whole])).logits.log_softmax(-1)[0, len(start) - 1 : -1]
    expected = float((off.exp() * (off - on)).sum(-1).mean())
    assert measured.per_answer[2] == pytest.approx(expected, rel=1e-4)
    weighted = (measured.per_answer * measured.n_tokens).sum() / measured.n_tokens.sum()
    assert measured.mean == pytest.approx(float(weighted))


def test_an_untrained_adapter_has_no_effect(tokenizer: Any) -> None:
    """An adapter whose second half is zero changes nothing, and the check sees it."""
    from peft import LoraConfig, get_peft_model

    with quiet():
        inert = get_peft_model(
            make_model(tokenizer), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
        )
    assert adapter_effect(inert, tokenizer, PROMPTS) == 0.0
    assert kl_per_token(inert, tokenizer, [[*PROMPTS[0], *_said("yes")]]).mean == 0.0


def test_a_drawn_adapter_has_an_effect(model: Any, tokenizer: Any) -> None:
    """The same check is positive for an adapter that does something."""
    assert adapter_effect(model, tokenizer, PROMPTS) > 0.01


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]
