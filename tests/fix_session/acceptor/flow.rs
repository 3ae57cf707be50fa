//! What keeps a session whole: heartbeats, test requests, resends.

use super::*;

#[test]
fn a_quiet_side_sends_heartbeats_at_the_interval_of_the_logon() {
    let mut client = Client::up();
    for beat in 2..6 {
        client.wait(9);
        assert!(client.heard().is_empty());
        client.say("0", "");
        client.wait(1);
        assert_eq!(client.heard(), [format!("0#{beat}")]);
    }
}

#[test]
fn a_test_request_is_answered_with_its_id() {
    let mut client = Client::up();
    client.say("1", "112=hello there|");
    assert_eq!(client.heard(), ["0#2 112=hello there"]);
}

#[test]
fn silence_makes_a_test_request_and_its_time_out_ends_the_session() {
    let mut client = Client::up();
    client.wait(13);
    assert_eq!(client.heard(), ["0#2", "1#3 112=1"]);
    client.wait(10);
    assert_eq!(client.heard(), ["0#4"]);
    client.wait(3);
    client.assert_ended(DisconnectReason::Silence, &["5#5 58"]);
}

#[test]
fn any_message_answers_for_the_silence() {
    let mut client = Client::up();
    for _ in 0..5 {
        client.wait(13);
        assert!(client.heard().iter().any(|message| message.starts_with("1#")));
        client.say("0", "112=1|");
    }
    assert_eq!(client.venue.closing(), None);
}

/// A client that was told of two orders, under numbers 2 and 4, with a heartbeat between them.
fn told_of_two() -> Client {
    let mut client = Client::up();
    for order in [7, 8] {
        client.venue.send(kind::EXECUTION_REPORT, client.now, |report| {
            report.number(b"41=", order).byte(b"39=", b'0');
        });
        if order == 7 {
            client.say("1", "112=x|");
        }
    }
    assert_eq!(client.heard(), ["8#2 41=7 39=0", "0#3 112=x", "8#4 41=8 39=0"]);
    client
}

#[test]
fn a_resend_request_gets_reports_again_and_gap_fills_for_session_messages() {
    let mut client = told_of_two();
    client.say("2", "7=1|16=0|");
    let expected =
        ["4#1 43=Y 122 123=Y 36=2", "8#2 43=Y 122 41=7 39=0", "4#3 43=Y 122 123=Y 36=4", "8#4 43=Y 122 41=8 39=0"];
    assert_eq!(client.heard(), expected);
    client.say("2", "7=3|16=3|");
    assert_eq!(client.heard(), ["4#3 43=Y 122 123=Y 36=4"]);
    client.say("2", "7=4|16=999|");
    assert_eq!(client.heard(), ["8#4 43=Y 122 41=8 39=0"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#5 112=x"], "a resend takes no number");
}

#[test]
fn a_resend_keeps_the_first_sending_time() {
    let mut client = told_of_two();
    let first = time(client.now);
    client.now.0 += SECOND;
    client.say("2", "7=2|16=2|");
    let text = String::from_utf8_lossy(client.venue.pending()).into_owned();
    assert!(text.contains(&format!("\x0152={}\x0143=Y\x01122={first}\x01", time(client.now))), "{text}");
}

#[test]
fn a_resend_request_that_makes_no_sense_is_rejected() {
    for (range, tag) in [("7=0|16=0|", 7), ("7=9|16=0|", 7), ("7=3|16=2|", 16)] {
        let mut client = told_of_two();
        client.say("2", range);
        client.assert_rejected(tag, 5);
    }
    let mut client = told_of_two();
    client.say("2", "7=x|16=0|");
    client.assert_rejected(7, 6);
}

#[test]
fn what_was_said_while_nobody_was_connected_can_be_asked_for() {
    let mut client = Client::up();
    client.venue.disconnected();
    client.venue.send(kind::EXECUTION_REPORT, client.now, |report| {
        report.number(b"41=", 7).byte(b"39=", b'4');
    });
    client.venue.connected(client.now);
    client.say("A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#3 98=0 108=10"]);
    client.say("2", "7=2|16=0|");
    assert_eq!(client.heard(), ["8#2 43=Y 122 41=7 39=4", "4#3 43=Y 122 123=Y 36=4"]);
}

#[test]
fn simultaneous_resend_requests_are_both_answered() {
    let mut client = told_of_two();
    client.reconnect();
    // Numbers 3 and 4 of the client were lost, and it misses what the venue said from 2 on.
    client.say_as(5, "A", "98=0|108=10|");
    client.say("2", "7=2|16=0|");
    let heard = client.heard();
    let expected = [
        "A#5 98=0 108=10",
        "2#6 7=3 16=0",
        "8#2 43=Y 122 41=7 39=0",
        "4#3 43=Y 122 123=Y 36=4",
        "8#4 43=Y 122 41=8 39=0",
        "4#5 43=Y 122 123=Y 36=7",
    ];
    assert_eq!(heard, expected);
    // The client's resend: all of it was session messages.
    client.number = 3;
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("4", "123=Y|36=7|", |script| script.header = header);
    client.number = 7;
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#7 112=x"]);
}

#[test]
fn a_resend_that_does_not_come_is_asked_for_again_and_then_ends_the_session() {
    let mut client = Client::up();
    client.say_as(9, "0", "");
    let mut asked = client.heard().iter().filter(|message| message.ends_with("7=2 16=0")).count();
    for number in 10..14 {
        client.wait(11);
        asked += client.heard().iter().filter(|message| message.ends_with("7=2 16=0")).count();
        client.say_as(number, "0", "");
    }
    assert_eq!((asked, client.venue.closing()), (3, Some(DisconnectReason::ResendUnanswered)));
}
