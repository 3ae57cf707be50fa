//! Rules of the session: logon and logout, heartbeats, sequence numbers, lost connections.

use crate::pair::*;
use hedgecore::event::Body;
use hedgecore::gateway::{DisconnectReason, ResetPolicy, SequenceNumbers, SessionConfig, local_reason};
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{I32, I64};

// Logon and logout.

#[test]
fn a_logon_carries_the_credentials_and_opens_the_session() {
    let mut pair = Pair::new();
    pair.gateway.connected(pair.time);
    let bytes = pair.take_bytes();
    let frame = next_frame(&bytes).expect("framed").expect("whole");
    assert_eq!(frame.header.sequence_number.get(), 1);
    let Ok(Message::Logon(logon)) = frame.message() else { panic!("no logon") };
    assert!(logon.client_id.starts_with(b"desk-7\0") && logon.secret.0.starts_with(b"swordfish\0"));
    assert_eq!(logon.reset_seq_num, 1);
    assert!(!pair.gateway.ready());
    pair.say(&LogonConf { heartbeat_interval_seconds: I32::new(10) });
    assert!(pair.gateway.ready());
    assert_eq!(pair.bodies(), [Body::Session { up: true }]);
}

#[test]
fn a_logon_without_answer_times_out() {
    let mut pair = Pair::new();
    pair.gateway.connected(pair.time);
    pair.tick_after(10);
    assert!(!pair.gateway.wants_disconnect());
    pair.tick_after(1);
    pair.assert_ended(DisconnectReason::LogonTimeout);
}

#[test]
fn a_refused_logon_ends_the_connection() {
    let mut pair = Pair::new();
    pair.gateway.connected(pair.time);
    pair.say_with(&LoggedOut {}, |e| e.text(b"bad secret"));
    pair.assert_ended(DisconnectReason::LoggedOut);
    assert!(pair.bodies().is_empty());
}

#[test]
fn anything_but_a_confirmation_first_ends_the_connection() {
    let mut pair = Pair::new();
    pair.gateway.connected(pair.time);
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    pair.assert_ended(DisconnectReason::LogonExpected);
}

#[test]
fn a_logout_waits_for_the_venue_and_takes_no_more_orders() {
    let mut pair = Pair::up();
    pair.gateway.log_out(pair.time);
    assert_eq!(pair.drain(), [(2, Logout::TYPE)]);
    pair.step(&new_order(1));
    assert_eq!(pair.bodies(), [Body::Session { up: false }, rejected_body(1, local_reason::NOT_READY)]);
    pair.say_with(&response(1, order_status::ACTIVE, 0), |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    assert!(!pair.gateway.wants_disconnect(), "reports still count");
    pair.say_with(&LoggedOut {}, |e| e.text(b"bye"));
    pair.assert_ended(DisconnectReason::LoggedOut);
    assert_eq!(pair.gateway.sequence_numbers().incoming, 4, "no gap is left behind");
}

#[test]
fn a_logout_without_answer_times_out() {
    let mut pair = Pair::up();
    pair.gateway.log_out(pair.time);
    pair.tick_after(21);
    pair.assert_ended(DisconnectReason::LogoutTimeout);
}

// Heartbeats.

#[test]
fn a_quiet_session_sends_heartbeats_and_answers_test_requests() {
    let mut pair = Pair::up();
    pair.tick_after(4);
    assert!(pair.drain().is_empty());
    pair.tick_after(1);
    assert_eq!(pair.drain(), [(2, Heartbeat::TYPE)]);
    pair.say(&TestRequest { correlation_id: I64::new(77) });
    let bytes = pair.take_bytes();
    let frame = next_frame(&bytes).expect("framed").expect("whole");
    assert_eq!(frame.header.last_processed_seq_no.get(), 1, "sent while the second is being handled");
    assert!(matches!(frame.message(), Ok(Message::Heartbeat(h)) if h.correlation_id.get() == 77));
}

#[test]
fn a_silent_venue_is_tested_then_left() {
    let mut pair = Pair::up();
    pair.tick_after(13);
    assert_eq!(pair.drain(), [(2, TestRequest::TYPE)]);
    pair.tick_after(7);
    assert!(!pair.gateway.wants_disconnect());
    pair.tick_after(1);
    pair.assert_ended(DisconnectReason::Silence);
}

#[test]
fn an_answered_test_request_keeps_the_session() {
    let mut pair = Pair::up();
    for _ in 0..5 {
        pair.tick_after(13);
        pair.drain();
        pair.say(&Heartbeat { correlation_id: I64::new(2) });
    }
    assert!(!pair.gateway.wants_disconnect());
}

// Sequence numbers.

#[test]
fn a_gap_is_asked_for_and_what_lies_beyond_it_is_not_lost() {
    let mut pair = Pair::up();
    pair.number = 4;
    pair.say_with(&response(44, order_status::ACTIVE, 0), |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    assert_eq!(pair.bodies(), [accepted_body(44)]);
    assert!(!pair.gateway.ready());
    let bytes = pair.take_bytes();
    let frame = next_frame(&bytes).expect("framed").expect("whole");
    let Ok(Message::ResendRequest(r)) = frame.message() else { panic!("no resend request") };
    assert_eq!((r.from_sequence_number.get(), r.to_sequence_number.get()), (2, 3));
    assert_eq!(frame.header.last_processed_seq_no.get(), 1);

    pair.step(&new_order(45));
    assert_eq!(pair.bodies(), [rejected_body(45, local_reason::NOT_READY)]);
    let mut answer = CancelOrderResponse::new_zeroed();
    answer.instrument_id = I64::new(VENUE_PERPETUAL);
    pair.resend(2, &answer);
    pair.resend(2, &answer);
    pair.resend(3, &answer);
    pair.resend(4, &answer);
    assert_eq!(pair.bodies().len(), 2, "each once");
    assert_eq!(pair.gateway.counters().duplicates, 2);
    assert!(pair.gateway.ready());
    assert_eq!(pair.gateway.sequence_numbers().incoming, 5);
}

#[test]
fn a_gap_fill_closes_a_gap_of_session_messages() {
    let mut pair = Pair::up();
    pair.number = 10;
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    pair.resend(2, &GapFill { new_sequence_number: I64::new(10) });
    assert!(pair.gateway.ready());
    assert_eq!(pair.gateway.counters().gaps, 1);
}

#[test]
fn a_resend_that_never_comes_ends_the_connection() {
    let mut pair = Pair::up();
    pair.number = 4;
    for _ in 0..3 {
        pair.say(&Heartbeat { correlation_id: I64::ZERO });
        assert!(!pair.gateway.wants_disconnect());
        pair.tick_after(11);
    }
    pair.assert_ended(DisconnectReason::ResendUnanswered);
    let asked = pair.drain().iter().filter(|(_, kind)| *kind == ResendRequest::TYPE).count();
    assert_eq!(asked, 3);
}

#[test]
fn a_number_too_low_that_is_no_resend_ends_the_connection() {
    let mut pair = Pair::up();
    pair.number = 1;
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    pair.assert_ended(DisconnectReason::SequenceTooLow);
}

#[test]
fn a_stream_out_of_step_ends_the_connection() {
    let mut pair = Pair::up();
    pair.hear(b"HTTP/1.1 400 Bad Request");
    pair.assert_ended(DisconnectReason::Framing);
}

// Losing the connection.

#[test]
fn what_was_not_written_is_answered_and_gives_back_its_number() {
    let mut pair = Pair::up();
    pair.step(&new_order(1));
    let first = pair.gateway.pending().len();
    pair.step(&new_order(2));
    pair.step(&cancel(1));
    pair.gateway.written(first + 10, Ticks(1_050), &mut pair.events);
    pair.disconnect();
    let bodies = pair.bodies();
    assert!(bodies.contains(&rejected_body(2, local_reason::NEVER_SENT)));
    let reason = local_reason::NEVER_SENT;
    let cancel = Body::CancelRejected { order: ClientOrderId(1), instrument: PERPETUAL, reason };
    assert!(bodies.contains(&cancel));
    assert_eq!(bodies.last(), Some(&Body::Session { up: false }));
    assert_eq!(bodies.len(), 3, "the first order was written: its fate is the venue's to tell");
    assert_eq!(pair.gateway.sequence_numbers(), SequenceNumbers { outgoing: 3, incoming: 2, logon_ms: 0 });
}

#[test]
fn a_reconnection_resumes_and_recovers_what_was_missed_before_it_is_ready() {
    let mut pair = Pair::up();
    pair.disconnect();
    assert_eq!(pair.bodies(), [Body::Session { up: false }]);
    pair.gateway.connected(pair.time);
    let bytes = pair.take_bytes();
    let frame = next_frame(&bytes).expect("framed").expect("whole");
    assert!(matches!(frame.message(), Ok(Message::Logon(l)) if l.reset_seq_num == 0));
    assert_eq!((frame.header.sequence_number.get(), frame.header.last_processed_seq_no.get()), (2, 1));

    // The venue said 2 and 3 to nobody; its confirmation is 4.
    pair.number = 4;
    pair.say(&LogonConf { heartbeat_interval_seconds: I32::new(10) });
    assert!(!pair.gateway.ready());
    assert!(pair.bodies().is_empty());
    assert_eq!(pair.drain(), [(3, ResendRequest::TYPE)]);
    let mut answer = CancelOrderResponse::new_zeroed();
    answer.instrument_id = I64::new(VENUE_PERPETUAL);
    pair.resend(2, &answer);
    pair.resend(3, &GapFill { new_sequence_number: I64::new(4) });
    let bodies = pair.bodies();
    assert!(matches!(bodies[..], [Body::Cancelled { .. }, Body::Session { up: true }]), "{bodies:?}");
}

#[test]
fn a_gap_survives_the_connection_and_nothing_is_handled_twice() {
    let mut pair = Pair::up();
    pair.number = 3;
    let ahead = response(44, order_status::ACTIVE, 0);
    pair.say_with(&ahead, |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    pair.disconnect();
    pair.bodies();
    pair.number = 5;
    pair.log_on();
    let bytes = pair.take_bytes();
    let message = next_frame(&bytes).expect("framed").expect("whole").message();
    assert!(matches!(message, Ok(Message::ResendRequest(r)) if r.from_sequence_number.get() == 2
        && r.to_sequence_number.get() == 4));
    pair.resend(2, &GapFill { new_sequence_number: I64::new(3) });
    let again = pair.bytes_as(3, FLAG_RESEND, &ahead, |e| e.group::<Fill>(&[])?.group::<Leg>(&[]));
    pair.hear(&again);
    pair.resend(4, &Heartbeat { correlation_id: I64::ZERO });
    assert_eq!(pair.bodies(), [Body::Session { up: true }]);
}

#[test]
fn a_venue_that_forgot_the_session_is_refused_until_it_is_reset() {
    let mut pair = Pair::up();
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    pair.disconnect();
    pair.number = 1;
    pair.log_on();
    pair.assert_ended(DisconnectReason::SequenceTooLow);
}

#[test]
fn each_reset_policy_starts_where_it_says() {
    let mut pair = Pair::with(SessionConfig { reset: ResetPolicy::EveryLogon, ..config() });
    for _ in 0..2 {
        pair.number = 1;
        pair.log_on();
        assert!(pair.gateway.ready());
        pair.disconnect();
    }
    let resume = SequenceNumbers { outgoing: 100, incoming: 50, logon_ms: 0 };
    let mut pair = Pair::with(SessionConfig { reset: ResetPolicy::Never, resume, ..config() });
    pair.gateway.connected(pair.time);
    assert_eq!(pair.drain(), [(100, Logon::TYPE)]);
    pair.number = 50;
    pair.say(&LogonConf { heartbeat_interval_seconds: I32::new(10) });
    assert!(pair.gateway.ready());
}

#[test]
fn a_resend_request_lost_with_its_connection_is_repeated_on_the_next() {
    let mut pair = Pair::up();
    pair.number = 3;
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    pair.disconnect();
    pair.log_on();
    assert_eq!(pair.drain(), [(3, ResendRequest::TYPE)]);
    pair.say(&Heartbeat { correlation_id: I64::ZERO });
    assert!(pair.drain().is_empty(), "once is enough");
}
