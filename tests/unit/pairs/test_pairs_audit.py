"""The audit of pairs: silent on good sets, loud on planted faults, and never leaking a text."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from audit_case import audit, context, good_set, pair, retained
from pair_evidence import correction, down, up

from loopllm_cli.config import Config
from loopllm_cli.errors import AuditFailed
from loopllm_cli.loop.audit import audit_built, context_of, insist, thumbs_of
from loopllm_cli.model import Finding, Pair, Severity, Unpaired
from loopllm_cli.pairs.audit import AuditContext, BaselineRows
from loopllm_cli.pairs.audit.shares import mean_of, share_of
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.store.project import Project
from scripts.audit_faults import FAULTS, flipped

FAILING = {
    "flipped labels": "flipped-labels",
    "identical sides": "identical-sides",
    "empty chosen sides": "empty-sides",
    "wrong segment": "drifted-segments",
    "both directions": "contradictions",
    "refusals as chosen": "refusal-as-chosen",
    "wrong votes": "label-noise",
    "leaked contexts": "context-leak",
    "leaked prompts": "prompt-leak",
    "leaked conversations": "conversation-leak",
    "secrets": "secrets-left",
    "too few pairs": "too-few-pairs",
}
# What no fault is planted for here: two only inform; the others have tests of their own below.
ELSEWHERE = {"off-policy-chosen", "repeated-rejected", "baseline-overlap", "flipped-thumbs"}
ALONE = {"flipped-references", "flipped-words"}  # loud in every flipped set, see below


def planted(name: str) -> BuiltPairs:
    """Plant a fault at its greatest strength."""
    fault = FAULTS[name]
    return fault.plant(good_set(80), max(fault.strengths), random.Random(name))


@cache
def audit_of(name: str) -> dict[str, Finding]:
    """Audit a set with a planted fault."""
    found = planted(name)
    return audit(found)


@cache
def audit_of_good() -> dict[str, Finding]:
    """Audit a set without a fault."""
    return audit(good_set())


def is_loud(found: dict[str, Finding]) -> set[str]:
    """Return the names of the findings beyond their threshold."""
    return {name for name, one in found.items() if one.severity is not Severity.OK}


def loud(built: BuiltPairs, known: AuditContext | None = None) -> set[str]:
    """Return the names of what is found in a set beyond its threshold."""
    return is_loud(audit(built, known))


def test_a_good_set_passes_every_check_and_shows_them_all() -> None:
    found = audit_of_good()
    assert set() == is_loud(found)
    assert all(one.text and (one.threshold is not None or one.remedy) for one in found.values())


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    assert is_loud(audit_of(name)) & set(FAULTS[name].findings)


@pytest.mark.parametrize("name", FAILING)
def test_what_makes_training_a_mistake_fails(name: str) -> None:
    assert Severity.FAIL is audit_of(name)[FAILING[name]].severity


@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(FAILING)))
def test_what_only_calls_for_a_look_does_not_fail_by_itself(name: str) -> None:
    found = audit_of(name)
    assert Severity.FAIL not in {found[one].severity for one in FAULTS[name].findings}


def test_every_check_has_a_planted_fault() -> None:
    covered = {name for fault in FAULTS.values() for name in fault.findings}
    assert ALONE == set(audit_of_good()) - covered - ELSEWHERE


def test_pairs_elsewhere_only_warn_where_the_drift_run_could_not_say_where_it_is() -> None:
    """Where the segments it names make up a tenth of the change, the rest of it is elsewhere."""
    known = context()
    assert known.drift is not None
    named = tuple(replace(one, share_of_change=0.025) for one in known.drift.segments)
    vague = replace(known, drift=replace(known.drift, segments=named))
    found = audit(planted("wrong segment"), vague)["drifted-segments"]
    assert Severity.WARN is found.severity
    assert "make up 10% of the change" in found.text


def test_flipped_labels_are_seen_by_every_witness() -> None:
    found = audit_of("flipped labels")
    seen = [found[f"flipped-{name}"].value for name in ("labels", "references", "signals", "words")]
    assert [1.0] * 4 == seen


def test_a_fifth_of_flipped_labels_warns_and_two_fifths_fail() -> None:
    few, many = (
        FAULTS["flipped labels"].plant(good_set(200), share, random.Random(1))
        for share in (0.2, 0.4)
    )
    seen = [audit(built)["flipped-labels"].severity for built in (few, many)]
    assert [Severity.WARN, Severity.FAIL] == seen


def test_the_share_of_flipped_pairs_lies_in_its_interval() -> None:
    spoiled = FAULTS["flipped labels"].plant(good_set(200), 0.3, random.Random(2))
    one = audit(spoiled)["flipped-labels"]
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.3 < one.high


def test_flips_are_found_without_a_drift_run_where_right_answers_are_known() -> None:
    assert "flipped-labels" in loud(planted("flipped labels"), context(drift=None, signals={}))


@pytest.mark.parametrize(
    ("share", "alone", "together"),
    [(0.05, "ok", "ok"), (0.2, "warn", "warn"), (0.4, "warn", "fail"), (1.0, "warn", "fail")],
)
def test_thumbs_that_like_the_rejected_answer_are_witnesses(
    share: float, alone: str, together: str
) -> None:
    built = good_set(100)
    thumbs = {f"r{i}": [(f"t{i}", 1 if i < 100 * share else -1)] for i in range(100)}
    found = audit(built, AuditContext(thumbs=thumbs))
    names = ("flipped-thumbs", "flipped-labels")
    assert [alone, together] == [found[name].severity.value for name in names]


def test_a_thumb_that_a_pair_is_made_of_is_no_witness_for_it() -> None:
    thumbs = {f"r{i}": [(f"f{i}", -1)] for i in range(100)}
    assert 0 == audit(good_set(100), AuditContext(thumbs=thumbs))["flipped-thumbs"].n


def test_thumbs_are_read_from_the_evidence_machines_left_out() -> None:
    votes = (
        up("r1"),
        down("r1", by="bob", feedback_id="x"),
        up("r2", annotator_kind="LLM"),
        up("elsewhere"),
        correction("r1"),
    )
    found = thumbs_of(Evidence({}, votes), good_set())
    assert {"r1"} == set(found)
    assert [1, -1] == [sign for _, sign in found["r1"]]


def test_without_anything_beside_the_pairs_the_audit_says_what_it_could_not_look_at() -> None:
    found = audit(good_set(), AuditContext())
    assert "nothing is told of any pair" in found["flipped-labels"].text
    assert {Severity.OK} == {one.severity for one in found.values()}
    assert set(audit_of_good()) == set(found)


def test_pairs_of_one_segment_of_four_are_told_which_segments_they_miss() -> None:
    one_only = [p for p in good_set(200).train if p.segment == "want my money back"]
    one = audit(replace(good_set(), train=one_only))["segment-coverage"]
    assert (Severity.WARN, 0.25) == (one.severity, one.value)
    assert "“where is my order”" in one.text


def test_answers_of_the_time_that_was_good_are_not_to_be_rejected() -> None:
    known = context(
        baseline=BaselineRows(frozenset(f"r{i}" for i in range(80)), frozenset(), frozenset())
    )
    assert {"baseline-overlap"} == loud(good_set(), known)


def test_a_repair_by_the_baselines_answers_is_no_bias_towards_one_model() -> None:
    train = [replace(p, chosen_model="m-1", rule="baseline replay") for p in good_set().train]
    assert set() == loud(replace(good_set(), train=train))


@pytest.mark.parametrize("part", ["retention", "unpaired"])
def test_a_leak_through_what_is_trained_on_beside_the_pairs_fails(part: str) -> None:
    built = good_set()
    held = built.heldout[0]
    row = replace(retained(0), prompt=held.prompt) if part == "retention" else single(held)
    found = audit(replace(built, **{part: [row]}))
    assert Severity.FAIL is found["prompt-leak"].severity


def single(held: Pair) -> Unpaired:
    """Return a judged answer to what a held-out pair was asked."""
    return Unpaired(
        "x", held.prompt, "An answer.", True, "thumbs", 1.0, (), "rx", "ux", "cx", "hx", "px",
        None, None, None,
    )  # fmt: skip


def test_a_fault_without_which_something_differs_names_pairs_to_look_at() -> None:
    built = planted("secrets")
    named = audit(built)["secrets-left"].examples
    assert named
    assert all("AKIA" in p.chosen for p in built.train if p.pair_id in named)


def test_what_is_found_is_counted_by_kind_and_never_said() -> None:
    text = "jane.roe@somewhere.org and 4111 1111 1111 1111"
    built = good_set()
    built.train[0] = pair(0, chosen=text)
    one = audit(built)["personal-data-left"]
    assert ("1 of 120 pairs" in one.text, "EMAIL" in one.text) == (True, True)
    assert not [found for found in audit(built).values() if "jane" in str(found)]


def test_with_a_tokenizer_tokens_are_counted_and_a_context_without_room_fails() -> None:
    known = context(tokenize=lambda text: text.split(), max_length=6)
    found = audit(good_set(), known)
    one = found["context-too-long"]
    assert (Severity.FAIL, True) == (one.severity, "counted" in one.text)
    assert "length-bias-tokens" in found


def test_an_accepted_finding_stays_in_the_card_and_stops_nobody() -> None:
    built = planted("secrets")
    found = audit(built, accept=("secrets-left",))
    assert (Severity.FAIL, True) == (found["secrets-left"].severity, found["secrets-left"].accepted)
    insist(found.values(), Path("pairs"))


def test_a_strict_user_is_refused_with_the_names_of_the_findings() -> None:
    found = audit(planted("secrets")).values()
    with pytest.raises(AuditFailed, match=r"secrets-left \(fail\)") as caught:
        insist(found, Path("pairs"))
    assert ("data.audit-failed", 3) == (caught.value.code, caught.value.exit_code)
    insist(audit(good_set()).values(), Path("pairs"))


def test_the_worst_findings_come_first_and_the_order_is_fixed() -> None:
    built = planted("flipped labels")
    order = [one.severity for one in audit(built).values()]
    assert sorted(order, key=[Severity.FAIL, Severity.WARN, Severity.OK].index) == order
    assert list(audit(built).items()) == list(audit(built).items())


def test_an_empty_set_has_too_few_pairs_and_breaks_nothing() -> None:
    nothing = BuiltPairs([], [], [], [], Counter(), 0, 0)
    found = audit(nothing)
    assert {"too-few-pairs"} == {n for n, f in found.items() if f.severity is Severity.FAIL}
    assert set(audit_of_good()) == set(found)


HOSTILE = (
    "", " ", "\x00\x1b[31m", "\ud800", "🙂" * 50, "[" * 50_000, '{"a":' * 20_000, "a" * 300_000,
    "\u202e| [x](http://y) <b>", "I'm sorry, but " * 5_000,
)  # fmt: skip


def test_hostile_texts_break_no_check() -> None:
    train = [
        pair(i, chosen=HOSTILE[i % 10], rejected=HOSTILE[(i * 3 + 1) % 10],
             chosen_calls=HOSTILE[i % 10], tools=HOSTILE[i % 7], segment=HOSTILE[i % 9])
        for i in range(30)
    ]  # fmt: skip
    found = audit(replace(good_set(), train=train, heldout=train[:3]))
    assert set(audit_of_good()) == set(found)


def test_answers_that_only_call_tools_are_neither_empty_nor_the_same() -> None:
    calls = [json.dumps([{"function": {"name": name, "arguments": "{}"}}]) for name in "ab"]
    asked = ({"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [{"id": "1"}]})
    train = [
        replace(pair(i), prompt=(*pair(i).prompt, *asked), chosen="", rejected="",
                chosen_calls=calls[0], rejected_calls=calls[1])
        for i in range(40)
    ]  # fmt: skip
    found = audit(replace(good_set(), train=train))
    ok = Severity.OK
    assert (ok, ok) == (found["empty-sides"].severity, found["identical-sides"].severity)


def test_an_interval_is_as_wide_as_its_clusters_are_few() -> None:
    hits = [True, False] * 50
    alone = share_of(hits, [str(i) for i in range(100)])
    shared = share_of(sorted(hits), [str(i // 10) for i in range(100)])
    assert (0.5, 0.403, 0.597) == (alone.value, round(alone.low, 3), round(alone.high, 3))
    assert shared.low < alone.low < alone.high < shared.high


def test_the_interval_of_a_share_covers_it_when_users_are_alike() -> None:
    """Users who are each right or wrong as a whole: 95% intervals cover in 93% and more."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        wrong = rng.random(40) < 0.3
        hits = [bool(w) for w in np.repeat(wrong, 5)]
        found = share_of(hits, [str(i // 5) for i in range(200)])
        covered += found.low <= 0.3 <= found.high
    assert covered >= 0.93 * 400


def test_a_mean_of_one_cluster_has_no_interval() -> None:
    mean, low, high = mean_of(np.array([1.0, 2.0]), ["a", "a"])
    assert (1.5, True) == (mean, bool(np.isnan(low) and np.isnan(high)))


def test_flipping_twice_gives_the_pair_back() -> None:
    assert pair(1) == flipped(flipped(pair(1)))


@pytest.mark.parametrize(("asked", "used"), [(256, 256), (None, 1024), ("x", 1024), (-1, 1024)])
def test_the_recipe_says_how_many_tokens_fit(tmp_path: Path, asked: object, used: int) -> None:
    config = Config(correct={} if asked is None else {"max_length": asked})
    known = context_of(Project(tmp_path), config, None, None)
    assert (used, None) == (known.max_length, known.tokenize)


def test_pairs_of_a_project_without_a_drift_run_are_audited(tmp_path: Path) -> None:
    found = audit_built(Project(tmp_path), Config(), good_set(), None, None)
    assert {Severity.OK} == {one.severity for one in found}
