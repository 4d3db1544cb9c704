//! The demo: a source instance built from the files of a real folder, a full load, a week of
//! changes, a delta, and a second instance that must come out equal.

mod change;
mod compare;
mod names;
mod node;
mod pages;
mod plant;
mod walk;
