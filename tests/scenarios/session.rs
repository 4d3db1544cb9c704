//! Sessions that are lent. A server may need long until a session knows the procedures, so one that
//! a world is done with waits for the next.

use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    /// Those of the server's thread.
    static IDLE: RefCell<Vec<Box<dyn Sandbox>>> = const { RefCell::new(Vec::new()) };
}

/// See the module's text.
pub struct Session {
    inner: Option<Box<dyn Sandbox>>,
    goes_back: bool,
}

impl Session {
    /// One that ends with its world.
    pub fn own(connection: &Connection, options: &OpenOptions) -> Self {
        Self { inner: Some(connection.open_sandbox(options).unwrap()), goes_back: false }
    }

    /// One of the server's, which knows nothing of the world that it was lent to before.
    pub fn lent(connection: &Connection) -> Self {
        let idle = IDLE.with_borrow_mut(Vec::pop);
        let mut inner = idle.unwrap_or_else(|| connection.open_sandbox(&OpenOptions::default()).unwrap());
        // A script may change anything, so what was kept of tables is forgotten behind it.
        inner.execute_script("USE BlobDeltaJobs;").unwrap();
        Self { inner: Some(inner), goes_back: true }
    }
}

impl Deref for Session {
    type Target = dyn Sandbox;

    fn deref(&self) -> &Self::Target {
        &**self.inner.as_ref().unwrap()
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut **self.inner.as_mut().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let inner = self.inner.take().filter(|_| self.goes_back && !std::thread::panicking());
        inner.into_iter().for_each(|inner| IDLE.with_borrow_mut(|idle| idle.push(inner)));
    }
}
