"""Segments: deterministic, nameable without giving anyone away, open to unseen prompts."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from loopllm_cli.profiles.features import words_of
from loopllm_cli.profiles.segments import (
    MAX_SEGMENTS,
    OTHER,
    ROWS_PER_SEGMENT,
    SegmentModel,
    fit_column,
    fit_prompts,
)
from tests.unit.profiles.profile_rows import batch_of, prompts

PREFIX = re.compile(r" \(\d+\)$")


def test_equal_windows_give_equal_segments() -> None:
    """Fitting has no chance in it."""
    a, b = (fit_prompts(batch_of(prompts(400))) for _ in range(2))
    assert a.labels == b.labels
    for name in ("projection", "centroids", "floors"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes()


def test_topics_are_told_apart() -> None:
    """Prompts of four templates never share a segment with another template."""
    batch = batch_of(prompts(400))
    segments = fit_prompts(batch).assign(batch)
    first_words = [str(p).split()[0] for p in batch.prompts]
    homes = {(s, w) for s, w in zip(segments.tolist(), first_words, strict=True)}
    assert len({s for s, _ in homes}) == len(homes)
    assert 4 <= len(homes) <= 400 // ROWS_PER_SEGMENT


def test_families_join_what_is_alike_first() -> None:
    """From pairs to all but the last join; a column's values have none."""
    centroids = np.array([[0, 0], [10, 0], [0, 1], [10, 1.5], [50, 50]], dtype=np.float32)
    empty = np.zeros((0, 0), dtype=np.float32)
    model = SegmentModel("prompts", tuple("abcde"), empty, centroids, empty)
    assert ((0, 2), (1, 3), (0, 1, 2, 3)) == model.families([0, 1, 2, 3, 4])
    assert ((0, 2),) == model.families([0, 2, 4, 5])
    assert () == model.families([0, 1])
    assert () == SegmentModel("route", tuple("abcde"), empty, empty, empty).families(range(5))


def test_prompts_of_one_topic_are_told_apart_by_how_they_are_written() -> None:
    """A line and a page about the same words fall into segments of their own."""
    rng = np.random.default_rng(1)
    words = ["parcel", "refund", "order", "city", "store", "tent", "delivery", "label"]
    lines = [" ".join(rng.choice(words, 8)) + "?" for _ in range(100)]
    pages = [".\n".join(" ".join(rng.choice(words, 8)) for _ in range(12)) for _ in range(100)]
    batch = batch_of([*lines, *pages])
    found = fit_prompts(batch).assign(batch)
    assert not set(found[:100].tolist()) & set(found[100:].tolist())


def test_prompts_are_told_apart_by_what_their_answers_look_like() -> None:
    """Answers follow from words of one list being more than those of another.

    Every prompt holds eight words of both lists, all of them rare: by words alone, segments are
    mixed; with the signal they are far purer in what it follows from.
    """
    rng = np.random.default_rng(2)
    words = np.array([f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"])
    drawn = rng.integers(0, 100, (600, 8))
    kind = (drawn < 50).sum(axis=1) + rng.normal(0, 0.01, 600) > 4
    texts = [" ".join(words[row]) for row in drawn]
    batch = batch_of(texts)
    values = np.stack([kind + rng.normal(0, 0.3, 600), np.full(600, np.nan)], axis=1)

    def purity(segments: np.ndarray) -> float:
        return float(np.mean([kind[segments == s].std() for s in np.unique(segments)]))

    with_signal = purity(fit_prompts(batch, values).assign(batch))
    without = purity(fit_prompts(batch).assign(batch))
    assert with_signal < 0.85 * without


def test_signals_that_never_move_or_apply_do_not_matter() -> None:
    """Constant and missing signals give the segments that no signals give."""
    batch = batch_of(prompts(200))
    values = np.stack([np.full(200, 3.0), np.full(200, np.nan)], axis=1)
    found = fit_prompts(batch, values).assign(batch)
    assert fit_prompts(batch).assign(batch).tolist() == found.tolist()


def test_prompts_asked_again_and_again_count_once() -> None:
    """Fifty prompts of ten rows are fifty prompts: two segments, not twenty."""
    rng = np.random.default_rng(4)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(50)]
    assert len(fit_prompts(batch_of(texts * 10)).labels) <= 2
    assert len(fit_prompts(batch_of(texts[:8] * 30)).labels) == 8


def test_segments_follow_the_template_not_the_number() -> None:
    """A known template with a new number falls into its segment."""
    model = fit_prompts(batch_of(prompts(400)))
    known = model.assign(batch_of(["please refund my broken order number 12 today"]))
    fresh = model.assign(batch_of(["please refund my broken order number 98765 today"]))
    assert known.tolist() == fresh.tolist() != [len(model.labels)]


def test_unseen_prompts_are_unlike_the_baselines() -> None:
    """Words that the baseline has never seen belong to no segment of it."""
    model = fit_prompts(batch_of(prompts(400)))
    found = model.assign(batch_of(["zebra quantum xylophone orchestra", ""]))
    assert [OTHER, OTHER] == [model.label(k) for k in found.tolist()]
    assert "prompts unlike the baseline's" == OTHER


def test_no_label_shows_a_phrase_of_few_rows_or_a_digit() -> None:
    """Every phrase that names a segment stands in five rows at least, and holds no digit."""
    rng = np.random.default_rng(2)
    names = [a + b for a in ("anna", "bert", "cleo", "dora") for b in ("hill", "wood", "field")]
    rare = [f"the diagnosis of {name} is secret{k}" for name in names for k in range(4)]
    written = [*prompts(300), *rare]
    shuffled = [written[i] for i in rng.permutation(len(written))]
    labels = fit_prompts(batch_of(shuffled)).labels
    phrases = [PREFIX.sub("", label) for label in labels if not label.startswith("cluster ")]
    rows = [f" {' '.join(words_of(text))} " for text in shuffled]
    assert len(phrases) > 3
    for phrase in phrases:
        assert sum(f" {phrase} " in row for row in rows) >= 5
        assert not any(map(str.isdigit, phrase))
        assert not any(name in phrase for name in names)


def test_a_phrase_of_one_user_names_nothing() -> None:
    """What only one user writes is not shown, however often; what two write may be."""
    texts = ["my cat garfield is ill"] * 40 + ["the weather is fine"] * 40
    alone = fit_prompts(batch_of(texts, user_id=["anna"] * 40 + ["bert", "cleo"] * 20))
    assert not any("garfield" in label for label in alone.labels)
    both = fit_prompts(batch_of(texts, user_id=["anna", "dora"] * 20 + ["bert", "cleo"] * 20))
    assert len(both.labels) == len(alone.labels)


@pytest.mark.parametrize("texts", [[None], [None] * 60, ["one"], ["same words"] * 200, [""] * 9])
def test_windows_without_much_to_cluster_have_one_segment(texts: list[str | None]) -> None:
    """Equal or missing prompts do not break the fit; their rows find a segment."""
    batch = batch_of(texts)
    model = fit_prompts(batch)
    found = model.assign(batch)
    assert len(texts) == len(found)
    assert len(set(found.tolist())) == 1


def test_a_columns_values_are_the_segments() -> None:
    """Rows with a value unseen in the baseline, or none, belong to no segment."""
    model = fit_column(batch_of([None] * 3, route=["b", "a", "b"]), "route")
    found = model.assign(batch_of([None] * 4, route=["a", "b", "c", None]))
    assert (("a", "b"), 3) == (model.labels, model.n_segments)
    assert [0, 1, 2, 2] == found.tolist()


def test_rare_values_of_a_column_share_the_last_segment_whatever_the_order() -> None:
    """The most frequent values stay; ties are cut by name, not by the order of rows."""
    values = [f"route {k:03d}" for k in range(MAX_SEGMENTS + 20)] * 2
    forwards = fit_column(batch_of([None] * len(values), route=values), "route")
    backwards = fit_column(batch_of([None] * len(values), route=values[::-1]), "route")
    assert forwards.labels == backwards.labels == tuple(sorted(set(values))[:MAX_SEGMENTS])


def test_the_number_of_segments_follows_the_rows_and_is_limited() -> None:
    """One per twenty-five prompts, sixty at most."""
    rng = np.random.default_rng(3)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(3200)]
    model = fit_prompts(batch_of(texts))
    assert MAX_SEGMENTS == len(model.labels)
    assert len(fit_prompts(batch_of(texts[:260])).labels) <= 10
    assert max(Counter(model.labels).values()) == 1
