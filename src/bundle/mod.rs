//! Bundles: the format of manifests/FORMAT.md, written, published and read.
