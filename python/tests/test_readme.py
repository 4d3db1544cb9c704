"""The examples of README.md run, on bundles of the demo under the names that they use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_the_examples_run(weekly: Path, tmp_path: Path) -> None:
    for engine in ("duckdb", "polars"):
        pytest.importorskip(engine)
    text = "\n".join(blocks())
    first = sorted(weekly.iterdir())[0].name
    named = set(re.findall(r"incoming/([^\"]+)", text))
    assert len(named) == 1, "one bundle is named"
    shutil.copytree(weekly, tmp_path / "incoming")
    text = text.replace(named.pop(), first)
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True []\n") and "ReferralAttachment 9 []" in done.stdout


def test_ten_lines_are_ten() -> None:
    statements = [line for line in blocks()[0].splitlines() if line.strip()]
    assert len(statements) == 10
