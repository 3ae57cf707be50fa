//! Logging on and off: who may, and how it ends.

use super::*;

#[test]
fn logon_is_answered_with_logon() {
    Client::up();
}

#[test]
fn the_first_message_must_be_a_logon_or_the_connection_ends_without_a_word() {
    for (kind, body) in [("0", ""), ("1", "112=x|"), ("D", ORDER), ("5", ""), ("2", "7=1|16=0|"), ("4", "36=9|")] {
        let mut client = Client::new();
        client.say(kind, body);
        client.assert_ended(DisconnectReason::LogonExpected, &[]);
    }
}

#[test]
fn a_logon_that_does_not_come_ends_the_connection() {
    let mut client = Client::new();
    client.wait(9);
    assert_eq!(client.venue.closing(), None);
    client.wait(2);
    client.assert_ended(DisconnectReason::LogonTimeout, &[]);
}

#[test]
fn a_logon_without_a_heartbeat_interval_is_refused() {
    let mut client = Client::new();
    client.say("A", "98=0|");
    client.assert_ended(DisconnectReason::LogonExpected, &["3#1 45=1 371=108 372=A 373=1 58", "5#2 58"]);
}

#[test]
fn a_logon_with_encryption_is_refused() {
    let mut client = Client::new();
    client.say("A", "98=1|108=10|");
    client.assert_ended(DisconnectReason::LogonExpected, &["5#1 58"]);
}

#[test]
fn a_second_logon_ends_the_session() {
    let mut client = Client::up();
    client.say("A", "98=0|108=10|");
    client.assert_ended(DisconnectReason::SecondLogon, &["5#2 58"]);
}

#[test]
fn a_logon_with_reset_starts_both_directions_again() {
    let mut client = Client::up();
    client.say("D", ORDER);
    client.reconnect();
    client.say_as(1, "A", "98=0|108=10|141=Y|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10 141=Y"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_reset_within_a_session_is_a_logon_with_reset() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(1, "A", "98=0|108=10|141=Y|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10 141=Y"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_logon_beyond_a_gap_is_answered_and_the_gap_asked_for() {
    let mut client = Client::new();
    client.say_as(5, "A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10", "2#2 7=1 16=0"]);
    assert!(client.venue.is_up());
}

#[test]
fn a_logon_below_the_number_expected_is_refused() {
    let mut client = Client::up();
    client.say("0", "");
    client.reconnect();
    client.say_as(2, "A", "98=0|108=10|");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
}

#[test]
fn a_logon_resumes_the_numbers_of_the_session() {
    let mut client = Client::up();
    client.reconnect();
    client.say("A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#2 98=0 108=10"]);
}

#[test]
fn credentials_are_the_hash_of_a_rising_time_with_the_secret() {
    let credentials = || Some(Credentials::new("key", "swordfish").expect("both fit"));
    let logon = |name: &str, secret: &str, ms: u64| {
        let raw = RawData::new(ms, &[7; 32]);
        let password = Password::new(raw.as_bytes(), &SecretText::new(secret).expect("a secret"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (raw, password) = (text(raw.as_bytes()), text(password.as_bytes()));
        format!("98=0|108=10|95={}|96={raw}|553={name}|554={password}|9001=Y|9002=Y|", raw.len())
    };
    let mut client = Client::with(|_| {}, credentials());
    client.say("A", &logon("key", "swordfish", 5));
    assert_eq!(client.heard(), ["A#1 98=0 108=10"]);
    client.reconnect();
    client.say("A", &logon("key", "swordfish", 6));
    assert_eq!(client.heard(), ["A#2 98=0 108=10"]);
    for (name, secret, ms) in [("key", "swordfish", 6), ("key", "tuna", 7), ("lock", "swordfish", 7)] {
        client.reconnect();
        client.say("A", &logon(name, secret, ms));
        assert_eq!(client.venue.closing(), Some(DisconnectReason::Refused));
        assert!(client.heard()[0].starts_with("5#"));
        client.number -= 1;
    }
}

#[test]
fn a_logout_is_answered_with_logout() {
    let mut client = Client::up();
    client.say("5", "");
    client.assert_ended(DisconnectReason::LoggedOut, &["5#2"]);
    assert_eq!(client.venue.sequence_numbers().incoming, 3, "no gap is left behind");
}

#[test]
fn a_logout_of_ours_waits_for_its_answer() {
    let mut client = Client::up();
    client.venue.log_out(b"closing time", client.now);
    assert_eq!(client.heard(), ["5#2 58"]);
    client.say("D", ORDER);
    assert_eq!(client.asked.len(), 1, "what was under way still counts");
    assert_eq!(client.venue.closing(), None);
    client.say("5", "");
    client.assert_ended(DisconnectReason::LoggedOut, &[]);
}

#[test]
fn a_logout_of_ours_without_answer_times_out() {
    let mut client = Client::up();
    client.venue.log_out(b"closing time", client.now);
    client.wait(19);
    assert_eq!(client.venue.closing(), None);
    client.wait(2);
    client.assert_ended(DisconnectReason::LogoutTimeout, &["5#2 58"]);
}

#[test]
fn a_stream_in_any_pieces_is_the_same_stream() {
    let mut client = Client::up();
    let mut bytes = Vec::new();
    for number in 2..8 {
        client.number = number;
        bytes.extend(client.script("D", ORDER).bytes());
    }
    let mut held = Vec::new();
    for byte in bytes {
        held.push(byte);
        let before = client.asked.len();
        let held_now = held.clone();
        client.send(&held_now);
        if client.asked.len() > before {
            held.clear();
        }
    }
    assert_eq!((client.asked.len(), client.venue.sequence_numbers().incoming), (6, 8));
}
