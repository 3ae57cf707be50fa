//! Every input that once broke something, and every seed from which fuzzing begins, through the targets of the fuzzer.
//!
//! Regressions are files under `tests/regressions/<target>/`. `cargo test --test fuzz_regressions -- --ignored` writes
//! the seeds to `fuzz/corpus/<target>/`, where the fuzzer looks for them.

#[expect(unreachable_pub, reason = "the fuzzer's crate has the same module and exports it")]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

fn folder(of: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of).join(name)
}

#[test]
fn every_regression_holds() {
    for target in targets::ALL {
        let Ok(entries) = fs::read_dir(folder("tests/regressions", target.name)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            (target.run)(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_regression_belongs_to_a_target() {
    let Ok(entries) = fs::read_dir(folder("tests", "regressions")) else { return };
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(targets::ALL.iter().any(|target| target.name == name), "{name} is no target");
    }
}

#[test]
fn every_seed_of_every_target_holds() {
    for target in targets::ALL {
        let began = std::time::Instant::now();
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        seeds.iter().for_each(|seed| (target.run)(seed));
        println!("{}: {} seeds in {:?}", target.name, seeds.len(), began.elapsed());
    }
}

#[test]
fn every_target_has_its_program() {
    for target in targets::ALL {
        let program = folder("fuzz/targets", &format!("{}.rs", target.name));
        let text = fs::read_to_string(&program).unwrap();
        assert!(text.contains(&format!("{}::run", target.name)), "{}", program.display());
        let manifest = fs::read_to_string(folder("fuzz", "Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("\"{}\"", target.name)), "{} is not in fuzz/Cargo.toml", target.name);
    }
}

#[test]
fn scripts_of_the_pipeline_trade() {
    let orders: Vec<u64> = targets::pipeline::seeds().iter().map(|seed| targets::pipeline::orders_of(seed)).collect();
    assert!(orders.iter().sum::<u64>() > 4 * orders.len() as u64, "{orders:?}");
}

#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_seeds() {
    for target in targets::ALL {
        let corpus = folder("fuzz/corpus", target.name);
        fs::create_dir_all(&corpus).unwrap();
        for (at, seed) in (target.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{at:03}")), seed).unwrap();
        }
    }
}
