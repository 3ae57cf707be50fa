//! Fields of a message: missing, foreign, repeated, without a value or of a wrong one.

use super::*;

#[test]
fn a_missing_tag_is_rejected() {
    for missing in ["11", "55", "54", "38", "44"] {
        let mut client = Client::up();
        let kept: Vec<&str> = ORDER.split_inclusive('|').filter(|f| !f.starts_with(&format!("{missing}="))).collect();
        client.say("D", &kept.concat());
        client.assert_rejected(missing.parse().expect("a tag"), 1);
    }
}

#[test]
fn a_tag_of_another_message_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}108=5|"));
    client.assert_rejected(108, 2);
}

#[test]
fn an_unknown_tag_is_rejected_and_a_user_defined_one_is_not() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}999=5|"));
    client.assert_rejected(999, 2);
    client.say("D", &format!("{ORDER}9008=Y|100010=label|"));
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn an_invalid_tag_number_is_rejected() {
    for bad in ["0=x|", "-5=x|", "x=5|", "=5|", "5|"] {
        let mut client = Client::up();
        client.say("D", &format!("{ORDER}{bad}"));
        client.assert_rejected(0, 0);
    }
}

#[test]
fn a_tag_without_a_value_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}58=|"));
    client.assert_rejected(58, 4);
}

#[test]
fn a_repeated_tag_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}44=101|"));
    client.assert_rejected(44, 13);
}

#[test]
fn a_header_tag_in_the_body_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}50=x|"));
    client.assert_rejected(50, 14);
}

#[test]
fn a_value_of_the_wrong_format_is_rejected() {
    for (from, to, tag) in [("38=5", "38=five", 38), ("44=100", "44=1e2", 44), ("11=7", "11=seven", 11)] {
        let mut client = Client::up();
        client.say("D", &ORDER.replace(from, to));
        client.assert_rejected(tag, 6);
    }
}

#[test]
fn a_value_out_of_its_range_is_rejected() {
    for (from, to, tag) in [("54=1", "54=3", 54), ("59=3", "59=9", 59), ("40=2", "40=7", 40)] {
        let mut client = Client::up();
        client.say("D", &ORDER.replace(from, to));
        client.assert_rejected(tag, 5);
    }
}

#[test]
fn an_invalid_message_type_is_rejected() {
    for kind in ["U", "zz", "AAA", "*"] {
        let mut client = Client::up();
        client.say(kind, "58=x|");
        client.assert_rejected(35, 11);
    }
}

#[test]
fn a_message_type_not_taken_here_is_a_business_reject() {
    for kind in ["B", "R", "AE", "8"] {
        let mut client = Client::up();
        client.say(kind, "39=0|");
        assert_eq!(client.heard(), [format!("j#2 45=2 372={kind} 380=3 58")]);
        assert_eq!(client.venue.closing(), None);
        assert_eq!(client.venue.sequence_numbers().incoming, 3);
    }
}

#[test]
fn a_reject_is_taken_and_not_answered() {
    let mut client = Client::up();
    client.say("3", "45=1|58=why|");
    assert!(client.heard().is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 3);
}

#[test]
fn a_separator_inside_a_value_is_rejected_as_a_tag_that_is_none() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}58=one|two|"));
    client.assert_rejected(0, 0);
}

#[test]
fn data_behind_its_length_may_hold_separators() {
    let mut client = Client::new();
    client.say("A", "98=0|108=10|95=7|96=a|9=b|c|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10"]);
}

#[test]
fn a_possible_resend_is_marked_for_the_desk() {
    for (flag, marked) in [("97=Y|", true), ("97=N|", false), ("", false)] {
        let mut client = Client::up();
        client.say_but("D", ORDER, |script| script.header = flag.into());
        assert!(
            matches!(client.asked[..], [ClientRequest::New { poss_resend, .. }] if poss_resend == marked),
            "{flag}"
        );
    }
}

#[test]
fn names_of_third_parties_in_the_header_are_passed_over() {
    let mut client = Client::up();
    client.say_but("D", ORDER, |script| script.header = "115=FUND|128=BROKER|50=TRADER|57=DESK2|".into());
    assert_eq!(client.asked.len(), 1);
    assert!(client.heard().is_empty());
}
