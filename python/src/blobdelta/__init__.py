"""Reads and checks blobdelta bundles. See README.md."""

from ._chain import Chain, Gap, Survey, chain
from ._duckdb import duckdb
from ._latest import Latest, latest
from ._pandas import to_pandas
from ._polars import polars
from ._verify import verify
from .bundle import Bundle, Table, open_bundle
from .catalog import Catalog
from .errors import BlobdeltaError, BundleError, ChainError, Finding, UnreadableError, UsageError
from .frame import Trust
from .places import find
from .report import Report
from .scope import SignerScope
from .signature import AllowedSigners, SignedBy

__all__ = [
    "AllowedSigners",
    "BlobdeltaError",
    "Bundle",
    "BundleError",
    "Catalog",
    "Chain",
    "ChainError",
    "Finding",
    "Gap",
    "Latest",
    "Report",
    "SignedBy",
    "SignerScope",
    "Survey",
    "Table",
    "Trust",
    "UnreadableError",
    "UsageError",
    "chain",
    "duckdb",
    "find",
    "latest",
    "open_bundle",
    "polars",
    "to_pandas",
    "verify",
]
__version__ = "0.1.0"
