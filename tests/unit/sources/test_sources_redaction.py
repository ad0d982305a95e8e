"""Masking: what each level takes away, what it leaves, and that nothing slips past the gate."""

from __future__ import annotations

import json
import pickle
import random
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopllm_cli.errors import ConfigError, MissingExtra
from loopllm_cli.sources import redaction_presidio
from loopllm_cli.sources.redaction import LEVELS, Redactor, UserHasher, drop_ips
from scripts.measure_redaction import interval, score
from scripts.redaction_cases import ALNUM, VALUES, luhn, make_cases, some

KEY = b"a key of the tests, nothing more"
SECRETS, BASIC = Redactor("secrets", KEY), Redactor("basic", KEY)
RNG = random.Random(5)
# Made here, so that no scanner of repositories takes them for real ones.
API_KEY = "sk-" + some(RNG, ALNUM, 40) + "7"
CARD = luhn(RNG, "4", 16)
MAIL = "ada.k@example.org"
LONG = b" " * (1 << 16)


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    """Mask texts that the rules have not been written with."""
    cases = make_cases(50, seed=7)
    return {level: score(level, cases) for level in ("secrets", "basic")}


@pytest.mark.parametrize("level", ["secrets", "basic"])
def test_every_kind_is_found_and_nothing_else_is_taken_for_it(
    scores: dict[str, Any], level: str
) -> None:
    found = scores[level]
    for kind, wanted in found.wanted.items():
        k, wrong = found.found[kind], found.wrong[kind]
        assert interval(k, wanted)[0] > 0.90, kind
        assert interval(k, k + wrong)[0] > 0.90, kind
    assert interval(found.found.total(), found.wanted.total())[0] > 0.99
    n, hit = found.n_lookalikes, found.hit_lookalikes.total()
    assert interval(n - hit, n)[0] > 0.995


@pytest.mark.parametrize("level", ["secrets", "basic"])
def test_masking_what_is_masked_changes_nothing(level: str) -> None:
    redactor = Redactor(level, KEY)
    for case in make_cases(5, seed=3):
        once, _ = redactor.redact_text(case.text)
        assert (once, Counter()) == redactor.redact_text(once)
        record, _ = redactor.redact_record({"password": case.text, "a": [case.text]})
        assert (record, Counter()) == redactor.redact_record(record)


_PIECES = st.sampled_from(
    (
        *(API_KEY, CARD, MAIL, "password=", "x7!", " ", "\n", "\\n", '"', ".", "-", "@", "0"),
        *("+49 30 901820", "8.8.4.4", "<EMAIL_0a1b2c>", "Bearer ", "://u:", "ab12", "key: "),
        *("é", "İ", "\ud800"),
    )
)


@given(st.lists(_PIECES, max_size=12).map("".join), st.sampled_from([SECRETS, BASIC]))
@example(f"é.{CARD}", BASIC)  # written as \u00e9, its last digit is none before a decimal point
@settings(max_examples=150, deadline=None)
def test_any_text_is_masked_for_good_at_once_and_the_gate_lets_it_through(
    text: str, redactor: Redactor
) -> None:
    once, counts = redactor.redact_text(text)
    assert (once, Counter()) == redactor.redact_text(once)
    record = {"text": text, "more": "version"}
    changed, found = redactor.redact_record(record)
    assert (once, counts) == (changed["text"], found)
    if found:
        assert all(redactor.may_hold(raw + LONG) for raw in _written(record))


def _written(record: dict[str, Any]) -> list[bytes]:
    """Write a record as exporters do: escaped or not, slashes too, and JSON inside of JSON."""
    plain = json.dumps(record)
    texts = [plain, plain.replace("/", "\\/"), json.dumps({"body": plain})]
    texts.append(json.dumps(record, ensure_ascii=False))
    texts.append(plain.replace("@", "\\u0040").replace("&", "\\u0026").replace("<", "\\u003c"))
    return [text.encode("utf-8", "surrogatepass") for text in texts]


@pytest.mark.parametrize("level", ["secrets", "basic"])
def test_the_gate_never_stops_what_a_rule_would_mask(level: str) -> None:
    redactor = Redactor(level, KEY)
    for case in make_cases(4, seed=4):
        record = {"messages": [{"content": case.text}], case.text: 1}
        if not redactor.redact_record(record)[1]:
            continue
        for raw in _written(record):
            assert redactor.may_hold(raw + LONG), raw
            assert redactor.lines_that_may_hold([b"{}", raw]) == [False, True]


def test_the_gate_stops_ordinary_logs() -> None:
    record = {
        "id": "chatcmpl-" + "a1" * 14,
        "created": 1_700_000_000_123,
        "start_ns": "1700000000123456789",
        "latency_s": 2.7368879318237305,
        "messages": [{"role": "user", "content": "Which task-specific risk is the secret one? é"}],
    }
    raw = json.dumps(record).encode()
    assert [False] == SECRETS.lines_that_may_hold([raw])
    assert not SECRETS.may_hold(raw + LONG)


def test_a_token_is_the_same_everywhere_in_a_project_and_another_with_another_key() -> None:
    text, _ = BASIC.redact_text(f"{MAIL} and {MAIL.upper()}")
    first, _, second = text.partition(" and ")
    assert first == second
    assert first.startswith("<EMAIL_")
    assert Redactor("basic", b"another").redact_text(MAIL)[0] not in (first, MAIL)


def test_two_ways_of_writing_one_number_give_one_token() -> None:
    grouped = " ".join(CARD[i : i + 4] for i in range(0, 16, 4))
    assert SECRETS.redact_text(CARD) == SECRETS.redact_text(grouped)
    assert BASIC.redact_text("(202) 555-0143")[0] == BASIC.redact_text("202.555.0143")[0]


def test_secrets_leave_personal_data_alone() -> None:
    assert (f"{MAIL} 8.8.4.4", Counter()) == SECRETS.redact_text(f"{MAIL} 8.8.4.4")


def test_off_changes_nothing() -> None:
    off, record = Redactor("off", KEY), {"a": API_KEY}
    assert off.redact_record(record)[0] is record
    assert (None, False, API_KEY.encode()) == (
        off.stamp, off.may_hold(LONG + API_KEY.encode()), off.redact_bytes(API_KEY.encode())
    )  # fmt: skip


def test_a_record_is_masked_at_every_depth_keys_included_and_the_given_one_is_not_changed() -> None:
    record = {"a": [{"b": [f"x {API_KEY}", 3, None]}], MAIL: True}
    before = json.dumps(record)
    changed, counts = BASIC.redact_record(record)
    assert Counter(API_KEY=1, EMAIL=1) == counts
    assert API_KEY not in json.dumps(changed)
    assert MAIL not in json.dumps(changed)
    assert [3, None] == changed["a"][0]["b"][1:]
    assert before == json.dumps(record)


def test_a_record_without_a_hit_comes_back_as_the_same_object() -> None:
    record = {"a": [{"b": "nothing"}], "password": "your password", "n": 4}
    assert BASIC.redact_record(record)[0] is record


def test_a_record_may_nest_as_deep_as_it_likes() -> None:
    record: dict[str, Any] = {"a": API_KEY}
    for _ in range(5000):
        record = {"a": [record]}
    changed, counts = SECRETS.redact_record(record)
    assert 1 == counts["API_KEY"]
    assert changed is not record


def test_names_that_become_one_token_keep_both_values() -> None:
    changed, _ = BASIC.redact_record({MAIL: 1, MAIL.upper(): 2})
    assert [1, 2] == list(changed.values())


def test_ids_keep_their_digits_but_no_secret() -> None:
    record = {"trace_id": CARD, "requestId": CARD, "id": API_KEY, "note": CARD, "valid": CARD}
    changed, counts = BASIC.redact_record(record)
    assert (CARD, CARD) == (changed["trace_id"], changed["requestId"])
    assert Counter(API_KEY=1, CARD=2) == counts


@pytest.mark.parametrize("text", [f"r-{CARD}", f"a{CARD}", f"{CARD}0001", f"0.{CARD}", f"{CARD}.5"])
def test_digits_inside_of_something_longer_are_no_card(text: str) -> None:
    assert (text, Counter()) == BASIC.redact_text(text)


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "apiKey", "client-secret"])
def test_a_field_that_is_named_for_a_secret_is_masked(name: str) -> None:
    changed, counts = SECRETS.redact_record({"args": {name: "hunter2-and-more"}})
    assert 1 == counts.total()
    assert "hunter2" not in json.dumps(changed)


def test_log_probabilities_and_counts_are_no_secrets() -> None:
    record = {"token": "Password1!", "max_tokens": "12345678", "secret_type": "kind-of-1234"}
    assert SECRETS.redact_record(record)[0] is record


def test_json_in_a_text_stays_json() -> None:
    inner = json.dumps({"text": f"Dear team,\n{MAIL}\n{API_KEY}\n2001:db8::7\tend"})
    masked, counts = BASIC.redact_text(inner)
    assert Counter(API_KEY=1, EMAIL=1, IP=1) == counts
    lines = json.loads(masked)["text"].split("\n")
    assert ["Dear team,", True] == [lines[0], lines[1].startswith("<EMAIL_")]


def test_a_line_that_is_no_record_is_masked_as_bytes() -> None:
    line = b'{"a": "ada.k\\u0040example.org", "b": "' + API_KEY.encode() + b'" \xff'
    masked = BASIC.redact_bytes(line)
    assert b"ada.k" not in masked
    assert API_KEY.encode() not in masked
    assert masked.endswith(b'" \xff')


def test_every_shape_of_secret_is_known_by_name() -> None:
    kinds = {rule.kind for rule in BASIC._rules}
    assert set() == {kind for kind, *_ in VALUES} - kinds


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown redaction level 'all'"):
        Redactor("all", KEY)


@pytest.mark.parametrize("level", LEVELS[:3])
def test_what_masks_may_be_sent_to_another_process(level: str) -> None:
    redactor = Redactor(level, KEY)
    again = pickle.loads(pickle.dumps(redactor))
    text = f"{MAIL} {API_KEY}"
    assert (redactor.stamp, redactor.redact_text(text)) == (again.stamp, again.redact_text(text))


def test_presidio_is_asked_for_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    redaction_presidio.load_finder.cache_clear()
    monkeypatch.setattr(redaction_presidio, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="presidio-analyzer"):
        Redactor("presidio", KEY)


def test_presidio_adds_names_and_never_cuts_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    class AnalyzerEngine:
        def analyze(self, text: str, language: str, **_: Any) -> list[SimpleNamespace]:
            assert "en" == language
            hits = [SimpleNamespace(entity_type="PERSON", start=0, end=len(text))]
            at = text.find("Ada Kern")
            named = SimpleNamespace(entity_type="PERSON", start=at, end=at + 8)
            return [*hits, named] if at >= 0 else hits

    module = ModuleType("presidio_analyzer")
    module.AnalyzerEngine = AnalyzerEngine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    monkeypatch.setattr(redaction_presidio, "find_spec", lambda name: module)
    redaction_presidio.load_finder.cache_clear()
    redactor = Redactor("presidio", KEY)
    masked, counts = redactor.redact_text(f"Ask Ada Kern at {MAIL} please")
    assert Counter(EMAIL=1, PERSON=1) == counts
    assert masked.startswith("Ask <PERSON_")
    assert redactor.may_hold(b"{}")
    record = {"model": "claude", "user_id": "a b", "text": "Ada Kern"}
    assert {"model": "claude", "user_id": "a b"}.items() <= redactor.redact_record(record)[
        0
    ].items()
    redaction_presidio.load_finder.cache_clear()


def test_a_user_becomes_a_stable_pseudonym() -> None:
    hasher = UserHasher(KEY)
    first = hasher(MAIL)
    assert (18, "u_") == (len(first), first[:2])
    assert first == pickle.loads(pickle.dumps(hasher))(MAIL)
    assert first not in (hasher("someone else"), UserHasher(b"another")(MAIL))


def test_network_addresses_are_dropped_from_a_record_and_one_level_down() -> None:
    record = {
        "requester_ip_address": "8.8.4.4",
        "X-Forwarded-For": "8.8.4.4",
        "metadata": {"hashed_ip": "ab", "client.address": "x", "zip": "1"},
        "headers": {"ip": 1},
        "script": "kept",
    }
    assert {"metadata": {"zip": "1"}, "headers": {}, "script": "kept"} == drop_ips(record)
    assert 5 == len(record)
    clean = {"a": {"b": 1}}
    assert drop_ips(clean) is clean
