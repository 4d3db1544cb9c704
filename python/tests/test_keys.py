"""What keys are: which types have one, how they are shown, and a binary that is shorter than they are."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from blobdelta.cells import bad_rows
from blobdelta.keys import shown
from blobdelta.plan import plain
from blobdelta.sqltype import parse_type


@pytest.mark.parametrize(
    ("sql_type", "kind"),
    [
        ("uniqueidentifier", "uniqueidentifier"),
        ("bigint", "integer"),
        ("tinyint", "integer"),
        ("binary(1)", "binary(1)"),
        ("binary(16)", "binary(16)"),
        ("binary(17)", None),
        ("varbinary(16)", None),
        ("nvarchar(50)", None),
        ("bit", None),
    ],
)
def test_types_of_keys(sql_type: str, kind: str | None) -> None:
    assert parse_type(sql_type).key_kind == kind


def test_shown() -> None:
    key = bytes(range(16))
    assert shown(key, parse_type("binary(16)")) == "0x000102030405060708090a0b0c0d0e0f"
    assert shown(key, parse_type("uniqueidentifier")) == shown(key) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert shown(-2, parse_type("int")) == "-2"


def test_a_shorter_binary_is_no_key() -> None:
    column = plain("Id", parse_type("binary(4)"))
    batch = pa.record_batch([pa.array([b"\1\0\0\0", b"\1", None], pa.binary())], names=["Id"])
    assert bad_rows([column], batch) == {}
    wrong = bad_rows([replace(column, is_key=True)], batch)
    assert list(wrong) == [1] and "it is no binary(4)" in wrong[1]
