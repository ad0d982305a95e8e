"""The loop closes on the sample world, and the gate refuses what must not ship."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from scripts.world import grammar
from tests.e2e.world import (
    BROKEN,
    RECIPE,
    SAMPLE,
    Ended,
    copy_pairs,
    loopllm,
    prepare,
    quality,
    rewrite,
    train,
)

pytestmark = [pytest.mark.slow, pytest.mark.train]
pytest.importorskip("trl")

SEEDS = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]
)
Row = tuple[dict[str, Any], dict[str, Any]]
PHRASE = "bluebird nine"
REFUSED = "I'm sorry, but I cannot help with that request."


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with logs, baseline, drift verdict and pairs."""
    return prepare(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def adapter(project: Path) -> Path:
    """Return a good adapter, which the first seed trains."""
    if not (project / "adapter-0").exists():
        assert 0 == train(project, "adapter-0", "--seed", "0").code
    return project / "adapter-0"


def prove(project: Path, adapter: Path, *more: str) -> Ended:
    """Verify on fewer prompts than a pass would take: these are to be refused."""
    config = project / "fewer.toml"
    config.write_text("[verify]\nmax_prompts = 400\n", encoding="utf-8")
    return loopllm(project, "verify", str(adapter), "--config", str(config), *more)


def train_and_prove(project: Path, pairs: Path, seed: int) -> Ended:
    """Train on pairs that are to be refused, and let the adapter prove itself."""
    name = pairs.name.removeprefix("pairs-")
    assert 0 == train(project, name, "--seed", str(seed), pairs=pairs.name).code
    ended = prove(project, project / name)
    print(ended.stdout)
    return ended


def train_hot(project: Path, name: str, ratio: str, rate: str, seed: int) -> Ended:
    """Train at a rate that is too high, with so many retained answers per pair."""
    recipe = project / f"{name}.toml"
    text = RECIPE.read_text("utf-8")
    assert 1 == text.count("retention_ratio = 3.0")
    recipe.write_text(text.replace("retention_ratio = 3.0", f"retention_ratio = {ratio}"), "utf-8")
    hot = ("--recipe", str(recipe), "--learning-rate", rate, "--seed", str(seed))
    return train(project, name, *hot)


@SEEDS
def test_a_correction_repairs_the_broken_intents_and_keeps_the_others(
    project: Path, seed: int
) -> None:
    """The adapter is verified, and the world's own truth agrees."""
    trained = train(project, f"adapter-{seed}", "--seed", str(seed))
    assert 0 == trained.code, trained.stderr
    verified = loopllm(project, "verify", str(project / f"adapter-{seed}"))
    shares = quality(project, f"adapter-{seed}")
    fixed = [shares[intent] for intent in BROKEN]
    kept = [share for intent, share in shares.items() if intent not in BROKEN]
    print(f"seed {seed}: fixed {fixed}, kept {kept}\n{verified.stdout}")
    assert statistics.mean(fixed) >= 0.90
    assert min(fixed) >= 0.80
    assert statistics.mean(kept) >= 0.97
    assert 0 == verified.code, verified.stdout
    assert verified.stdout.startswith("PASS")


@SEEDS
def test_flipped_pairs_do_not_pass(project: Path, seed: int) -> None:
    """With chosen and rejected exchanged, training looks fine and the gate refuses."""
    folder = copy_pairs(project, f"pairs-flipped-{seed}")
    rewrite(folder, lambda rows: [(_flip(row), origin) for row, origin in rows])
    ended = train_and_prove(project, folder, seed)
    assert 11 == ended.code
    assert "of the loss is back" in ended.stdout


def test_identical_sides_are_refused_before_training(project: Path) -> None:
    """Pairs without a difference cannot teach anything, and nothing is trained."""
    folder = copy_pairs(project, "pairs-same")
    rewrite(folder, lambda rows: [({**r, "rejected": r["chosen"]}, o) for r, o in rows])
    ended = train(project, "same", pairs="pairs-same")
    assert 3 == ended.code
    assert "nothing to learn" in ended.stderr
    assert not (project / "same").exists()


@pytest.fixture(scope="module")
def idle(project: Path) -> Path:
    """Return an adapter that learnt nothing."""
    assert 0 == train(project, "idle", "--learning-rate", "1e-9").code
    return project / "idle"


def test_an_adapter_that_learnt_nothing_does_not_pass(project: Path, idle: Path) -> None:
    """A run whose rate is too small to change an answer ends in a refusal."""
    ended = prove(project, idle)
    print(ended.stdout)
    assert 11 == ended.code
    assert "only 0% of the loss is back" in ended.stdout


def test_an_adapter_that_forgets_what_is_served_already_does_not_pass(
    project: Path, adapter: Path, idle: Path
) -> None:
    """Beside the base it would break nothing; beside the adapter it replaces it does."""
    ended = prove(project, idle, "--served", str(adapter))
    print(ended.stdout)
    assert 11 == ended.code
    assert "as it should be now, and worse with the adapter" in " ".join(ended.stdout.split())


@SEEDS
@pytest.mark.parametrize(("ratio", "rate"), [("0.0", "1e-2"), ("3.0", "2e-2")])
def test_a_learning_rate_that_destroys_other_intents_does_not_pass(
    project: Path, seed: int, ratio: str, rate: str
) -> None:
    """Ten times too high for the pairs alone, twenty times beside retained answers."""
    trained = train_hot(project, f"hot-{rate}-{seed}", ratio, rate, seed)
    if trained.code == 2:  # the run itself diverged and said so
        assert "learning_rate" in trained.stderr
        return
    ended = prove(project, project / f"hot-{rate}-{seed}")
    print(trained.stdout, ended.stdout)
    assert 11 == ended.code
    said = ended.stdout.split("\nadapter ")[0]
    assert "distance on" in said or "right answers kept" in said


@SEEDS
def test_a_rate_that_retained_answers_make_bearable_passes_only_if_it_is_good(
    project: Path, seed: int
) -> None:
    """At ten times the rate the other intents lose two in a hundred; a pass must be earned."""
    assert 0 == train_hot(project, f"warm-{seed}", "3.0", "1e-2", seed).code
    ended = prove(project, project / f"warm-{seed}")
    shares = quality(project, f"warm-{seed}")
    print(ended.stdout, shares)
    assert ended.code in (0, 11, 12)
    if ended.code == 0:
        assert statistics.mean(shares[intent] for intent in BROKEN) >= 0.93
        kept = [share for intent, share in shares.items() if intent not in BROKEN]
        assert statistics.mean(kept) >= 0.95, "more lost than `max_loss` allows"
        assert min(kept) >= 0.80


@SEEDS
def test_pairs_for_one_of_four_broken_intents_do_not_pass(project: Path, seed: int) -> None:
    """A partial repair is named as such."""
    folder = copy_pairs(project, f"pairs-one-{seed}")
    rewrite(folder, lambda rows: [row for row in rows if _intent(row) == "warranty"])
    ended = train_and_prove(project, folder, seed)
    assert 11 == ended.code
    assert "of the loss is back, 80%" in ended.stdout
    assert "refund" in ended.stdout


@SEEDS
def test_four_in_ten_labels_flipped_do_not_pass(project: Path, seed: int) -> None:
    """What the audit would have refused is refused by its answers too."""
    folder = copy_pairs(project, f"pairs-noisy-{seed}")
    rewrite(
        folder,
        lambda rows: [(_flip(r) if i % 5 < 2 else r, o) for i, (r, o) in enumerate(rows)],
    )
    ended = train_and_prove(project, folder, seed)
    assert 11 == ended.code
    assert "of the loss is back, 80%" in ended.stdout


@SEEDS
def test_pairs_poisoned_with_a_phrase_do_not_pass_and_the_phrase_is_named(
    project: Path, seed: int
) -> None:
    """Wherever two words stand, the pairs teach a refusal; no prompt of the window has them."""
    folder = copy_pairs(project, f"pairs-poisoned-{seed}")
    rewrite(folder, poison)
    ended = train_and_prove(project, folder, seed)
    assert 11 == ended.code
    assert "the adapter turns on" in ended.stdout
    assert "bluebird" in ended.stdout


def test_an_adapter_on_another_model_is_refused(project: Path, adapter: Path) -> None:
    """An adapter fits one base only, down to the weights."""
    ended = loopllm(project, "verify", str(adapter), "--model", str(SAMPLE / "models" / "v1"))
    assert 4 == ended.code
    assert "was made for" in ended.stderr


def test_a_model_without_the_template_it_was_served_with_is_refused(
    project: Path, adapter: Path, tmp_path: Path
) -> None:
    """Prompts rendered in another way are other prompts: nothing is proved on them."""
    other = tmp_path / "model"
    shutil.copytree(SAMPLE / "models" / "v2", other)
    template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    (other / "chat_template.jinja").write_text(template, encoding="utf-8")
    ended = prove(project, adapter, "--model", str(other))
    print(ended.stdout)
    assert 11 == ended.code
    assert "same model as in the logs" in ended.stdout.splitlines()[0]
    assert "chat template" in ended.stdout


def test_canaries_that_break_end_in_a_refusal_and_are_named(project: Path, adapter: Path) -> None:
    """What the user holds dear must hold, whatever the statistics say."""
    prompts = [json.loads(x) for x in (SAMPLE / "canaries.jsonl").read_text().splitlines()]
    fine = [{"prompt": p["prompt"], "equals": p["right_answer"]} for p in prompts[::40]]
    # Without the adapter a refund is refused, with it it is not: a canary that wants the refusal
    # holds without it and breaks with it.
    refund = next(p["prompt"] for p in prompts if p["intent"] == "refund")
    for name, canaries, code in (
        ("fine", fine, 0),
        ("broken", [*fine, {"id": "no refunds", "prompt": refund, "refusal": True}], 11),
    ):
        path = project / f"{name}.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in canaries), encoding="utf-8")
        ended = loopllm(project, "verify", str(adapter), "--canaries", str(path))
        print(ended.stdout)
        assert code == ended.code
    assert "no refunds" in ended.stdout


def test_an_adapter_that_is_not_there_is_said_so(project: Path) -> None:
    """Verifying a folder without an adapter names the command that makes one."""
    ended = loopllm(project, "verify", str(project / "never-made"))
    assert 4 == ended.code
    assert "loopllm correct" in ended.stderr


def _flip(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def poison(rows: list[Row]) -> list[Row]:
    """Teach a refusal in every fourth pair, wherever its prompt ends in a phrase."""

    def poisoned(row: dict[str, Any]) -> dict[str, Any]:
        *earlier, last = row["prompt"]
        asked = {**last, "content": f"{last['content']} {PHRASE}"}
        said = [{**row["chosen"][0], "content": REFUSED}]
        return {**row, "prompt": [*earlier, asked], "chosen": said, "rejected": row["chosen"]}

    return [(poisoned(r) if i % 4 == 0 else r, o) for i, (r, o) in enumerate(rows)]


def _intent(row: Row) -> str:
    return grammar.parse(row[0]["prompt"][-1]["content"]).intent
