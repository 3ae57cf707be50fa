//! What is no message of this session: garbled, of another version, from somebody else, of another time.

use super::*;

#[test]
fn a_garbled_checksum_is_passed_over_and_its_number_missed() {
    let mut client = Client::up();
    let mut bytes = client.script("D", ORDER).bytes();
    let digit = bytes.len() - 2;
    bytes[digit] = if bytes[digit] == b'0' { b'1' } else { b'0' };
    client.send(&bytes);
    assert!(client.heard().is_empty() && client.asked.is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 2);
    client.say_as(3, "0", "");
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
}

#[test]
fn a_wrong_body_length_is_passed_over() {
    for wrong in [-1i64, 1, 900, 99_999] {
        let mut client = Client::up();
        let text = String::from_utf8(client.script("D", ORDER).bytes()).expect("ASCII");
        let length: i64 = text.split('\x01').nth(1).and_then(|field| field[2..].parse().ok()).expect("a length");
        let bad = text.replacen(&format!("9={length}\x01"), &format!("9={}\x01", length + wrong), 1);
        let good = client.script("1", "112=x|").bytes();
        client.send(&[bad.as_bytes(), &good, &good[..0]].concat());
        if wrong < 900 || wrong == 99_999 {
            assert_eq!(client.heard(), ["0#2 112=x"], "{wrong}");
        }
        assert!(client.asked.is_empty());
    }
}

#[test]
fn the_first_three_fields_stand_in_order_or_the_message_is_passed_over() {
    let mut client = Client::up();
    let body = format!("49=DESK|35=D|56=VENUE|34=2|52={}|{ORDER}", time(client.now));
    client.send(&frame(&body));
    let text = String::from_utf8(client.script("D", ORDER).bytes()).expect("ASCII");
    let swapped = text.replacen("8=FIX.4.4\x01", "", 1);
    client.send(swapped.as_bytes());
    assert!(client.heard().is_empty() && client.asked.is_empty());
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn another_version_ends_the_session() {
    let mut client = Client::up();
    let text = String::from_utf8(client.script("0", "").bytes()).expect("ASCII");
    let mut bytes = text[..text.len() - 7].replace("FIX.4.4", "FIX.4.2").into_bytes();
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend(format!("10={sum:03}\x01").bytes());
    client.send(&bytes);
    client.assert_ended(DisconnectReason::Version, &["5#2 58"]);
}

#[test]
fn a_checksum_of_other_than_three_digits_is_passed_over() {
    for spoil in [|sum: &str| sum[1..].to_owned(), |sum: &str| format!("0{sum}"), |sum: &str| format!("{}x", &sum[..2])]
    {
        let mut client = Client::up();
        let bytes = client.script("D", ORDER).bytes();
        let (before, sum) = bytes[..bytes.len() - 1].split_at(bytes.len() - 4);
        let sum = spoil(std::str::from_utf8(sum).expect("digits"));
        client.send(&[before, sum.as_bytes(), b"\x01"].concat());
        client.number += 1;
        client.say("0", "");
        assert!(client.asked.is_empty());
        assert_eq!(client.heard(), ["2#2 7=2 16=0"], "its number is missed");
    }
}

#[test]
fn wrong_comp_ids_are_rejected_and_end_the_session() {
    for (sender, target, tag) in [("OTHER", "VENUE", 49), ("DESK", "OTHER", 56)] {
        let mut client = Client::up();
        client.say_but("D", ORDER, |script| (script.sender, script.target) = (sender.into(), target.into()));
        let reject = format!("3#2 45=2 371={tag} 372=D 373=9 58");
        client.assert_ended(DisconnectReason::CompIds, &[&reject, "5#3 58"]);
        assert!(client.asked.is_empty());
    }
}

#[test]
fn a_logon_from_somebody_else_is_refused_before_anything_else() {
    let mut client = Client::new();
    client.say_but("A", "98=0|108=10|141=Y|", |script| script.sender = "OTHER".into());
    client.assert_ended(DisconnectReason::CompIds, &["5#1 58"]);
}

#[test]
fn a_sending_time_out_of_range_is_rejected_and_ends_the_session() {
    for off in [-121i64, 121] {
        let mut client = Client::up();
        let sent = Nanos(client.now.0.saturating_add_signed(off * SECOND as i64));
        client.say_but("D", ORDER, |script| script.sent = time(sent));
        client.assert_ended(DisconnectReason::SendingTime, &["3#2 45=2 371=52 372=D 373=10 58", "5#3 58"]);
    }
    let mut client = Client::up();
    let sent = Nanos(client.now.0 - 119 * SECOND);
    client.say_but("D", ORDER, |script| script.sent = time(sent));
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn a_sending_time_that_is_none_is_rejected() {
    let mut client = Client::up();
    client.say_but("D", ORDER, |script| script.sent = "yesterday".into());
    client.assert_rejected(52, 6);
    client.say_but("D", ORDER, |script| script.sent = String::new());
    client.assert_rejected(52, 1);
}
