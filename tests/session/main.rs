//! The order session against a scripted venue: one test a rule, named after it.

#[path = "../approval/mod.rs"]
mod approval;

mod breaks;
mod pair;
mod reports;
mod rules;
