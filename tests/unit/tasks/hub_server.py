"""A small server that speaks the part of the Hugging Face Hub's protocol that adapters need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "hf_" + "s" * 34
COMMIT = "c" * 40
_REFUSED = "Invalid credentials in Authorization header"


class Hub(ThreadingHTTPServer):
    """Repositories in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.server_address)


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    server: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base names it
        self.server.requests.append(f"{self.command} {self.path}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "Invalid username or password."}, {"X-Error-Message": _REFUSED})
        elif self.path == "/api/validate-yaml":
            self.validate(json.loads(body)["content"])
        elif self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/(\w+)", self.path):
            self.write(found[1], found[2], body)
        else:
            self.answer(404, {"error": "unknown"})

    def create(self, wanted: dict[str, object]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        known = name in self.server.repositories
        self.server.repositories.setdefault(name, {})
        self.server.private.setdefault(name, bool(wanted.get("private") or wanted.get("visibility") == "private"))
        self.answer(409 if known else 200, {"url": f"{self.server.url}/{name}", "id": name, "name": name})

    def validate(self, card: str) -> None:
        errors = [] if "license" in yaml.safe_load(card.split("---\n")[1]) else [{"message": "no license"}]
        self.answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def write(self, name: str, step: str, body: bytes) -> None:
        if step == "preupload":
            files = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]
            self.answer(200, {"files": modes})
            return
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.server.repositories[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        place = f"{self.server.url}/{name}/commit/{COMMIT}"
        self.answer(200, {"commitUrl": place, "commitOid": COMMIT, "hookOutput": "", "success": True})

    def do_HEAD(self) -> None:
        self.do_GET()

    def search(self) -> None:
        """List the repositories whose cards have all tags, as the hub does for `list_models`."""
        asked = parse_qs(urlsplit(self.path).query)
        found = []
        for name, files in self.server.repositories.items():
            header = yaml.safe_load(files.get("README.md", b"---\n{}\n---\n").decode().split("---\n")[1])
            tags = header.get("tags", [])
            if set(asked.get("filter", [])) <= set(tags) and asked.get("search", [""])[0] in name:
                found.append({"id": name, "tags": tags, "cardData": header, "private": False, "downloads": 0})
        self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def do_GET(self) -> None:
        if self.path.startswith("/api/models?"):
            self.search()
            return
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", self.path)
        if found is None or found[1] not in self.server.repositories:
            self.answer(401 if found else 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif found[2] not in ("main", "v1", COMMIT):
            self.answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        elif (contents := self.server.repositories[found[1]].get(found[3])) is None:
            self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            tag = hashlib.sha256(contents).hexdigest()
            self.answer(200, contents, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, content: dict[str, object] | bytes, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Hub]:
    """Run the server within the block."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
