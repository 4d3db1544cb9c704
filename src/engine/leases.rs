//! Rule 8: leases are renewed on a connection and a thread of their own, so that neither a long
//! scan nor a slow disk lets them expire.

use crate::backend::LeaseKeeper;
use crate::error::{Error, Kind, Result};
use crate::model::run::Fence;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Renews what it is given until it is dropped. It releases nothing: that is for whoever holds
/// the session.
pub(super) struct Leases {
    shared: Arc<RenewalQueue>,
    thread: Option<JoinHandle<()>>,
    /// How long each lease lives.
    pub(super) seconds: u32,
}

#[derive(Default)]
struct RenewalQueue {
    state: Mutex<RenewalState>,
    wake: Condvar,
}

#[derive(Default)]
struct RenewalState {
    fences: Vec<Fence>,
    lost: Vec<(Fence, String)>,
    stop: bool,
}

impl Leases {
    /// Starts the thread.
    pub(super) fn start(keeper: Box<dyn LeaseKeeper>, seconds: u32) -> Result<Self> {
        if !(3..=86_400).contains(&seconds) {
            return Err(Error::usage("a lease has to live between 3 seconds and a day"));
        }
        let shared = Arc::new(RenewalQueue::default());
        let of_thread = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("leases".into())
            .spawn(move || of_thread.renew_until_stopped(keeper, seconds));
        let thread = spawned.map_err(|error| Error::internal("cannot start a thread").caused_by(error))?;
        Ok(Self { shared, thread: Some(thread), seconds })
    }

    /// Renews this lease from now on.
    pub(super) fn hold(&self, fence: &Fence) {
        self.shared.lock().fences.push(fence.clone());
    }

    /// Renews it no more.
    pub(super) fn let_go(&self, fence: &Fence) {
        self.shared.lock().fences.retain(|held| held != fence);
    }

    /// Whether this lease is still held, as far as the last renewal knows.
    pub(super) fn check(&self, fence: &Fence) -> Result<()> {
        let state = self.shared.lock();
        match state.lost.iter().find(|(lost, _)| lost == fence) {
            None => Ok(()),
            Some((_, why)) => Err(Error::new(Kind::Superseded, why.clone()).run(fence.run_id).table(&fence.table)),
        }
    }
}

impl RenewalQueue {
    fn lock(&self) -> MutexGuard<'_, RenewalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew_until_stopped(&self, mut keeper: Box<dyn LeaseKeeper>, seconds: u32) {
        let pause = Duration::from_secs(u64::from(seconds)) / 3;
        let mut state = self.lock();
        loop {
            let waited = self.wake.wait_timeout_while(state, pause, |state| !state.stop);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.stop {
                return;
            }
            let fences = state.fences.clone();
            drop(state);
            // Any other failure may pass before the lease expires; the fence stands anyway.
            let lost: Vec<(Fence, String)> = fences
                .into_iter()
                .filter_map(|fence| match keeper.renew(&fence, seconds) {
                    Err(error) if error.kind() == Kind::Superseded => Some((fence, error.what().to_owned())),
                    _ => None,
                })
                .collect();
            state = self.lock();
            state.fences.retain(|fence| !lost.iter().any(|(lost, _)| lost == fence));
            state.lost.extend(lost);
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing left to do for it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Guid;
    use crate::model::name::TableName;
    use std::sync::mpsc;

    /// Tells of every renewal; the lease of epoch 2 is another's.
    struct RenewalProbe(mpsc::Sender<i64>);

    impl LeaseKeeper for RenewalProbe {
        fn renew(&mut self, fence: &Fence, _: u32) -> Result<()> {
            self.0.send(fence.epoch).unwrap();
            if fence.epoch == 2 { Err(Error::new(Kind::Superseded, "taken")) } else { Ok(()) }
        }
    }

    fn fence(epoch: i64) -> Fence {
        Fence { table: TableName::parse("Db.dbo.T").unwrap(), run_id: Guid::from_bytes([1; 16]), epoch }
    }

    #[test]
    fn rule_8_leases_are_renewed_until_let_go_and_a_lost_one_is_reported() {
        let (sender, renewed) = mpsc::channel();
        let leases = Leases::start(Box::new(RenewalProbe(sender)), 3).unwrap();
        (1..=2).for_each(|epoch| leases.hold(&fence(epoch)));
        let next = || renewed.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!([next(), next()], [1, 2]);
        // The next round: what is lost is renewed no more.
        assert_eq!([next(), next()], [1, 1]);
        assert!(leases.check(&fence(1)).is_ok());
        assert_eq!(leases.check(&fence(2)).unwrap_err().kind(), Kind::Superseded);
        leases.let_go(&fence(1));
        drop(leases);
        assert!(renewed.try_iter().all(|epoch| epoch == 1));
        assert!(renewed.recv().is_err(), "the thread has ended");
    }
}
