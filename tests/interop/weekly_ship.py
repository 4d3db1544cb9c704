"""Eight weeks of a producer and a consumer, over real servers of object stores on loopback.

The producer runs every week and ships what it recorded (`pack --ship`, and `run --ship` at the end);
one ship is cut in the middle and resumed. The consumer receives, verifies, replays, looks at the chain,
compacts, ships the compacted bundle back and prunes; a second consumer, who has nothing yet, replays
what is left there. Both end with what the source has.

    weekly_ship.py BLOBDELTA FOLDER

FOLDER is made. Azurite and moto are looked for in PATH and in .venv, where .ci/run installs them.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEEKS = 8
KEEP_WEEKS = 3
TABLES = ("ReferralAttachment", "ClientAttachment")
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Proxy:
    """Counts what goes to the server, and cuts everything after so many bytes, until it is told otherwise."""

    def __init__(self, server_port):
        self.server_port, self.sent, self.limit, self.open = server_port, 0, None, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def start(self, limit=None):
        self.sent, self.limit = 0, limit

    def is_cut(self):
        return self.limit is not None and self.sent > self.limit

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.is_cut():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.server_port))
            self.open += [client, server]
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, target, counts):
        try:
            while block := source.recv(65536):
                if counts:
                    self.sent += len(block)
                    if self.is_cut():
                        break
                target.sendall(block)
        except OSError:
            pass
        for stream in self.open if self.is_cut() else (source, target):
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def program(name, home):
    found = shutil.which(name, path=os.pathsep.join([str(ROOT / home), os.environ["PATH"]]))
    if not found:
        sys.exit(f"{name} is not installed: .ci/run installs it")
    return found


def azure_headers(method, path, query):
    """Shared Key, as Azure documents it."""
    headers = {"x-ms-date": "Sat, 28 Nov 2026 00:00:00 GMT", "x-ms-version": "2021-08-06"}
    listed = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    resource = f"/{ACCOUNT}{path}" + "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
    signed = f"{method}\n\n\n\n\n\n\n\n\n\n\n\n{listed}{resource}"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    return {**headers, "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"}


class Store:
    """A server, its bucket, and what a client needs to reach it through the proxy."""

    def __init__(self, name, folder):
        self.name, port = name, free_port()
        folder.mkdir()
        if name == "s3":
            command = [program("moto_server", ".venv/bin"), "-H", "127.0.0.1", "-p", str(port)]
        else:
            command = [program("azurite-blob", ".venv/node/node_modules/.bin"), "--blobHost", "127.0.0.1", "--blobPort",
                       str(port), "--location", str(folder), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        self.proxy = Proxy(port)
        url = f"http://127.0.0.1:{self.proxy.port}"
        if name == "s3":
            key = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
            self.url, path, headers = "s3://deltas/weekly", "/deltas", {"Authorization": key}
            self.environment = {"AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        else:
            self.url, path = "az://deltas/weekly", f"/{ACCOUNT}/deltas?restype=container"
            headers = azure_headers("PUT", f"/{ACCOUNT}/deltas", {"restype": "container"})
            self.environment = {"AZURE_STORAGE_ENDPOINT": f"{url}/{ACCOUNT}", "AZURE_ALLOW_HTTP": "true",
                                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}
        try:
            self.make_bucket(port, path, headers)
        except BaseException:
            self.end()
            raise

    def make_bucket(self, port, path, headers):
        for _ in range(1800):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("PUT", path, headers={**headers, "Content-Length": "0"})
                answer = connection.getresponse()
                assert answer.status in (200, 201), (answer.status, answer.read())
                return
            except ConnectionError:
                time.sleep(0.1)
        sys.exit(f"the server for {self.name} did not answer within three minutes")

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=30)


class Caller:
    """The binary, with the keys of a store in its environment."""

    def __init__(self, binary, store):
        self.binary, self.store = binary, store
        self.environment = {**os.environ, **(store.environment if store else {})}

    def begin(self, *args):
        command = [self.binary, *map(str, args), "--json"]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __call__(self, *args):
        process = self.begin(*args)
        out, err = process.communicate()
        assert process.returncode == 0, f"{args} ended with {process.returncode}:\n{out}\n{err}"
        return json.loads(out)


def files(folder):
    """The fixtures, and enough noise that the first bundle is worth cutting."""
    shutil.copytree(ROOT / "fixtures" / "files", folder)
    noise = random.Random(8)
    # Each folder becomes a table of its own, so that the first bundle has two large parts.
    for number in range(8):
        (folder / ("Clients", "Referrals")[number % 2] / f"scan {number}.raw").write_bytes(noise.randbytes(1_500_000))
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 40 * 86400,) * 2)


def produce(call, store, demo):
    """Ships the bundle of each run, oldest first; the first ship dies in the middle."""
    connection = ["--connection", f"sqlite:{demo / 'source'}"]
    runs = [run["RunId"] for run in reversed(call("status", *connection)["runs"])]
    assert len(runs) == WEEKS + 1, f"a full load and {WEEKS} weeks: {runs}"
    for number, run in enumerate(runs):
        ship = ["pack", *connection, "--run", run, "--out", demo / "bundles", "--ship", store.url]
        if number == 0:
            first = sorted((demo / "bundles").iterdir())[0]
            whole = sum(path.stat().st_size for path in first.rglob("*") if path.is_file())
            store.proxy.start(whole * 7 // 10)
            dying = call.begin(*ship)
            while not store.proxy.is_cut():
                assert dying.poll() is None, dying.communicate()
                time.sleep(0.002)
            dying.kill()
            dying.communicate()
            before = store.proxy.sent
            unshipped = call("status", *connection)["unshipped"]
            assert [bundle["RunId"] for bundle in unshipped] == [run], unshipped
            store.proxy.start()
        document = call(*ship)
        assert all(shipment["shipped"] for shipment in document["shipments"]), document
        if number == 0:
            print(f"{store.name}: a ship of {whole} bytes was cut after {before}; {store.proxy.sent} bytes went over the "
                  f"network when it was resumed")
            assert store.proxy.sent < whole * 8 // 10
    document = call("run", *connection, "--out", demo / "bundles", "--ship", store.url)
    assert [shipment["shipped"] for shipment in document["shipments"]] == [True], document
    assert call("status", *connection)["unshipped"] == []
    return len(runs) + 1


def rows(database, table, columns):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        text = f"SELECT {', '.join(columns)} FROM {table} ORDER BY stream_id"
        return connection.execute(text).fetchall()


def compare(demo, target, who):
    """With the source: every row that the consumer has, byte by byte; and with the copy that the demo
    held against the source in both directions."""
    count = 0
    source, copy = (only(demo / name) for name in ("source/Gwent_LA_FileTable.sqlite", "target"))
    for table in TABLES:
        columns = ["stream_id", "name", "file_stream"]
        mine = rows(only(target), table, columns)
        theirs = dict((row[0], row) for row in rows(source, table, columns))
        assert mine == rows(copy, table, columns), f"{who}: {table} is not what the demo replayed"
        assert all(row[2] is None or row == theirs[row[0]] for row in mine), f"{who}: {table} is not what the source has"
        count += len(mine)
    print(f"{who}: {count} rows equal the source")


def only(path):
    if path.is_file():
        return path
    found = [file for file in path.iterdir() if file.suffix in (".db", ".sqlite") and "Jobs" not in file.name]
    assert len(found) == 1, list(path.iterdir())
    return found[0]


def consume(call, store, demo, home, count):
    inbox = home / "inbox"
    inbox.mkdir(parents=True)
    call("receive", store.url, "--out", inbox)
    assert len([path for path in inbox.iterdir() if path.suffix == ".bundle"]) == count
    call("verify", "--deep", inbox)
    call("replay", inbox, "--into", f"sqlite:{home / 'first'}", "--database", "Restored", "--create")
    compare(demo, home / "first", f"{store.name}, received")
    chain = call("chain", store.url)
    assert chain["bundles"] == count and not any(one["gaps"] for one in chain["chains"]), chain
    # What is older than the weeks that are kept becomes one bundle; the chain goes on from it.
    compacted = home / "compacted"
    compacted.mkdir()
    bundles = sorted(path for path in inbox.iterdir() if path.suffix == ".bundle")
    old = bundles[: count - KEEP_WEEKS - 1]
    call("compact", *old, "--out", compacted)
    call("ship", *compacted.iterdir(), store.url)
    plan = call("prune", store.url, "--keep-weeks", KEEP_WEEKS, "--plan")
    pruned = call("prune", store.url, "--keep-weeks", KEEP_WEEKS)
    assert pruned["removed"] == plan["removed"], (plan, pruned)
    assert [Path(one["place"]).name for one in pruned["removed"]] == [bundle.name for bundle in old], pruned
    left = count + 1 - len(old)
    chain = call("chain", store.url)
    assert chain["bundles"] == left and not any(one["gaps"] for one in chain["chains"]), chain
    print(f"{store.name}: {len(pruned['removed'])} of {count} bundles pruned, a compacted one stands for them")
    call("replay", store.url, "--into", f"sqlite:{home / 'second'}", "--database", "Restored", "--create")
    compare(demo, home / "second", f"{store.name}, after prune")


def main(binary, folder):
    folder.mkdir(parents=True)
    files(folder / "files")
    demo = folder / "demo"
    report = Caller(binary, None)("demo", "--from", folder / "files", "--dir", demo, "--weeks", WEEKS)
    assert report["comparison"]["differences"] == 0, report
    for name in ("azure", "s3"):
        started = time.monotonic()
        # Each store has a producer of its own: a bundle is to be shipped to one destination at a time.
        copy = folder / f"{name}-demo"
        shutil.copytree(demo, copy)
        relocate(copy, demo)
        Caller(binary, None)("deploy", "--moved", "--connection", f"sqlite:{copy / 'source'}")
        store = Store(name, folder / f"{name}-server")
        try:
            call = Caller(binary, store)
            count = produce(call, store, copy)
            consume(call, store, copy, folder / f"{name}-consumer", count)
        finally:
            store.end()
        print(f"{name}: {time.monotonic() - started:.1f} s")


def relocate(copy, demo):
    """The records name the folder in which bundles were published; here it was copied."""
    jobs = next(path for path in (copy / "source").iterdir() if path.name.startswith("BlobDeltaJobs"))
    with sqlite3.connect(jobs) as connection:
        connection.execute("UPDATE BlobDeltaBundle SET Folder = ?", [str((copy / "bundles").resolve())])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve())
