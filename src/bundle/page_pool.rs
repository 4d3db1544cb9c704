//! [`PagePool`]: the encoded pages of row groups in the making.
//!
//! All pages of a row group are held until its columns can be written one after the other. Left in the
//! memory that the encoder made for each, they would be fresh memory each time (`pool`), which costs
//! more than copying them while they are in the cache.

use crate::pool::Pool;
use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// Pages of this size and larger are kept in the pool: what is smaller costs little as it is.
const LEAST_BYTES: usize = 64 << 10;
/// Room for the usual page of blobs: 1 MiB at which it is closed, and the value that closes it.
const USUAL_BYTES: usize = (1 << 20) + (128 << 10);

/// See the module's text. A clone is the same pool.
#[derive(Clone, Debug)]
pub(super) struct PagePool(Pool);

impl PagePool {
    /// One that keeps up to so many bytes of row groups that were written, until the next ones take them.
    pub(super) fn new(most_free_bytes: u64) -> Self {
        Self(Pool::new(usize::try_from(most_free_bytes).unwrap_or(usize::MAX), usize::MAX))
    }
}

impl PageStoreFactory for PagePool {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(ColumnPages { pool: self.0.clone(), pages: Vec::new() }))
    }
}

/// The pages of one column in one row group.
struct ColumnPages {
    pool: Pool,
    pages: Vec<Bytes>,
}

impl PageStore for ColumnPages {
    fn put(&mut self, page: Bytes) -> Result<PageKey> {
        let key = PageKey::new(self.pages.len() as u64);
        self.pages.push(match page.len() < LEAST_BYTES {
            true => page,
            false => {
                let mut kept = self.pool.take(page.len().max(USUAL_BYTES));
                kept.extend(&page);
                kept.freeze()
            }
        });
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let page = usize::try_from(key.get()).ok().and_then(|key| self.pages.get_mut(key));
        page.map(std::mem::take).ok_or_else(|| ParquetError::General(format!("there is no page {}", key.get())))
    }

    fn memory_size(&self) -> usize {
        self.pages.iter().map(Bytes::len).sum()
    }
}
