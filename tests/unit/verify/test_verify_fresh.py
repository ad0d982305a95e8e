"""The adapter in a process of its own, and distances on answers, with a model of toy size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.correct.loading import load_model
from loopllm_cli.correct.quiet import quiet
from tests.unit.correct.micro import make_model, make_tokenizer

pytestmark = [
    pytest.mark.train,
    # PEFT still uses a name that transformers renamed; nothing here is affected.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning"),
]
torch = pytest.importorskip("torch", reason="needs the training extra")
peft = pytest.importorskip("peft", reason="needs the training extra")

CHATS = [
    [{"role": "user", "content": f"where is my {word}?"}, {"role": "assistant", "content": "yes"}]
    for word in ("order", "parcel", "refund")
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Write a model, an adapter that does something, and an inert one."""
    base = tmp_path_factory.mktemp("fresh")
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    model.save_pretrained(base / "model")
    tokenizer.save_pretrained(base / "model")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    with quiet():
        wrapped = peft.get_peft_model(model, config)
    wrapped.save_pretrained(base / "inert")
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in wrapped.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 1.0)
    wrapped.save_pretrained(base / "adapter")
    return base / "model", base / "adapter", base / "inert"


@pytest.fixture(scope="module")
def loaded(folders: tuple[Path, Path, Path]) -> Any:
    """Return the model with the adapter that does something."""
    model, adapter, _ = folders
    return peft.PeftModel.from_pretrained(load_model(str(model), "cpu"), str(adapter)).eval()


def test_the_effect_is_the_same_in_a_process_of_its_own(
    folders: tuple[Path, Path, Path], loaded: Any
) -> None:
    from loopllm_cli.correct.fresh import effect_in_fresh_process, measure_effect

    prompts = [[5, 6, 7, 8], [9, 10]]
    here = measure_effect(loaded, prompts)
    there = effect_in_fresh_process(str(folders[0]), folders[1], prompts)
    assert here > 0
    assert here == pytest.approx(there.effect, rel=1e-5)
    assert "" == there.failure


def test_an_adapter_that_does_not_load_there_says_why(folders: tuple[Path, Path, Path]) -> None:
    from loopllm_cli.correct.fresh import effect_in_fresh_process

    found = effect_in_fresh_process(str(folders[0]), folders[0] / "gone", [[5]])
    assert found.failure
    assert "\n" not in found.failure


def test_an_inert_adapter_has_no_effect(folders: tuple[Path, Path, Path]) -> None:
    from loopllm_cli.correct.fresh import measure_effect

    model = load_model(str(folders[0]), "cpu")
    inert = peft.PeftModel.from_pretrained(model, str(folders[2])).eval()
    assert 0.0 == measure_effect(inert, [[5, 6, 7]])


def test_distances_are_those_of_the_two_distributions(
    folders: tuple[Path, Path, Path], loaded: Any
) -> None:
    """By hand on one answer: both directions of KL, and the nats that the answer costs."""
    from loopllm_cli.correct.generate import adapter_off
    from loopllm_cli.correct.score import encode_conversations, kl_of_encoded, surprise_of_encoded

    tokenizer = make_tokenizer()
    encoded = encode_conversations(tokenizer, CHATS)
    one = encoded[0]
    ids = torch.tensor([one.prompt + one.answer])
    with torch.no_grad():
        on = loaded(input_ids=ids).logits[0].log_softmax(-1)
        with adapter_off(loaded):
            off = loaded(input_ids=ids).logits[0].log_softmax(-1)
    span = slice(len(one.prompt) - 1, ids.shape[1] - 1)
    on, off = on[span].double(), off[span].double()
    forwards = float((off.exp() * (off - on)).sum(-1).mean())
    backwards = float((on.exp() * (on - off)).sum(-1).mean())
    assert forwards == pytest.approx(kl_of_encoded(loaded, encoded).per_answer[0], rel=1e-3)
    found = kl_of_encoded(loaded, encoded, from_adapter=True).per_answer[0]
    assert backwards == pytest.approx(found, rel=1e-3)
    said = torch.tensor(one.answer)[:, None]
    with_it, without, n_tokens = surprise_of_encoded(loaded, encoded)
    assert -float(on.gather(1, said).sum()) == pytest.approx(with_it[0], rel=1e-4)
    assert -float(off.gather(1, said).sum()) == pytest.approx(without[0], rel=1e-4)
    assert [len(e.answer) for e in encoded] == n_tokens.tolist()
