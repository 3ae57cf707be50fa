//! The ring against a naive oracle, its corner cases, and threads that stress it also on a single core.
#![cfg(not(any(loom, shuttle)))]

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use proptest::prelude::*;

use super::{Consumer, MAX_CAPACITY, Producer, RingError, broadcast};
use crate::event::{Body, Event, Trail};
use crate::stage::{Full, Outbox};
use crate::units::Nanos;

#[test]
fn a_capacity_that_is_no_power_of_two_is_refused() {
    for capacity in [0, 3, 1000, MAX_CAPACITY * 2] {
        assert_eq!(broadcast::<u64, 1>(capacity).unwrap_err(), RingError::Capacity(capacity));
    }
}

#[test]
fn handles_and_cursors_share_no_line_pair() {
    assert_eq!((align_of::<Producer<u64>>(), align_of::<Consumer<u64>>()), (128, 128));
    assert_eq!((size_of::<Producer<u64>>(), size_of::<Consumer<u64>>()), (128, 128));
}

#[test]
fn capacity_one_wraps_for_ever() {
    let (mut producer, [mut consumer]) = broadcast(1).unwrap();
    for message in 0..1000_u64 {
        assert_eq!(producer.try_push(message), Ok(()));
        assert_eq!(producer.try_push(message), Err(Full));
        assert_eq!(consumer.lag(), 1);
        assert_eq!(consumer.try_pop(), Some(message));
        assert_eq!((consumer.try_pop(), consumer.lag()), (None, 0));
    }
    assert_eq!((producer.full_count(), consumer.full_count()), (1000, 1000));
}

#[test]
fn full_is_counted_and_takes_nothing() {
    let (mut producer, [mut fast, mut slow]) = broadcast(4).unwrap();
    assert_eq!(producer.capacity(), 4);
    assert_eq!(producer.push_batch(&[1, 2, 3, 4, 5]), Err(Full), "more than the ring ever holds");
    assert_eq!(producer.push_batch(&[1, 2, 3]), Ok(()));
    assert!(producer.claim(2).is_none());
    assert_eq!(fast.drain(9, |_| ()), 3);
    assert_eq!(producer.try_push(4), Ok(()), "one slot was never used");
    assert_eq!(producer.try_push(5), Err(Full), "the slow consumer gates");
    assert_eq!((producer.full_count(), producer.published(), producer.room()), (3, 4, 0));
    assert_eq!(slow.try_pop(), Some(1));
    assert_eq!(producer.room(), 1);
}

#[test]
fn a_claim_publishes_what_was_written_or_nothing() {
    let (mut producer, [mut consumer]) = broadcast(4).unwrap();
    let mut claim = producer.claim(3).unwrap();
    claim.write(7).unwrap();
    drop(claim);
    assert_eq!((consumer.try_pop(), consumer.lag()), (None, 0));
    let mut claim = producer.claim(2).unwrap();
    assert_eq!((claim.write(8), claim.write(9), claim.write(10)), (Ok(()), Ok(()), Err(Full)));
    assert_eq!(claim.commit(), 2);
    assert_eq!(producer.claim(2).unwrap().commit(), 0);
    assert_eq!((consumer.try_pop(), consumer.try_pop(), consumer.try_pop()), (Some(8), Some(9), None));
    assert_eq!(producer.full_count(), 0);
}

#[test]
fn a_panic_in_a_drain_loses_and_repeats_nothing() {
    let (mut producer, [mut consumer]) = broadcast(4).unwrap();
    producer.push_batch(&[0, 1, 2, 3]).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| consumer.drain(4, |message| assert!(*message < 1))));
    assert!(outcome.is_err());
    assert_eq!(producer.room(), 2, "the producer knows of the two that were seen");
    assert_eq!((consumer.try_pop(), consumer.try_pop(), consumer.try_pop()), (Some(2), Some(3), None));
}

#[test]
fn closing_keeps_what_was_published() {
    let (mut producer, [mut consumer]) = broadcast(4).unwrap();
    producer.push_batch(&[1, 2]).unwrap();
    assert!(!consumer.is_drained());
    producer.close();
    assert!(!consumer.is_drained());
    assert_eq!((consumer.try_pop(), consumer.try_pop()), (Some(1), Some(2)));
    assert!(consumer.is_drained());
}

#[test]
fn a_consumer_that_is_gone_gates_no_more() {
    let (mut producer, [mut stays, leaves]) = broadcast(2).unwrap();
    producer.push_batch(&[1, 2]).unwrap();
    stays.drain(2, |_| ());
    assert_eq!(producer.room(), 0);
    drop(leaves);
    assert_eq!(producer.room(), 2);
    drop(stays);
    for message in 0..10 {
        producer.try_push(message).unwrap();
    }
    assert_eq!(producer.push_batch(&[0; 3]), Err(Full), "a batch never laps itself");
}

#[test]
fn an_event_goes_through_an_outbox() {
    let (mut producer, [mut consumer]) = broadcast::<Event, 1>(8).unwrap();
    let event = Event { trail: Trail::default(), time: Nanos(9), body: Body::Session { up: true } };
    assert_eq!(Outbox::room(&producer), 8);
    assert_eq!(producer.send(event), Ok(()));
    assert_eq!(consumer.try_pop(), Some(event));
}

#[derive(Clone, Debug)]
enum Operation {
    Push,
    PushBatch(usize),
    Claim { count: usize, written: usize, commit: bool },
    Pop(usize),
    Drain(usize, usize),
    Leave(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => Just(Operation::Push),
        2 => (0_usize..6).prop_map(Operation::PushBatch),
        2 => (0_usize..6, 0_usize..6, any::<bool>())
            .prop_map(|(count, written, commit)| Operation::Claim { count, written, commit }),
        4 => (0_usize..3).prop_map(Operation::Pop),
        3 => (0_usize..3, 0_usize..6).prop_map(|(consumer, max)| Operation::Drain(consumer, max)),
        1 => (0_usize..30).prop_map(Operation::Leave),
    ]
}

proptest! {
    /// One queue per consumer, the capacity measured at the longest.
    #[test]
    fn the_ring_is_a_queue_per_consumer(
        power in 0_u32..4,
        operations in prop::collection::vec(operation(), 1..200),
    ) {
        let capacity = 1_usize << power;
        let (mut producer, consumers) = broadcast::<u64, 3>(capacity).unwrap();
        let mut consumers = consumers.map(Some);
        let mut oracle = [const { VecDeque::<u64>::new() }; 3];
        let (mut sent, mut fulls) = (0_u64, 0);
        for operation in operations {
            let held = (0..3).filter(|&i| consumers[i].is_some()).map(|i| oracle[i].len()).max().unwrap_or(0);
            let fits = |count: usize| held + count <= capacity;
            let published = match operation {
                Operation::Push => {
                    prop_assert_eq!(producer.try_push(sent).is_ok(), fits(1));
                    fulls += u64::from(!fits(1));
                    u64::from(fits(1))
                }
                Operation::PushBatch(count) => {
                    let batch: Vec<u64> = (sent..).take(count).collect();
                    prop_assert_eq!(producer.push_batch(&batch).is_ok(), fits(count));
                    fulls += u64::from(!fits(count));
                    if fits(count) { count as u64 } else { 0 }
                }
                Operation::Claim { count, written, commit } => {
                    let claim = producer.claim(count);
                    prop_assert_eq!(claim.is_some(), fits(count));
                    fulls += u64::from(!fits(count));
                    match claim {
                        Some(mut claim) => {
                            for message in (sent..).take(written.min(count)) {
                                claim.write(message).unwrap();
                            }
                            if commit { claim.commit() as u64 } else { 0 }
                        }
                        None => 0,
                    }
                }
                Operation::Pop(i) => {
                    if let Some(consumer) = &mut consumers[i] {
                        prop_assert_eq!(consumer.try_pop(), oracle[i].pop_front());
                    }
                    0
                }
                Operation::Drain(i, max) => {
                    if let Some(consumer) = &mut consumers[i] {
                        let mut drained = Vec::new();
                        consumer.drain(max, |message| drained.push(*message));
                        let expected: Vec<u64> = oracle[i].drain(..max.min(oracle[i].len())).collect();
                        prop_assert_eq!(drained, expected);
                    }
                    0
                }
                Operation::Leave(i) => {
                    if let Some(consumer) = consumers.get_mut(i) {
                        *consumer = None;
                    }
                    0
                }
            };
            for queue in &mut oracle {
                queue.extend(sent..sent + published);
            }
            sent += published;
            prop_assert_eq!(producer.full_count(), fulls);
            for (consumer, queue) in consumers.iter().zip(&oracle) {
                if let Some(consumer) = consumer {
                    prop_assert_eq!(consumer.lag(), queue.len());
                    prop_assert!(producer.room() + queue.len() <= capacity);
                }
            }
        }
    }
}

/// Messages of every way to publish, to consumers of both kinds, over rings small enough to wrap all the time.
#[test]
fn threads_see_every_message_once_and_in_order() {
    const MESSAGES: u64 = 30_000;
    for capacity in [1, 2, 8, 256] {
        let (mut producer, [mut popping, mut draining]) = broadcast::<[u64; 7], 2>(capacity).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut next = 0;
                while next < MESSAGES {
                    let count = (next % 5 + 1).min(MESSAGES - next).min(capacity as u64);
                    let batch: Vec<_> = (next..next + count).map(|message| [message; 7]).collect();
                    if producer.push_batch(&batch).is_ok() {
                        next += count;
                    } else {
                        thread::yield_now();
                    }
                }
            });
            scope.spawn(move || {
                let mut expected = 0;
                while !popping.is_drained() {
                    match popping.try_pop() {
                        Some(message) => {
                            assert_eq!(message, [expected; 7]);
                            expected += 1;
                        }
                        None => thread::yield_now(),
                    }
                }
                assert_eq!(expected, MESSAGES);
            });
            scope.spawn(move || {
                let mut expected = 0;
                while !draining.is_drained() {
                    let drained = draining.drain(7, |message| {
                        assert_eq!(*message, [expected; 7]);
                        expected += 1;
                    });
                    if drained == 0 {
                        thread::yield_now();
                    }
                }
                assert_eq!(expected, MESSAGES);
            });
        });
    }
}
