"""Holds all T-SQL of the project against Microsoft's own grammar (ScriptDom, in PyPI's `maxdop`), for each version of it.

    check_tsql.py [FOLDER]

What is parsed:
  * every script of `sql/sqlserver`, batch by batch, and every statement of its files of named ones (`-- name: some_name`);
  * every template of script 04, its placeholders filled as `usp_BlobDelta_ListPlaceholders` fills them, for a tree
    and a flat table, with business units and without, and for a FileTable;
  * every text in a script that is executed as it stands but for the names in it (`REPLACE(N'...', N'{Db}', ...)`);
  * every file of FOLDER: the statements that the program sends, written there by
    `BLOBDELTA_STATEMENTS=FOLDER cargo test --test suite -- tds::all_that_the_program_sends`.
Texts with `[{Name}]` are filled by the program, and so come with FOLDER, as do parts of statements.

Beside it three rules of the server: clustered keys of 900 bytes, the collation of temporary tables, a % in THROW.

What this cannot find: a function, option value or system view that a version does not have (ScriptDom knows the grammar of a
version, not its names), a name that is spelled wrong, and a lone wrong word at the beginning of a batch, which is the call of a
procedure. That each run can fail is tried at its beginning, with a misspelt keyword.
"""

import itertools
import pathlib
import re
import subprocess
import sys

VERSIONS = ["2016", "2017", "2019", "2022", "2025"]
MAXDOP = str(pathlib.Path(sys.executable).with_name("maxdop"))
SCRIPTS = pathlib.Path(__file__).parents[2] / "sql" / "sqlserver"
LITERAL = re.compile(r"--[^\n]*|/\*.*?\*/|(N?)'((?:[^']|'')*)'", re.DOTALL)
PLACEHOLDER = re.compile(r"\{([(\w)]+)\}")


TO_ID = ("CONVERT(uniqueidentifier, CONVERT(binary(16), CONVERT(bigint, ", ")))")
TO_KEY = ("CONVERT(bigint, SUBSTRING(CONVERT(binary(16), ", "), 9, 8))")


CONVERSIONS = {"ToKey(": TO_KEY[0], ")ToKey": TO_KEY[1], "ToId(": TO_ID[0], ")ToId": TO_ID[1]}


DAY_END = "DATEADD(microsecond, 999999, DATEADD(second, 86399, CONVERT(datetime2(7), m.[CreatedOn])))"


def stamps(of_two):
    """What stands for the stamp: a datetime2, or a datetimeoffset and, where that is NULL, a date."""

    def since(time):
        day = "m.[CreatedOn] " + (">" if time == "@RunStart" else ">=") + f" CONVERT(date, {time})"
        return [f"m.[ModifiedOn] >= TODATETIMEOFFSET({time}, '+00:00')", day] if of_two else [f"m.[ModifiedOn] >= {time}"]

    def before(time):
        day = "m.[CreatedOn] " + ("<=" if time == "@RunStart" else "<") + f" CONVERT(date, {time})"
        return [f"m.[ModifiedOn] < TODATETIMEOFFSET({time}, '+00:00')", day] if of_two else [f"m.[ModifiedOn] < {time}"]

    def either(*conditions):
        sides = [" AND ".join(side) for side in zip(*conditions)]
        return f"({sides[0]} OR (m.[ModifiedOn] IS NULL AND {sides[1]}))" if of_two else f"({sides[0]})"

    day = f"CASE WHEN m.[CreatedOn] = CONVERT(date, @RunStart) THEN DATEADD(microsecond, -1, @RunStart) ELSE {DAY_END} END"
    return {
        "StampInDays": "1" if of_two else "0",
        "ModifiedOn": f"COALESCE(CONVERT(datetime2(7), SWITCHOFFSET(m.[ModifiedOn], '+00:00')), {day})" if of_two else "m.[ModifiedOn]",
        "InWindow": either(since("@WindowStart"), before("@WindowEnd")),
        "InBuffer": either(since("@WindowEnd"), before("@RunStart")),
        "FromRunStart": either(since("@RunStart")),
        "BeforeRunStart": either(before("@RunStart")),
        "WithoutStamp": "(m.[ModifiedOn] IS NULL AND m.[CreatedOn] IS NULL)" if of_two else "(m.[ModifiedOn] IS NULL)",
    }


def values(tree, units, filetable, integers=False):
    """What the engine puts into braces for one kind of table."""
    to_id, to_key = (TO_ID, TO_KEY) if integers else (("", ""), ("", ""))
    return {
        "SourceTable": "[S].[dbo].[Files]",
        "TargetTable": "[D].[dbo].[Files]",
        "MetadataTable": "[M].[dbo].[Files]",
        "BusinessUnitTable": "[S].[dbo].[Units]" if units else None,
        "SliceSchema": "[D].[dbo]",
        "SourceHint": "WITH (READCOMMITTEDLOCK)" if filetable else "",
        "KeyType": "integer" if integers else "uniqueidentifier",
        "ToKey(": to_key[0],
        ")ToKey": to_key[1],
        "ToId(": to_id[0],
        ")ToId": to_id[1],
        "KeyColumn": "[stream_id]",
        "PathColumn": "[path_locator]" if tree else None,
        "ParentPathColumn": "[parent_path_locator]" if tree else None,
        "ParentPath": "s.[parent_path_locator]" if tree else "CAST(NULL AS varbinary(1))",
        "MetadataIdColumn": "[Attachment]]Id]",
        "MetadataModifiedOnCol": None if integers else "[ModifiedOn]",
        **stamps(integers),
        "MetadataBusinessUnitCol": "[BusinessUnit]" if units else None,
        "BusinessUnitIdColumn": "[BusinessUnitId]" if units else None,
        "BusinessUnit": "m.[BusinessUnit]" if units else "CAST(NULL AS uniqueidentifier)",
        "InScope": (
            "(EXISTS (SELECT 1 FROM [S].[dbo].[Units] AS u WHERE u.[BusinessUnitId] = m.[BusinessUnit])"
            " AND (@BusinessUnitId IS NULL OR m.[BusinessUnit] = @BusinessUnitId))"
            if units
            else "(@BusinessUnitId IS NULL)"
        ),
        "InUnits": (
            "(EXISTS (SELECT 1 FROM [S].[dbo].[Units] AS u WHERE u.[BusinessUnitId] = m.[BusinessUnit])"
            " AND (@BusinessUnitId IS NULL OR m.[BusinessUnit] = @BusinessUnitId))"
            if units
            else "(@BusinessUnitId IS NULL)"
        ),
        "InScopeOrDeleted": "(@BusinessUnitId IS NULL)",
        "IsDeleted": (
            "(COALESCE((SELECT TOP (1) CASE WHEN (w.[Gone] IS NOT NULL) THEN 1 ELSE 0 END AS IsDeleted FROM [M].[dbo].[T] AS w"
            " WHERE w.[Attachment]]Id] = m.[Attachment]]Id] AND (@BusinessUnitId IS NULL) AND (1 = 1)"
            " ORDER BY w.[ModifiedOn] DESC, IsDeleted DESC), 0) = 1)"
            if units
            else "(0 = 1)"
        ),
        "MetadataFilter": "m.[Kind] IN (N'a', N'b')" if units else "1 = 1",
        "TargetColumns": "[stream_id], [file_stream]",
        "SourceColumns": "s.[stream_id], s.[file_stream]",
        "AncestorColumns": "s.[stream_id], CASE WHEN f.IsForeign = 0 THEN s.[file_stream] END",
        "RowBytes": "COALESCE(s.[cached_file_size], 0)" if filetable else "0 + COALESCE(CONVERT(bigint, DATALENGTH(s.[file_stream])), 0)",
        "MaxDOP": "2",
    }


def literals(text):
    """The string literals of a script: where each begins and ends, and what it says."""
    for found in LITERAL.finditer(text):
        if found.group(2) is not None:
            yield found.start(), found.end(), found.group(2).replace("''", "'")


def batches(name, text):
    """What sqlcmd sends, each with its place."""
    line, start = 1, 1
    lines = []
    for one in text.splitlines() + ["GO"]:
        if one.strip().upper() == "GO":
            if "".join(lines).strip():
                yield f"{name}, batch from line {start}", "\n".join(lines)
            lines, start = [], line + 1
        else:
            lines.append(one)
        line += 1


def named(name, text):
    """The statements of a file, each with its name; a file without names is one piece."""
    parts = re.split(r"(?m)^-- name: (\w+)$", text)
    if len(parts) == 1:
        yield name, text
    yield from ((f"{of} of {name}", part) for of, part in zip(parts[1::2], parts[2::2]))


def is_part(text):
    """Whether a text is what stands within statements: a condition, or a query in brackets."""
    code = re.sub(r"--[^\n]*", "", text).strip()
    return code.startswith(("(", "EXISTS", "WHEN"))


def fill(name, text, known):
    """A template filled for one kind of table, or None where that kind does not use it."""
    used = set(PLACEHOLDER.findall(text))
    if unknown := used - known.keys():
        sys.exit(f"{name}: this program does not know what the engine fills in for {sorted(unknown)}")
    if any(known[one] is None for one in used):
        return None
    return PLACEHOLDER.sub(lambda found: known[found.group(1)], text)


def templates(script, text):
    """Every template of a script, filled for every kind of table that uses it."""
    kinds = [values(*kind) for kind in itertools.product((True, False), repeat=4)]
    for start, _, template in literals(text):
        if "\n" not in template or not PLACEHOLDER.findall(template) or not PLACEHOLDER.findall(template)[0] in kinds[0]:
            continue
        name = f"{script}, template from line {text.count(chr(10), 0, start) + 1}"
        filled = {fill(name, template, known) for known in kinds} - {None}
        assert filled, f"{name}: no kind of table uses it"
        for one in sorted(filled):
            # As the engine checks it, and as it runs it.
            yield name, f"IF 1 = 0 BEGIN {one}\n    SET @Rows = @@ROWCOUNT;\n    END;"


def executed(script, text):
    """Every text that a script executes with nothing but names put into it."""
    for start, end, literal in literals(text):
        before, after = text[:start].rstrip(), text[end:]
        names = PLACEHOLDER.findall(literal)
        # Not an expression, and nothing more is put behind it.
        is_whole = re.match(r"\s*(--|[A-Z]+ )", literal) and not literal.lstrip().startswith("EXISTS")
        is_filled = re.match(r"\s*,\s*N'\{\w+\}'", after) and names and " + @" not in after.split(";", 1)[0]
        if is_whole and (is_filled or re.search(r"EXEC \($", before)):
            name = f"{script}, statement from line {text.count(chr(10), 0, start) + 1}"
            yield name, PLACEHOLDER.sub(lambda found: CONVERSIONS.get(found.group(1), f"[{found.group(1)}]"), literal)


def pieces(folder):
    for script in sorted(SCRIPTS.rglob("*.sql")):
        for name, text in named(script.name, script.read_text(encoding="utf-8")):
            if "[{" in text or is_part(text):
                continue
            yield from batches(name, text)
            yield from executed(name, text)
            if name.startswith("04_"):
                yield from templates(name, text)
    for statement in sorted(folder.iterdir()) if folder else []:
        yield statement.name, statement.read_text(encoding="utf-8")


def refusal(text, version):
    """What the grammar of a version has against a text, if anything."""
    call = [MAXDOP, "--parser-version", version]
    done = subprocess.run(call, input=text.encode(), capture_output=True, check=False)
    return done.stderr.decode().strip() if done.returncode else None


def check_placeholders():
    """What is filled in here has the names that the engine fills in."""
    text = (SCRIPTS / "03_BlobDeltaJobs_Schema.sql").read_text(encoding="utf-8")
    listed = text.split("INSERT INTO #Placeholder (Name, Value) VALUES", 1)[1].split("END;\nGO", 1)[0]
    engine = set(re.findall(r"\(N'([(\w)]+)', ", listed))
    here = values(True, True, True).keys()
    if engine != here:
        sys.exit(f"placeholders of the engine that are not known here: {engine - here}; here alone: {here - engine}")


def definitions(text, head):
    """The bodies of CREATE TABLE, brackets balanced."""
    for found in re.finditer(head, text):
        depth, at = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield found.group(1), re.sub(r"--[^\n]*", "", text[found.end() : at - 1])


def key_bytes(body):
    """The most that a clustered key of a table can have, or None where nothing says that it has one."""
    sizes = {"uniqueidentifier": 16, "bigint": 8, "int": 4, "smallint": 2, "tinyint": 1, "bit": 1, "datetime2(7)": 8}
    of = {}
    for name, kind in re.findall(r"(?:^|,)\s*\[?(\w+)\]?\s+(\w+(?:\(\w+\))?)", body):
        length = re.fullmatch(r"(n?)(?:var)?(?:char|binary)\((\d+)\)", kind)
        of[name] = int(length.group(2)) * (2 if length.group(1) else 1) if length else sizes.get(kind, 0)
    key = re.search(r"PRIMARY KEY (?:CLUSTERED )?\(([^)]*)\)", body)
    return sum(of[column.strip(" []")] for column in key.group(1).split(",")) if key else None


def variables(batch):
    """The variables that a batch declares, once for each time, and those that it uses; those of texts that it executes apart."""
    code = LITERAL.sub(" ", batch)
    head = re.search(r"(?:ALTER|CREATE) (?:PROCEDURE|FUNCTION) [^\n(]*(.*?)\nAS\n", code, re.S)
    declared = re.findall(r"(@\w+) [a-z]", head.group(1)) if head else []
    for found in re.finditer(r"\bDECLARE\b([^;]*);", code):
        depth = 0
        parts = [""]
        for letter in found.group(1):
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += letter
        declared += [part.split()[0] for part in parts]
    # `@name = value` in a call is the parameter's name.
    call = r"(?:EXEC(?:UTE)? )[^;]*"
    named = {name for text in re.findall(call, code) for name in re.findall(r"(@\w+) = ", text)}
    used = set(re.findall(r"(?<!@)@[A-Za-z]\w*", code)) - named
    return [name.lower() for name in declared], {name.lower() for name in used}


def check_what_no_grammar_says():
    """Rules of the server that hold for each script and that its grammar knows nothing of."""
    wrong = []
    for script in sorted(SCRIPTS.glob("*.sql")):
        text = script.read_text(encoding="utf-8")
        for table, body in definitions(text, r"CREATE TABLE (?:dbo\.)?(\w+) \("):
            if (key_bytes(body) or 0) > 900:
                wrong.append(f"{script.name}: the clustered key of {table} may have {key_bytes(body)} bytes, of 900")
        for table, body in definitions(text, r"CREATE TABLE (#\w+) \("):
            for column in re.findall(r"(\w+ n?(?:var)?char\(\w+\))(?! COLLATE)", body):
                wrong.append(f"{script.name}: {column} of {table} has the collation of tempdb: COLLATE DATABASE_DEFAULT")
        for found in re.finditer(r"THROW (@Number|5\d{4}), @Message", text):
            if "%%" not in text[max(0, found.start() - 400) : found.start()]:
                wrong.append(f"{script.name}: THROW takes a % of a name for a format: usp_BlobDelta_Throw, or double it")
        for batch in re.split(r"(?im)^\s*GO\s*$|^-- name: \w+$", text):
            declared, used = variables(batch)
            for name in sorted({name for name in declared if declared.count(name) > 1}):
                wrong.append(f"{script.name}: {name} is declared twice in one batch")
            # Statements that the program sends have their parameters declared by it.
            for name in sorted(used - set(declared)) if re.match(r"\d\d_|apply_", script.name) else []:
                wrong.append(f"{script.name}: {name} is not declared in its batch")
    twice, used = variables("DECLARE @A int, @B int = (SELECT 1, 2);\nSELECT @C, '@D'; -- @E\nDECLARE @a int;")
    assert (twice, used) == (["@a", "@b", "@a"], {"@a", "@b", "@c"}), "so this proves nothing"
    if wrong:
        sys.exit("\n".join(wrong))


def main():
    check_placeholders()
    check_what_no_grammar_says()
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found = list(pieces(folder))
    everything = "\nGO\n".join(text for _, text in found)
    assert "\nGO\n" in everything and "SELECT" in everything
    for version in VERSIONS:
        for wrong in ("SELECT 1 FORM t;", "SELECT TOP 1 FROM WHERE;", "UPDATE t SET WHERE a = 1;"):
            assert refusal(f"SELECT 1;\nGO\n{wrong}", version), f"{version} takes {wrong!r}, so this proves nothing"
        if refusal(everything, version):
            wrong = [(name, why) for name, text in found if (why := refusal(text, version))]
            for name, why in wrong:
                print(f"{version}: {name}: {why.removeprefix('maxdop: <stdin>: ')}")
            sys.exit(f"{len(wrong)} of {len(found)} texts are no T-SQL of SQL Server {version}")
    sent = sum(1 for _ in folder.iterdir()) if folder else 0
    print(f"{len(found)} texts ({sent} sent by the program) parse as T-SQL of SQL Server {', '.join(VERSIONS)}")


main()
