//! The engine: runs, leases, packing.
