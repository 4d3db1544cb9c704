"""`blobdelta.to_pandas`: Arrow's types kept in pandas, so that nothing is rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The table as a frame whose columns are Arrow's own (`pandas.ArrowDtype`): decimals, times of 100 ns, UUIDs as they are.

    `Table.to_pandas` of pyarrow refuses or rounds such times.
    """
    import pandas as pd  # noqa: PLC0415 (an extra)

    return table.to_pandas(types_mapper=pd.ArrowDtype)
