//! [`Servers`]: on which server a job database stands, and on which it may (rule 28).

use crate::error::{Error, Result};

/// Where a job database stands, and which places it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// The identity of the server, or of the folder of an embedded instance.
    pub here: String,
    /// Whether it is one of those below.
    pub is_known: bool,
    /// Those on which it was deployed, and to which it was said to have moved, oldest first; none before
    /// the first deployment.
    pub known: Vec<String>,
}

impl Servers {
    /// That the job database stands where it was deployed, or where it was said to have moved. A copy,
    /// which has the same SourceId, would go on with the original's chains.
    ///
    /// # Errors
    /// Config, with the two commands of which one is due.
    pub fn check(&self) -> Result<()> {
        if self.is_known {
            return Ok(());
        }
        let Some(last) = self.known.last() else {
            return Err(Error::config("the job database does not know on which server it stands").hint("run deploy"));
        };
        let what =
            format!("this job database was deployed on {last}, and stands on {} now; nothing was changed", self.here);
        Err(Error::config(what).hint(
            "if the original moved here, or this is its failover partner, say so once with `blobdelta deploy --moved`; \
             if this is a copy, and the original may go on, `blobdelta deploy --copied` makes it a source of its own, \
             which begins with a full load and ships nothing of what the original owed",
        ))
    }
}
