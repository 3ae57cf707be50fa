//! The targets of the fuzzer, as the tests of the product have them: this crate adds nothing but a `main` for each.

#[path = "../../tests/fuzz_regressions/targets/mod.rs"]
pub mod targets;
