//! The demo: a real folder as an instance.
