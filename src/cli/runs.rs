//! `run`: for all business units, for one, or for each; and the metrics of it.

use super::again::speak_of;
use super::answer::Answer;
use super::each_unit::run_each;
use super::metrics::JobFacts;
use super::run::{packing, run_one};
use super::run_args::RunArgs;
use super::unit_places::{named, to_go_on};
use crate::error::Result;
use crate::model::clock::{Clock as _, SystemClock};
use crate::monitor::Monitor;

/// Runs for all units, for one, or for each; and writes metrics of it.
///
/// # Errors
/// As [`run_one`].
pub fn run(args: &RunArgs, monitor: &dyn Monitor) -> Result<Answer> {
    if args.plan || !args.metrics.is_asked() {
        return connected(args, monitor, None);
    }
    let began = SystemClock.now().utc;
    let mut facts = JobFacts::default();
    let result = connected(args, monitor, Some(&mut facts));
    args.metrics.write(began, &result, &facts);
    result
}

/// On one connection, of which is asked in the end what metrics are to say of the job database.
fn connected(args: &RunArgs, monitor: &dyn Monitor, facts: Option<&mut JobFacts>) -> Result<Answer> {
    let own = if args.each_business_unit { args.clone() } else { named(args.clone())? };
    speak_of(to_go_on(&own));
    let pack = if own.each_business_unit { None } else { packing(&own)? };
    let mut backend = own.instance.open_over(own.packing.connections, false)?;
    let result = match own.each_business_unit {
        true => run_each(&own, backend.as_mut(), monitor),
        false => run_one(&own, pack, backend.as_mut(), monitor),
    };
    if let Some(facts) = facts {
        // What cannot be asked is left out.
        *facts = JobFacts::read(backend.as_mut()).unwrap_or_default();
    }
    result
}
