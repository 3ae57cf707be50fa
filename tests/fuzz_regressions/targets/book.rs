//! Books of levels against maps: the top is right or said to be unknown, whatever a side had to give up.

use std::collections::BTreeMap;

use hedgecore::feed::book::{Books, Fault};
use hedgecore::units::{Price, Quantity, Side};
use hedgecore::wire::deribit_multicast::BookChange;

use super::script::{Script, chances};

const STEPS_MAX: usize = 4_000;

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let depth = 1 + script.below(12) as usize;
    let mut books = Books::new(2, 4 * depth + 64);
    assert!(books.open(0, depth) && books.open(1, depth.div_ceil(2)));
    let mut naive: [BTreeMap<i64, i64>; 2] = Default::default();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        let side = [Side::Buy, Side::Sell][script.below(2) as usize];
        let (price, amount) = (1 + script.below(40) as i64, 1 + script.below(9) as i64);
        let levels = &mut naive[side as usize];
        let is_there = levels.contains_key(&price);
        let change = match script.below(32) {
            0 => {
                books.clear(0);
                naive = Default::default();
                continue;
            }
            1 => {
                books.copy(0, 1);
                assert!(books.agree(0, 1), "a copy agrees wherever both see");
                continue;
            }
            // A change that cannot be: found where the level is known, passed over where it is not.
            2 => {
                let change = if is_there { BookChange::Created } else { BookChange::Deleted };
                if books.apply(0, side, change, Price(price), Quantity(amount)) == Err(Fault::Inconsistent) {
                    books.clear(0);
                    naive = Default::default();
                }
                continue;
            }
            choice if is_there && choice % 2 == 0 => BookChange::Deleted,
            _ if is_there => BookChange::Changed,
            _ => BookChange::Created,
        };
        match change {
            BookChange::Deleted => levels.remove(&price),
            _ => levels.insert(price, amount),
        };
        let applied = books.apply(0, side, change, Price(price), Quantity(amount));
        assert_eq!(applied, Ok(()), "{change:?} at {price} on {side:?}");
        for side in [Side::Buy, Side::Sell] {
            let levels = &naive[side as usize];
            let best = if side == Side::Buy { levels.last_key_value() } else { levels.first_key_value() };
            match books.best(0, side) {
                Ok(shown) => {
                    let shown = shown.map(|level| (level.price.0, level.amount.0));
                    assert_eq!(shown, best.map(|(price, amount)| (*price, *amount)));
                }
                Err(fault) => assert!(fault == Fault::Exhausted && books.overflows() > 0, "{fault:?}"),
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(6, 600)
}
