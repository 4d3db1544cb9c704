#!/usr/bin/env python3
"""Holds manifests against manifests/manifest.schema.json, and the schema against broken manifests.

    check_manifests.py BUNDLES…

Each BUNDLES is a folder that holds *.bundle folders. Every manifest.json must be valid, stay valid
with fields that a later minor version may add, and stop being valid without any one of its fields,
with a float in place of any, and with values that no writer writes.
"""

import copy
import json
import pathlib
import sys

import jsonschema

SCHEMA = pathlib.Path(__file__).parents[2] / "manifests" / "manifest.schema.json"

# A place in the manifest, and a value that no writer puts there.
NEVER_WRITTEN = [
    (("format",), "https://blobdelta.dev/bundle/2"),
    (("format_version",), "1"),
    (("kind",), "full"),
    (("requires",), [1]),
    (("run", "run_id"), "1B1B1B1B-1B1B-1B1B-1B1B-1B1B1B1B1B1B"),
    (("run", "started_at"), "2026-11-22T18:00:00Z"),
    (("run", "pack_number"), 0),
    (("tables",), []),
    (("tables", 0, "folder"), "../t001-x"),
    (("tables", 0, "scope"), "some"),
    (("tables", 0, "window", "start"), "0001-01-01T00:00:00.0000000Z"),
    (("tables", 0, "window", "interval"), "[start,end]"),
    (("tables", 0, "window", "clock"), "server"),
    (("tables", 0, "counts", "roots"), 2**53),
    (("tables", 0, "counts", "children"), -1),
    (("tables", 0, "files", 0, "path"), "data/t001-x/../../x"),
    (("tables", 0, "files", 0, "role"), "row"),
    (("tables", 0, "files", 0, "sha256"), "AB"),
    (("tables", 0, "columns", 0, "arrow_type"), ""),
]


def objects(value, place=()):
    """The place of every object in a manifest."""
    if isinstance(value, dict):
        yield place
        for key, member in value.items():
            yield from objects(member, (*place, key))
    elif isinstance(value, list):
        for nth, item in enumerate(value):
            yield from objects(item, (*place, nth))


# Counts that came after the committed bundles of format 1; one that is missing is 0 (FORMAT.md, section 3).
MAY_LACK = {
    "buried",
    "filtered",
    "future_deletions",
    "logged_deletions",
    "older_now",
    "went_back_minutes",
    "withheld_deletion",
    "withheld_deletions",
    "without_key",
    "without_stamp",
}


def at(value, place):
    for key in place:
        value = value[key]
    return value


def changed(manifest, place, change):
    """A copy of the manifest with `change` made to what stands at `place`."""
    copied = copy.deepcopy(manifest)
    change(at(copied, place))
    return copied


def mutants(manifest):
    """(what was done, the manifest after it), each of which must be refused."""
    for place in objects(manifest):
        for key in at(manifest, place):
            if key not in ("changed_scripts", "missing") and not (place and place[-1] == "counts" and key in MAY_LACK):
                yield f"without {(*place, key)}", changed(manifest, place, lambda it: it.pop(key))
            yield f"a float at {(*place, key)}", changed(manifest, place, lambda it: it.update({key: 0.5}))
    for place, value in NEVER_WRITTEN:
        last = place[-1]
        yield f"{value!r} at {place}", changed(manifest, place[:-1], lambda it: it.__setitem__(last, value))


def check(validator, path):
    """What is wrong with the manifest at `path`, and how many mutants were tried."""
    manifest = json.loads(path.read_text("utf-8"))
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
    tried = 0
    for done, mutant in mutants(manifest):
        tried += 1
        if validator.is_valid(mutant):
            wrong.append(f"still valid with {done}")
    for place in objects(manifest):
        later = changed(manifest, place, lambda it: it.update({"a_field_of_a_later_minor": 1}))
        if not validator.is_valid(later):
            wrong.append(f"not valid with an unknown field in {place}")
    return wrong, tried


def main():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    validator_class = jsonschema.validators.validator_for(schema, default=None)
    if validator_class is not jsonschema.Draft202012Validator:
        print(f"WRONG: {SCHEMA} is not of JSON Schema 2020-12", file=sys.stderr)
        return 1
    validator_class.check_schema(schema)
    validator = validator_class(schema, format_checker=validator_class.FORMAT_CHECKER)
    manifests = [path for folder in sys.argv[1:] for path in sorted(pathlib.Path(folder).glob("*.bundle/manifest.json"))]
    failed = not manifests
    if failed:
        print(f"WRONG: there is no manifest under {sys.argv[1:]}", file=sys.stderr)
    for path in manifests:
        wrong, tried = check(validator, path)
        print(f"{path.parent.name}: {'valid' if not wrong else 'WRONG'}, {tried} broken copies of it tried")
        for message in wrong:
            print(f"WRONG: {path}: {message}", file=sys.stderr)
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
