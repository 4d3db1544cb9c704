"""What `compare` measures on a server, beside what else takes rows off one or puts them onto one.

The connection is that of BLOBDELTA_TEST_SQLSERVER. Its databases BenchFiles, BenchMeta, BenchFiles_Delta and BenchCopy
are emptied before and after; they stay, so that what was granted on them does too.
"""

import json
import shutil
import sys
from pathlib import Path

from data import SERVER_DOC, SMALL_COLUMNS, Server
from timing import Failed, Program, tool

DELTA = ["DeltaModifiedOn", "DeltaBusinessUnit", "DeltaStep", "DeltaDepth", "DeltaParentKey", "DeltaEarly"]
INLINE_BYTES = 16 << 20
DOC_COLUMNS = ["stream_id", "name", "path_locator", "parent_path_locator"]
DRIVERS = ["/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so", "/usr/lib/aarch64-linux-gnu/odbc/libtdsodbc.so"]


def packed_select(name, small, large, path):
    """The statement that `pack` sends (src/backend/sqlserver/page.rs)."""
    cells = [f"t.[{column}]" for column in [*small, *DELTA]]
    for column in large:
        length = f"CONVERT(bigint, DATALENGTH(t.[{column}]))"
        cells += [length, f"CASE WHEN {length} <= {INLINE_BYTES} THEN t.[{column}] END"]
    order = ["t.[DeltaDepth]", *([f"t.[{path}]", f"DATALENGTH(t.[{path}])"] if path else []), "t.[stream_id]"]
    position = f"CONVERT(bigint, t.[DeltaDepth]), {f'CONVERT(varbinary(892), t.[{path}])' if path else 'NULL'}, t.[stream_id]"
    return f"SELECT {position}, {', '.join(cells)} FROM [BenchFiles_Delta].[dbo].[{name}] AS t ORDER BY {', '.join(order)}"


def odbc2parquet(server, name, into):
    """An export to zstd Parquet over FreeTDS, or nothing where one of the two is missing."""
    program = tool("odbc2parquet", "cargo install odbc2parquet; needs unixodbc and tdsodbc")
    driver = next((path for path in DRIVERS if Path(path).exists()), None)
    if not program or not driver:
        return None
    connection = (f"Driver={driver};Server={server.host};Port={server.port};UID={server.user};PWD={server.password};"
                  "Database=BenchFiles_Delta;TDS_Version=7.4;ClientCharset=UTF-8")
    command = [program, "--quiet", "query", "--connection-string", connection, "--column-length-limit", "65536",
               "--batch-size-memory", "64MiB", "--column-compression-default", "zstd", "--column-compression-level-default", "1"]
    # FreeTDS cuts values at 64,512 bytes unless told otherwise.
    conf = server.folder / "freetds.conf"
    conf.write_text("[global]\ntds version = 7.4\ntext size = 4294967295\n")
    return Program([*command, f"{into}/out.par", f"SELECT * FROM dbo.{name}"], env={"FREETDSCONF": str(conf)})


def rivet(server, name, into):
    program = tool("rivet", "pip install rivet-cli")
    if not program:
        return None
    config = server.folder / "rivet.yaml"
    config.write_text(f"""source:
  type: mssql
  url_env: BENCH_URL
exports:
  - name: {name}
    query: SELECT * FROM [dbo].[{name}]
    mode: full
    format: parquet
    destination: {{ type: local, path: {server.folder}/rivet/ }}
""")
    url = f"sqlserver://{server.user}:{server.password}@{server.host}:{server.port}/BenchFiles_Delta"
    before = ["sh", "-c", f"rm -rf {server.folder}/rivet {server.folder}/.rivet* {server.folder}/rivet_state*"]
    return Program([program, "run", "-c", config], env={"BENCH_URL": url}, before=before)


def packing(bench, server, what, run, name, select, drain_goal, rivet_goal):
    """One slice by us, by a bare reader of the same rows, and by two exporters."""
    ours = lambda: Program(  # noqa: E731
        [server.ours, "pack", "--run", run, "--out", "{new}"], env=server.env, before=server.pack_again(run))
    drain = Program([server.baseline, "drain", *server.login, select])
    bench.rate(f"pack {what} from a server", "tiberius: receiving the rows of the same SELECT", drain_goal, ours(), [drain])
    exported = odbc2parquet(server, name, server.folder)
    openssl = tool("openssl", "Debian package openssl")
    if exported and openssl:
        hashed = Program([openssl, "dgst", "-sha256", f"{server.folder}/out.par"])
        bench.time(f"pack {what} from a server", "odbc2parquet (FreeTDS, zstd 1) + openssl dgst", 0.8, ours(), [exported, hashed])
    other = rivet(server, name, server.folder) if rivet_goal else None
    if other:
        bench.time(f"pack {what} from a server", "rivet", rivet_goal, ours(), [other])


def blobs(bench, server, rows):
    server.plant_blobs(rows, 65536)
    run = server.extract("Doc", 500)
    select = packed_select("Doc", DOC_COLUMNS, ["file_stream"], "path_locator")
    packing(bench, server, f"{rows:,} blobs of 64 KiB", run, "Doc", select, 0.9, 0.1)
    replaying(bench, server, f"{rows:,} blobs of 64 KiB", run, "Doc")


def small(bench, server, rows):
    server.plant_small(rows)
    run = server.extract("Small", 20_000)
    select = packed_select("Small", ["stream_id", *SMALL_COLUMNS], [], None)
    # There is no goal against the bare reader for rows of small columns; 0.5 only makes a line of it.
    packing(bench, server, f"{rows:,} rows of 20 small columns", run, "Small", select, 0.5, None)
    replaying(bench, server, f"{rows:,} rows of 20 small columns", run, "Small")


def replaying(bench, server, what, run, name):
    """Into an empty table and over the same rows, beside `freebcp` loading the rows of the slice."""
    freebcp = tool("freebcp", "Debian package freetds-bin")
    if not freebcp:
        return
    out = server.folder / "bundles"
    out.mkdir(exist_ok=True)
    server.run(server.pack_again(run))
    server.call("pack", "--run", run, "--out", str(out))
    bundle = next(out.glob("*.bundle"))
    login = ["-S", f"{server.host}:{server.port}", "-U", server.user, "-P", server.password]
    rows = server.folder / "rows.bcp"
    # As characters: its native form knows no uniqueidentifier.
    server.run([freebcp, f"BenchFiles_Delta.dbo.{name}", "out", rows, "-c", "-T", "2147483647", *login])
    replay = [server.ours, "replay", bundle, "--into", server.env["BLOBDELTA_CONNECTION"], "--database", "BenchCopy", "--create"]
    # A replay makes its table by itself: once, so that there is one to drop.
    server.run(replay)
    # Not by SELECT … INTO, which on some servers makes names that a bulk load does not find.
    shaped = next(bundle.glob("schema/*.sql")).read_text().replace(f"[{name}]", "[Loaded]", 1)
    emptied = server.program("emptied", f"USE BenchCopy;\nGO\nDROP TABLE dbo.{name}; DELETE FROM dbo.BlobDeltaReplayLedger; DELETE FROM dbo.BlobDeltaReplayBundle;")
    again = server.program("again", "USE BenchCopy;\nGO\nDELETE FROM dbo.BlobDeltaReplayLedger; DELETE FROM dbo.BlobDeltaReplayBundle;")
    # New each time, as ours is: what was deleted may stay in the way.
    made = f"USE BenchFiles_Delta;\nGO\nIF OBJECT_ID(N'dbo.Loaded') IS NOT NULL DROP TABLE dbo.Loaded;\nGO\n{shaped}"
    cleared = server.program("cleared", made)
    # In one batch: there are servers that lose the end of each that freebcp sends.
    load = Program([freebcp, "BenchFiles_Delta.dbo.Loaded", "in", rows, "-c", "-b", "2147483647", *login], before=cleared)
    try:
        load.run(server.folder)
    except Failed as failed:
        print(f"FAILED, so replay {what} is compared with nothing: {failed.args[1]}", file=sys.stderr)
        shutil.rmtree(server.folder / "new")
        shutil.rmtree(out)
        return
    loaded, due = (server.count(table) for table in ["Loaded", name])
    if loaded < due * 0.9:
        print(f"FAILED freebcp: of {due:,} rows {loaded:,} arrived, so replay {what} is compared with nothing", file=sys.stderr)
        shutil.rmtree(out)
        return
    against = "freebcp of the same rows, as characters" + (f", of which {loaded:,} arrive" if loaded < due else "")
    bench.rate(f"replay {what} into an empty table of a server", against, 0.8, Program(replay, before=emptied), [load])
    bench.rate(f"replay {what} over the same rows", against, 0.5, Program(replay, before=again), [load])
    shutil.rmtree(out)


def extracting(bench, server, rows, batch_size):
    server.plant_tree(rows)
    cleared = server.program("cleared", "USE BenchFiles;\nGO\nIF OBJECT_ID(N'dbo.Copied') IS NOT NULL DROP TABLE dbo.Copied;"
                             f"\nGO\n{SERVER_DOC.format('Copied')}")
    copy = server.program("copy", "USE BenchFiles;\nGO\nINSERT INTO dbo.Copied SELECT s.* FROM dbo.Tree AS s INNER JOIN BenchMeta.dbo.Tree AS m ON m.Id = s.stream_id;")
    slopes, runs = [], []

    def seen(out):
        runs.append(json.loads(out)["run"]["RunId"])
        slopes.append(server.slope(runs[-1]))

    ours = Program([server.ours, "run", "--no-bundle", "--table", "BenchFiles.dbo.Tree", "--from", "2000-01-01", "--json",
                    "--batch-size", str(batch_size)], env=server.env, seen=seen)
    bench.rate(f"extract {rows:,} rows on a server, {batch_size} a batch", "one INSERT … SELECT of the same rows", 0.5,
               ours, [Program(copy, before=cleared)])
    bench.figure(f"extract {rows:,} rows on a server: last tenth of batches ÷ first tenth", sorted(slopes)[len(slopes) // 2], 1.1)
    replaying(bench, server, f"{rows:,} small rows", runs[-1], "Tree")


def idle(bench, server):
    server.plant_idle(50)
    bench.seconds("a run in which nothing changed, 50 tables on a server", Program(
        [server.ours, "run", "--out", "{new}"], env=server.env), 3.0)


def measure(bench, connection, ours, baseline, asked, args):
    """All of it, each on databases of its own."""
    parts = {
        "server-idle": lambda server: idle(bench, server),
        "server-extract": lambda server: extracting(bench, server, args.server_rows, args.batch_size),
        "server-blobs": lambda server: blobs(bench, server, int(args.server_gib * 16384)),
        "server-small": lambda server: small(bench, server, args.server_rows * 5),
    }
    for name, part in parts.items():
        if asked(name):
            server = Server(connection, ours, baseline, bench.folder / name)
            part(server)
            server.empty()
            shutil.rmtree(server.folder)
