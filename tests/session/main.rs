//! The order session against a scripted venue: one test a rule, named after it.

mod breaks;
mod pair;
mod reports;
mod rules;
