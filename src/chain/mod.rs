//! What a series of bundles covers: chains, their gaps and overlaps, and links that do not fit.
//!
//! [`survey`] opens bundles one after the other and keeps of each some hundred bytes a table; no
//! part is read. [`timeline`] and [`picture`] draw what it found. Order and judgement are those of
//! [`links`](crate::links); nothing is refused here: a gap, a
//! link that does not fit and a bundle that cannot be opened are all told, and none of them keeps
//! the others from being told.

mod arrange;
mod axis;
mod figure;
mod model;
mod picture;
mod survey;
#[cfg(test)]
mod tests;
mod timeline;
mod weeks;

#[cfg(test)]
pub use arrange::arrange as arranged;
pub use figure::{FIGURE_DEFINITIONS, FIGURE_STYLE, Figures};
pub use model::{BrokenBundle, BrokenLink, Chain, ChainLink, ChainSurvey, LinkFault, Member};
pub use picture::{escaped, picture};
pub use survey::survey;
pub use timeline::{BROKEN, GAP, OVERLAP, duration, is_drawn, legend, timeline};
pub use weeks::{WeekAmounts, weeks};
