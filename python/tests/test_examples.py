"""The queries of examples/ over bundles between which columns changed, with two columns that have blobs in the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Program


def check(program: Program, bundles: Path, tmp_path: Path, *engines: str) -> None:
    program.run("compact", bundles, "--out", tmp_path)
    script = ROOT / "tests/interop/check_lake.py"
    named = [part for engine in engines for part in ("--engine", engine)]
    done = subprocess.run([sys.executable, script, bundles, tmp_path, *named], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_a_query_of_the_examples_goes_across_changes_of_columns(
    engine: str, program: Program, two_values: Path, tmp_path: Path
) -> None:
    pytest.importorskip(engine)
    check(program, two_values, tmp_path, engine)
