//! [`Packer`]: what packing works with.

use super::leases::Leases;
use super::options::PackOptions;
use crate::backend::Backend;
use crate::durable::Disk;
use crate::monitor::Monitor;

/// See the module's text.
pub(super) struct Packer<'a> {
    pub(super) backend: &'a mut dyn Backend,
    pub(super) leases: &'a Leases,
    pub(super) options: &'a PackOptions,
    pub(super) disk: &'a dyn Disk,
    pub(super) monitor: &'a dyn Monitor,
    /// Whether slices are read yet once their bundle is recorded: to be backed up.
    pub(super) keeps_leases: bool,
}
