//! Small cases explored under every interleaving and every reordering that the memory model allows.
//!
//! The canaries run the same code with one ordering weakened; a checker that lets them pass proves nothing.
#![cfg(loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::thread;

use super::{Consumer, broadcast, latest};

/// Takes `count` messages, letting other threads go when there is none.
fn take(consumer: &mut Consumer<u64>, count: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match consumer.try_pop() {
            Some(message) => taken.push(message),
            None => thread::yield_now(),
        }
    }
    taken
}

#[test]
fn loom_two_consumers_each_see_what_was_published() {
    loom::model(|| {
        let (mut producer, consumers) = broadcast::<u64, 2>(2).unwrap();
        let readers = consumers.map(|mut consumer| thread::spawn(move || (consumer.try_pop(), consumer)));
        producer.push_batch(&[7, 8]).unwrap();
        for reader in readers {
            let (early, mut consumer) = reader.join().unwrap();
            let all: Vec<u64> = early.into_iter().chain(std::iter::from_fn(|| consumer.try_pop())).collect();
            assert_eq!(all, [7, 8]);
        }
    });
}

#[test]
fn loom_a_slot_is_overwritten_only_behind_its_reader() {
    loom::model(|| {
        let (mut producer, [mut consumer]) = broadcast::<u64, 1>(1).unwrap();
        let reader = thread::spawn(move || take(&mut consumer, 2));
        for message in [1, 2] {
            while producer.try_push(message).is_err() {
                thread::yield_now();
            }
        }
        assert_eq!(reader.join().unwrap(), [1, 2]);
    });
}

#[test]
fn loom_a_drain_holds_its_slots_until_it_ends() {
    loom::model(|| {
        let (mut producer, [mut consumer]) = broadcast::<u64, 1>(2).unwrap();
        producer.push_batch(&[1, 2]).unwrap();
        let reader = thread::spawn(move || {
            let mut taken = Vec::new();
            consumer.drain(2, |message| taken.push(*message));
            (taken, consumer)
        });
        let pushed = producer.try_push(3).is_ok();
        let (taken, mut consumer) = reader.join().unwrap();
        assert_eq!(taken, [1, 2]);
        assert_eq!(consumer.try_pop(), pushed.then_some(3));
    });
}

#[test]
fn loom_a_batch_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let (mut producer, [mut consumer]) = broadcast::<u64, 1>(2).unwrap();
        let reader = thread::spawn(move || {
            let first = consumer.try_pop();
            (first, first.and_then(|_| consumer.try_pop()))
        });
        let mut claim = producer.claim(2).unwrap();
        claim.write(1).unwrap();
        claim.write(2).unwrap();
        claim.commit();
        assert!(matches!(reader.join().unwrap(), (None, None) | (Some(1), Some(2))));
    });
}

#[test]
fn loom_closing_loses_nothing() {
    loom::model(|| {
        let (mut producer, [mut consumer]) = broadcast::<u64, 1>(2).unwrap();
        let reader = thread::spawn(move || {
            let mut taken = Vec::new();
            while !consumer.is_drained() {
                match consumer.try_pop() {
                    Some(message) => taken.push(message),
                    None => thread::yield_now(),
                }
            }
            taken
        });
        producer.try_push(1).unwrap();
        producer.try_push(2).unwrap();
        producer.close();
        assert_eq!(reader.join().unwrap(), [1, 2]);
    });
}

#[test]
fn loom_a_consumer_may_leave_while_it_gates() {
    loom::model(|| {
        let (mut producer, [mut leaves, mut stays]) = broadcast::<u64, 2>(1).unwrap();
        producer.try_push(1).unwrap();
        assert_eq!(stays.try_pop(), Some(1));
        let leaver = thread::spawn(move || leaves.try_pop());
        while producer.try_push(2).is_err() {
            thread::yield_now();
        }
        assert_eq!(stays.try_pop(), Some(2));
        assert_eq!(leaver.join().unwrap(), Some(1));
    });
}

#[test]
fn loom_canary_a_relaxed_publish_is_caught() {
    let outcome = catch_unwind(|| {
        loom::model(|| {
            let (mut producer, [mut consumer]) = broadcast::<u64, 1>(1).unwrap();
            producer.relax();
            let reader = thread::spawn(move || consumer.try_pop());
            producer.try_push(7).unwrap();
            reader.join().unwrap();
        });
    });
    let message = panic_message(outcome);
    assert!(message.contains("Causality violation"), "{message}");
}

/// Readers see whole values, and never go back.
fn seqlock_model(fenced: bool) {
    loom::model(move || {
        let (mut writer, reader) = latest([0_u64, 0]);
        if !fenced {
            writer.leave_out_the_fence();
        }
        let other = thread::spawn(move || {
            let mut seen = 0;
            for _ in 0..2 {
                if let Some([left, right]) = reader.try_read() {
                    assert_eq!(left, right, "torn");
                    assert!(left >= seen, "went back");
                    seen = left;
                }
            }
        });
        writer.store(&[1, 1]);
        other.join().unwrap();
    });
}

#[test]
fn loom_a_value_is_never_torn() {
    seqlock_model(true);
}

#[test]
fn loom_canary_a_missing_fence_is_caught() {
    let message = panic_message(catch_unwind(AssertUnwindSafe(|| seqlock_model(false))));
    assert!(message.contains("torn"), "{message}");
}

fn panic_message(outcome: std::thread::Result<()>) -> String {
    let payload = outcome.expect_err("the model passed: the checker is blind");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}
