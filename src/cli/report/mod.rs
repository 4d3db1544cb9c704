//! `report`: a page that shows how things stand.
//!
//! Everything on the page comes from bundles, from the job database and from checks that other commands make too. The page
//! has no scripts, and refers to nothing outside of itself. Text from outside is escaped in `html`, and comes onto the page
//! by no other way.

mod bundles;
mod command;
mod html;
mod instance;
mod page;
#[cfg(test)]
mod tests;
mod verified;

pub use command::run;
