//! Orders, the gate before them and a venue that is not always honest, against a naive ledger: the histories of
//! `tests/interleavings`, with somebody else choosing.

#[path = "../../interleavings/world.rs"]
mod world;

use world::{Chance, World};

use super::script::{Script, chances};

const STEPS_MAX: usize = 400;

impl Chance for Script<'_> {
    fn below(&mut self, n: u64) -> u64 {
        Script::below(self, n)
    }
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new();
    world.begin(0);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.hold(0);
    }
    world.settle();
    world.hold(0);
    assert_eq!(world.store.open_orders(), 0, "everything has ended");
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 400)
}
