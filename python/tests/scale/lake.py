"""A store of S3 on loopback with very many bundles in one prefix. Manifests are real; what they have in common is kept once.

    python lake.py TEMPLATE SOURCES WEEKS

TEMPLATE is a bundle, of which each bundle here has the files. Keys are sorted, and a listing jumps over what it does not show, so
its time grows with what it gives and not with what there is. It prints its URL, and counts of requests on each line that it reads.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import json
import re
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

BUCKET, PREFIX = "deltas", "weekly/"
TAG_LIST, MANIFEST, MARKER = "tagmanifest-sha256.txt", "manifest.json", ".complete"
FIRST = datetime(2023, 1, 1, 18, tzinfo=UTC)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Lake:
    """The objects: made when they are asked for, except for what was put."""

    def __init__(self, template: Path, sources: int, weeks: int) -> None:
        self.files = {file.relative_to(template).as_posix(): file.read_bytes() for file in template.rglob("*") if file.is_file()}
        self.files.pop(f"{TAG_LIST}.sig", None)
        self.tree = json.loads(self.files[MANIFEST])
        self.bundles: dict[str, tuple[int, int, str]] = {}
        self.roots: dict[str, str] = {}
        self.put: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.keys: list[str] = []
        for source in range(sources):
            previous = ""
            for week in range(weeks):
                previous = self.add(source, week, previous)
        self.keys.sort()

    def name(self, source: int, week: int, previous: str) -> str:
        """The name of a bundle that can be asked for from now on, and is in no listing yet."""
        run = uuid.UUID(int=(source << 64) + week + 1, version=4).hex
        started = FIRST + timedelta(days=7 * week, seconds=source)
        name = f"{started:%Y%m%dT%H%M%SZ}-{run[:8]}-1.bundle"
        # Two sources of one second have other runs.
        name = name if name not in self.bundles else name.replace("-1.bundle", f"-{source + 2}.bundle")
        self.bundles[name] = (source, week, previous)
        self.roots[name] = sha256(self.file(name, TAG_LIST))
        return name

    def write(self, folder: Path, source: int, week: int, previous: str) -> Path:
        """A bundle in a folder, to be shipped."""
        name = self.name(source, week, previous)
        for path in (*self.files, TAG_LIST, MANIFEST):
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_bytes(self.file(name, path))
        return folder / name

    def add(self, source: int, week: int, previous: str) -> str:
        """One more bundle of a source; gives its root digest."""
        name = self.name(source, week, previous)
        keys = [f"{PREFIX}{name}/{path}" for path in self.files] + [f"{PREFIX}{name}{MARKER}"]
        with self.lock:
            if self.keys and self.keys[-1] > keys[0]:
                for key in keys:
                    bisect.insort(self.keys, key)
            else:
                self.keys.extend(sorted(keys))
        return self.roots[name]

    @functools.lru_cache(maxsize=4096)  # noqa: B019 (it lives as long as the process)
    def file(self, name: str, path: str) -> bytes:
        """A file of a bundle."""
        if path == TAG_LIST:
            lines = self.files[TAG_LIST].decode().splitlines()
            digest = sha256(self.file(name, MANIFEST))
            return "".join(f"{digest}  {MANIFEST}\n" if line.endswith(f"  {MANIFEST}") else f"{line}\n" for line in lines).encode()
        return self.manifest(name) if path == MANIFEST else self.files[path]

    def manifest(self, name: str) -> bytes:
        source, week, previous = self.bundles[name]
        started = FIRST + timedelta(days=7 * week, seconds=source)
        end = started - timedelta(hours=4)
        text = "%Y-%m-%dT%H:%M:%S.0000000"
        run = uuid.UUID(int=(source << 64) + week + 1, version=4)
        tree = {**self.tree, "run": {**self.tree["run"], "run_id": str(run), "completed_at": None}}
        tree["run"] |= {"source_id": str(uuid.UUID(int=source + 1, version=4)), "started_at": started.strftime(text) + "Z"}
        tree["run"]["pack_number"] = int(name.removesuffix(".bundle").rsplit("-", 1)[1])
        begin = "0001-01-01T00:00:00.0000000" if week == 0 else (end - timedelta(days=7, hours=4)).strftime(text)
        window = {"start": begin, "end": end.strftime(text), "watermark_after": end.strftime(text), "watermark_before": None}
        window |= {"active_transaction_floor": None, "lag_only": True}
        tree["tables"] = [
            {**table, "previous": {"root_sha256": previous} if previous else None, "window": {**table["window"], **window}}
            for table in self.tree["tables"]
        ]
        return (json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()

    def get(self, key: str) -> bytes | None:
        """An object."""
        if key in self.put:
            return self.put[key]
        at = bisect.bisect_left(self.keys, key)
        if at == len(self.keys) or self.keys[at] != key:
            return None
        name, _, path = key.removeprefix(PREFIX).partition("/")
        return self.file(name, path) if path else f"{self.roots[name.removesuffix(MARKER)]}\n".encode()

    def listing(self, prefix: str, delimiter: str, after: str, most: int) -> tuple[list[str], list[str], str | None]:
        """Keys and common prefixes after one, at most so many together, and where to go on."""
        keys: list[str] = []
        common: list[str] = []
        at = bisect.bisect_right(self.keys, after) if after >= prefix else bisect.bisect_left(self.keys, prefix)
        while at < len(self.keys) and self.keys[at].startswith(prefix):
            if len(keys) + len(common) == most:
                return keys, common, max(keys[-1:] + [one + "\x7f" for one in common[-1:]])
            cut = self.keys[at].find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common.append(self.keys[at][: cut + 1])
                at = bisect.bisect_left(self.keys, common[-1] + "\x7f")
            else:
                keys.append(self.keys[at])
                at += 1
        return keys, common, None

    def store(self, key: str, data: bytes) -> None:
        with self.lock:
            if self.get(key) is None:
                bisect.insort(self.keys, key)
            self.put[key] = data

    def remove(self, key: str) -> None:
        with self.lock:
            at = bisect.bisect_left(self.keys, key)
            if at < len(self.keys) and self.keys[at] == key:
                del self.keys[at]
            self.put.pop(key, None)


class Handler(BaseHTTPRequestHandler):
    """As much of S3 as the program and s3fs ask for."""

    protocol_version = "HTTP/1.1"
    lake: Lake
    counts: dict[str, int] = {}  # noqa: RUF012 (of all requests)

    def log_message(self, *_: Any) -> None:
        pass

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "keep-alive", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def asked(self) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(self.path)
        return unquote(url.path).lstrip("/").removeprefix(BUCKET).lstrip("/"), parse_qs(url.query, keep_blank_values=True)

    def do_GET(self) -> None:
        key, query = self.asked()
        if not key:
            self.list(query)
            return
        self.count("get" if self.command == "GET" else "head")
        data = self.lake.get(key)
        if data is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")
            return
        about = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Last_Modified": formatdate(1_700_000_000, usegmt=True)}
        about["Accept_Ranges"] = "bytes"
        span = self.headers.get("Range")
        if span and self.command == "GET":
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, end = (
                (int(first), min(int(last or len(data) - 1), len(data) - 1)) if first else (len(data) - int(last), len(data) - 1)
            )
            if start >= len(data):
                self.answer(416, **about)
                return
            self.answer(206, data[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(data)}", **about)
            return
        if self.command == "HEAD":
            self.send_response(200)
            for name, value in {"Content-Length": str(len(data)), **about}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            return
        self.answer(200, data, **about)

    do_HEAD = do_GET

    def list(self, query: dict[str, list[str]]) -> None:
        self.count("list")
        one = {name: values[0] for name, values in query.items()}
        after = one.get("continuation-token") or one.get("start-after", "")
        most = min(int(one.get("max-keys", 1000)), 1000)
        keys, common, rest = self.lake.listing(one.get("prefix", ""), one.get("delimiter", ""), after, most)
        parts = []
        for key in keys:
            data = self.lake.get(key) or b""
            about = f'<ETag>"{hashlib.md5(data).hexdigest()}"</ETag><Size>{len(data)}</Size>'
            time = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            parts.append(f"<Contents><Key>{escape(key)}</Key>{time}{about}<StorageClass>STANDARD</StorageClass></Contents>")
        parts += [f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>" for prefix in common]
        if rest is not None:
            parts.append(f"<NextContinuationToken>{escape(rest)}</NextContinuationToken>")
        head = f"<Name>{BUCKET}</Name><KeyCount>{len(keys) + len(common)}</KeyCount><MaxKeys>{most}</MaxKeys>"
        head += f"<IsTruncated>{'true' if rest is not None else 'false'}</IsTruncated>"
        body = f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{head}{"".join(parts)}'
        self.answer(200, f"{body}</ListBucketResult>".encode(), Content_Type="application/xml")

    def do_PUT(self) -> None:
        self.count("put")
        key, _ = self.asked()
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("If-None-Match") == "*" and self.lake.get(key) is not None:
            self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.lake.store(key, data)
        self.answer(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_POST(self) -> None:
        """Deletes several objects."""
        self.count("delete")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        keys = re.findall("<Key>(.*?)</Key>", body)
        for key in keys:
            self.lake.remove(unescape(key))
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self.answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode(), Content_Type="application/xml")

    def do_DELETE(self) -> None:
        self.count("delete")
        self.lake.remove(self.asked()[0])
        self.answer(204)


def serve(lake: Lake) -> tuple[ThreadingHTTPServer, str]:
    """The server, which runs on a thread, and its URL."""
    handler = type("LakeHandler", (Handler,), {"lake": lake, "counts": {}})
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


def main() -> None:
    server, url = serve(Lake(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
    print(url, flush=True)
    for _ in sys.stdin:
        counts = server.RequestHandlerClass.counts  # type: ignore[attr-defined]
        print(json.dumps(counts), flush=True)
        counts.clear()


if __name__ == "__main__":
    main()
