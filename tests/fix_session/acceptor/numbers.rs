//! Sequence numbers: too high, too low, filled over, begun anew.

use super::*;

#[test]
fn a_number_too_high_makes_a_resend_request_and_waits_for_it() {
    let mut client = Client::up();
    client.say_as(4, "D", ORDER);
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
    client.say("D", ORDER);
    assert!(client.heard().is_empty(), "it was asked for already");
    assert!(client.asked.is_empty(), "orders keep their order");
    let again = format!("122={}|", time(client.now));
    for number in 2..=5 {
        client.number = number;
        client.say_but("D", ORDER, |script| script.header = format!("43=Y|{again}"));
    }
    assert_eq!(client.asked.len(), 4);
    assert_eq!(client.venue.sequence_numbers().incoming, 6);
}

#[test]
fn a_number_too_low_ends_the_session_with_what_was_expected() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(2, "D", ORDER);
    let text = String::from_utf8_lossy(client.venue.pending()).into_owned();
    assert!(text.contains("58=MsgSeqNum too low, expecting 3 but received 2\x01"), "{text}");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
    assert!(client.asked.is_empty());
}

#[test]
fn a_message_without_a_number_ends_the_session() {
    for number in ["", "34=0|", "34=x|"] {
        let mut client = Client::up();
        let body = format!("35=0|49=DESK|56=VENUE|{number}52={}|", time(client.now));
        client.send(&frame(&body));
        client.assert_ended(DisconnectReason::NoSequence, &["5#2 58"]);
    }
}

#[test]
fn a_duplicate_that_says_so_is_passed_over() {
    let mut client = Client::up();
    client.say("D", ORDER);
    let header = format!("43=Y|122={}|", time(client.now));
    client.number = 2;
    client.say_but("D", ORDER, |script| script.header = header);
    assert_eq!((client.asked.len(), client.venue.closing()), (1, None));
    assert!(client.heard().is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 3);
}

#[test]
fn a_possible_duplicate_not_seen_before_is_taken() {
    let mut client = Client::up();
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("D", ORDER, |script| script.header = header);
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn a_duplicate_without_its_first_sending_time_is_rejected() {
    let mut client = Client::up();
    client.say_but("D", ORDER, |script| script.header = "43=Y|".into());
    client.assert_rejected(122, 1);
}

#[test]
fn a_duplicate_first_sent_after_it_was_sent_ends_the_session() {
    let mut client = Client::up();
    let header = format!("43=Y|122={}|", time(Nanos(client.now.0 + SECOND)));
    client.say_but("D", ORDER, |script| script.header = header);
    client.assert_ended(DisconnectReason::SendingTime, &["3#2 45=2 371=122 372=D 373=10 58", "5#3 58"]);
}

#[test]
fn a_gap_fill_moves_the_number_expected() {
    let mut client = Client::up();
    client.say("4", "123=Y|36=9|");
    client.say_as(9, "1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_gap_fill_backward_is_rejected() {
    for next in [1, 2] {
        let mut client = Client::up();
        client.say("4", &format!("123=Y|36={next}|"));
        client.assert_rejected(36, 5);
    }
}

#[test]
fn a_gap_fill_beyond_a_gap_waits_for_it() {
    let mut client = Client::up();
    client.say_as(5, "4", "123=Y|36=9|");
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
    assert_eq!(client.venue.sequence_numbers().incoming, 2);
}

#[test]
fn a_gap_fill_too_low_ends_the_session_unless_it_is_a_duplicate() {
    let mut client = Client::up();
    client.say("0", "");
    client.number = 2;
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("4", "123=Y|36=9|", |script| script.header = header);
    assert_eq!((client.venue.closing(), client.venue.sequence_numbers().incoming), (None, 3));
    client.say_as(2, "4", "123=Y|36=9|");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
}

#[test]
fn a_sequence_reset_moves_the_number_expected_whatever_its_own() {
    for (number, flag) in [(2, ""), (1, "123=N|"), (77, "")] {
        let mut client = Client::up();
        client.say_as(number, "4", &format!("{flag}36=9|"));
        client.say_as(9, "1", "112=x|");
        assert_eq!(client.heard(), ["0#2 112=x"], "{number}");
    }
}

#[test]
fn a_sequence_reset_backward_is_rejected_and_to_the_number_expected_is_not() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(3, "4", "36=2|");
    assert_eq!(client.heard(), ["3#2 45=3 371=36 372=4 373=5 58"]);
    client.say_as(3, "4", "36=3|");
    client.say_as(3, "1", "112=x|");
    assert_eq!(client.heard(), ["0#3 112=x"]);
}
