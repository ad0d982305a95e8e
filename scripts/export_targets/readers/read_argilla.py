"""Read an export with `Dataset.from_disk`, let somebody answer, and write the records again.

No server is started: a transport in its place takes what the client sends, keeps it, and gives it
back as the API does. What it is sent is checked by the client's own models before.
"""

import json
import sys
import uuid
from pathlib import Path

import argilla
import httpx

API = "/api/v1/"
NOW = "2026-10-02T00:00:00"
ANSWERS = ("response_a", "response_b", "both_good", "both_bad")
ME = {"id": str(uuid.uuid4()), "username": "ana", "first_name": "Ana", "role": "owner",
      "inserted_at": NOW, "updated_at": NOW}  # fmt: skip


class Server:
    """As much of the API as an import and an export of a dataset need."""

    def __init__(self):
        workspace = {"id": str(uuid.uuid4()), "name": "argilla", **times()}
        self.workspaces, self.dataset, self.records = [workspace], None, []
        self.settings = {"fields": [], "questions": [], "metadata-properties": [],
                         "vectors-settings": []}  # fmt: skip

    def __call__(self, request):
        path = request.url.path.removeprefix(API)
        body = json.loads(request.content) if request.content else None
        return httpx.Response(200, json=self.answer(request.method, path, body, request.url.params))

    def answer(self, method, path, body, asked):
        """Return what the API says."""
        last = path.rsplit("/", 1)[-1]
        if path == "me":
            return ME
        if last == "workspaces":
            return {"items": self.workspaces}
        if path.startswith("workspaces/"):
            return self.workspaces[0]
        if path in ("datasets", "me/datasets") and method == "GET":
            return {"items": [self.dataset] if self.dataset else []}
        if path == "datasets":
            self.dataset = {**body, "id": str(uuid.uuid4()), "status": "draft", **times()}
        elif last in self.settings:
            if method == "GET":
                return {"items": self.settings[last]}
            made = {**body, "id": str(uuid.uuid4()), "dataset_id": self.dataset["id"], **times()}
            self.settings[last].append(made)
            return made
        elif last == "publish":
            self.dataset["status"] = "ready"
        elif path.endswith("records/bulk"):
            made = [self.record(one) for one in body["items"]]
            self.records += made
            return {"items": made, "updated_item_ids": []}
        elif last == "records":
            start = int(asked.get("offset", 0))
            page = self.records[start : start + int(asked.get("limit", 50))]
            return {"items": page, "total": len(self.records)}
        return self.dataset

    def record(self, sent):
        """Keep a record; the next of the answers is given to it at once."""
        value = ANSWERS[len(self.records) % len(ANSWERS)]
        response = {"id": str(uuid.uuid4()), "status": "submitted", "user_id": ME["id"],
                    "values": {"preference": {"value": value}}, **times()}  # fmt: skip
        kept = {**sent, "id": str(uuid.uuid4()), "status": "completed", **times()}
        return {**kept, "responses": [response], "dataset_id": self.dataset["id"]}


def times():
    """Return when something was written."""
    return {"inserted_at": NOW, "updated_at": NOW}


def main(folder, out):
    """Print the rows; write the answered records into a folder, in the client's two layouts."""
    server = Server()
    httpx.HTTPTransport = lambda **_: httpx.MockTransport(server)
    client = argilla.Argilla(api_url="http://argilla.invalid", api_key="none")
    dataset = argilla.Dataset.from_disk(folder, workspace="argilla", client=client)
    rows = [plain(one) for one in json.loads((Path(folder) / "records.json").read_text())]
    sent = [plain(one) for one in server.records]
    assert rows == sent, "the client changed the records"
    for name in ("flat", "nested"):
        (Path(out) / f"{name}.json").unlink(missing_ok=True)
    flat = dataset.records(with_responses=True, with_suggestions=True).to_list(flatten=True)
    (Path(out) / "flat.json").write_text(json.dumps(flat))
    dataset.records(with_responses=True, with_suggestions=True).to_json(Path(out) / "nested.json")
    print(json.dumps({"version": f"argilla {argilla.__version__}",
                      "files": {"records.json": sent}}))  # fmt: skip


def plain(record):
    """Lay a record out as the check compares it; nobody is told which side is which."""
    fields = record["fields"]
    sides = [[["assistant", fields[name], []]] for name in ("response_a", "response_b")]
    prompt = [[message["role"], message["content"], []] for message in fields["prompt"]]
    tools = json.loads(fields.get("tools") or "[]")
    return {"prompt": prompt, "sides": sorted(sides), "label": None, "tools": tools}


if __name__ == "__main__":
    main(*sys.argv[1:])
