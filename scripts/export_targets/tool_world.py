"""A small invented log of a shop's assistant with tools, and the votes on its answers.

Every kind of message that tools bring is in it: a call as the answer, an answer after a result,
two calls at once, text beside a call, a call without an id, a tool that is no function, a system
message, a question of several turns, an answer that ends in a line break.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Message = dict[str, Any]
START = datetime(2026, 10, 1, tzinfo=UTC)
KINDS = ("calls", "answers", "parallel", "beside", "no id", "search", "plain", "turns", "break")
_CITIES = ("Oslo", "Lima", "Kyoto", "Accra", "Quito", "Turin", "Perth", "Malmö", "Đà Nẵng", "Łódź")


def _tool(name: str, **properties: str) -> Message:
    schema = {"type": "object", "properties": {k: {"type": v} for k, v in properties.items()}}
    function = {"name": name, "description": f"Use it to {name}.", "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [_tool("track", order="integer"), _tool("weather", city="string", days="integer")]


def _call(name: str, number: int, *, named: bool = True, **arguments: Any) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"type": "function", **({"id": f"call_{number}"} if named else {}), "function": function}


def _says(text: str | None, *calls: Message) -> Message:
    return {"role": "assistant", "content": text} | ({"tool_calls": list(calls)} if calls else {})


def _case(kind: str, n: int) -> tuple[list[Message], list[Message], Message, Message]:
    """Return tools, context, the better answer and the worse one."""
    city = f"{_CITIES[n % len(_CITIES)]} {n}"
    asked = [{"role": "user", "content": f"Shall I ship parcel {n} to {city} this week? ({kind})"}]
    good, bad = _says(f"Yes, parcel {n} leaves for {city} today."), _says(f"I cannot see {city}.")
    call, other = _call("track", n, order=n), _call("weather", n, city=city, days=n % 7)
    result = {"role": "tool", "tool_call_id": f"call_{n}", "content": f'{{"parcel": {n}}}'}
    if kind == "calls":
        return TOOLS, asked, _says(None, call), _says(None, other)
    if kind == "answers":
        return TOOLS, [*asked, _says(None, call), result], good, bad
    if kind == "parallel":
        second = _call("weather", n + 500, city=city, days=2)
        return TOOLS, asked, _says(None, call, second), good
    if kind == "beside":
        return TOOLS, asked, _says("Let me look.", call), bad
    if kind == "no id":
        lone = _says(None, _call("track", n, named=False, order=n))
        return (
            TOOLS,
            [*asked, lone, {"role": "tool", "content": "sent", "name": "track"}],
            good,
            bad,
        )
    if kind == "search":
        return [*TOOLS, {"type": "web_search"}], asked, good, bad
    if kind == "turns":
        more = [_says(f"Which parcel to {city}?"), {"role": "user", "content": f"Number {n}."}]
        return [], [{"role": "system", "content": "Be brief."}, *asked, *more], good, bad
    if kind == "break":
        return [], asked, _says(f"{good['content']}\n"), bad
    return [], asked, good, bad


def write_logs(folder: Path, n_each: int = 10) -> list[Path]:
    """Write the log and its votes, `n_each` pairs of every kind and a tenth as many thumbs."""
    log, votes = folder / "shop.jsonl", folder / "votes.jsonl"
    records, said = [], []
    for place in range(n_each * len(KINDS)):
        kind = KINDS[place % len(KINDS)]
        tools, context, *answers = _case(kind, place)
        ids = [f"r{place}a", f"r{place}b"]
        for name, answer in zip(ids, answers, strict=True):
            records.append(_record(name, place, (tools, context, answer)))
        at = (START + timedelta(days=7)).isoformat()
        said.append({"kind": "comparison", "candidates": ids, "winner": ids[0], "time": at,
                     "user_id": f"judge{place % 3}"})  # fmt: skip
        if place % 3 == 0:
            name, number = f"r{place}c", place + 5_000
            tools, context, *answers = _case(kind, number)
            records.append(_record(name, number, (tools, context, answers[place % 2])))
            said.append({"kind": "thumbs", "request_id": name, "value": place % 2 == 0,
                         "time": at, "user_id": "ann"})  # fmt: skip
    for path, rows in ((log, records), (votes, said)):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
    return [log, votes]


def _record(name: str, place: int, case: tuple[list[Message], list[Message], Message]) -> Message:
    tools, context, answer = case
    reason = "tool_calls" if answer.get("tool_calls") else "stop"
    request: Message = {"model": "shop-1", "messages": context}
    return {
        "id": name,
        "request_id": name,
        "timestamp": (START + timedelta(minutes=place % 10_000)).isoformat(),
        "user_id": f"user{place}",
        "request": request | ({"tools": tools} if tools else {}),
        "response": {
            "id": name,
            "model": "shop-1",
            "choices": [{"index": 0, "message": answer, "finish_reason": reason}],
        },
    }
