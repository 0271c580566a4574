//! What is found in spoken English, and what is left alone (C05).

use std::time::Duration;

use segue_call::{
    EntityKind::{self, Account, Amount, Date, Email, Order, Phone},
    entity,
};
use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};

fn utterance(id: u32, speaker: Speaker, text: &str) -> Utterance {
    Utterance {
        id: UtteranceId(id),
        speaker,
        text: text.to_owned(),
        start: Duration::from_secs(u64::from(id)),
        end: Duration::from_secs(u64::from(id) + 1),
        confidence: 0.9,
        stage: Stage::Final,
        level: None,
    }
}

fn check(text: &str, expected: &[(EntityKind, &str)]) {
    let found = entity::of_utterance(&utterance(1, Speaker::Caller, text), None);
    let brief: Vec<(EntityKind, &str)> =
        found.iter().map(|entity| (entity.kind, entity.value.as_str())).collect();
    assert_eq!(brief, expected, "{text}");
    for entity in &found {
        assert!(text.contains(&entity.said), "{text}: `{}` was not said", entity.said);
    }
}

#[test]
fn order_numbers_are_found_in_words_and_figures() {
    check("my order number is one two three four", &[(Order, "1234")]);
    check("order number one two three four", &[(Order, "1234")]);
    check("It's about order 1234.", &[(Order, "1234")]);
    check("order one twenty three", &[(Order, "123")]);
    check("order number twelve thirty four", &[(Order, "1234")]);
    check("order #9981 has not arrived", &[(Order, "9981")]);
    check("order id A B one two three", &[(Order, "AB123")]);
    check("order AB-1234", &[(Order, "AB1234")]);
    check("order number double five oh seven", &[(Order, "5507")]);
    check("the order number, let me see, it's seven seven one nine", &[(Order, "7719")]);
    check("one two three four is my order number", &[(Order, "1234")]);
    check("my booking reference is b as in boy four four two", &[(Order, "B442")]);
    check("order number one two three four, no sorry, one two three five", &[(Order, "1235")]);
    check("order number one two three four for five hundred dollars", &[(Order, "1234"), (Amount, "500.00")]);
    check("order one two three four five hundred dollars", &[(Order, "1234"), (Amount, "500.00")]);
    check("I want a refund for order 1234, it was $49.99", &[(Order, "1234"), (Amount, "49.99")]);
    check("orders 1234 and order 5678", &[(Order, "1234"), (Order, "5678")]);
}

#[test]
fn what_only_sounds_like_an_order_number_is_none() {
    check("one two three testing", &[]);
    check("I want to order two pizzas", &[]);
    check("I'd like to order 200 pizzas", &[]);
    check("in order to get three", &[]);
    check("my order is late", &[]);
    check("order number I don't know", &[]);
    check("I don't have my order number", &[]);
    check("I placed an order three days ago", &[(Date, "3 days ago")]);
    check("my order came in two boxes", &[]);
    check("I ordered at three pm", &[]);
    check("twenty four seven", &[]);
    check("there are five people in my house", &[]);
    check("my card number is 4111 1111 1111 1111", &[]);
    check("version two point five", &[]);
    check("", &[]);
}

#[test]
fn account_numbers_are_found() {
    check("my account number is four four five five six", &[(Account, "44556")]);
    check("customer number 88123", &[(Account, "88123")]);
    check("customer id C 77 12", &[(Account, "C7712")]);
    check("the account ending in 4521", &[(Account, "4521")]);
    check("account 991204", &[(Account, "991204")]);
    check("my membership number is triple two nine", &[(Account, "2229")]);
    check("I have two accounts", &[]);
    check("I've been a customer for three years", &[]);
    check("your customer service is bad", &[]);
}

#[test]
fn amounts_are_found_spoken_and_written() {
    check("five hundred dollars", &[(Amount, "500.00")]);
    check("it was $49.99", &[(Amount, "49.99")]);
    check("a hundred and twenty euros", &[(Amount, "120.00")]);
    check("it cost twenty nine ninety nine", &[(Amount, "29.99")]);
    check("twenty-nine ninety-nine", &[(Amount, "29.99")]);
    check("forty nine dollars and ninety nine cents", &[(Amount, "49.99")]);
    check("forty nine point nine nine euros", &[(Amount, "49.99")]);
    check("fifty cents", &[(Amount, "0.50")]);
    check("one thousand two hundred pounds", &[(Amount, "1200.00")]);
    check("$1,200.50 was taken", &[(Amount, "1200.50")]);
    check("1,200 dollars", &[(Amount, "1200.00")]);
    check("49.99 USD", &[(Amount, "49.99")]);
    check("you charged me 49.99 twice", &[(Amount, "49.99")]);
    check("120€", &[(Amount, "120.00")]);
    check("five grand", &[]);
    check("two million dollars", &[(Amount, "2000000.00")]);
    check("one twenty dollars", &[(Amount, "120.00")]);
    check(
        "I paid a thousand bucks and want five hundred dollars back",
        &[(Amount, "1000.00"), (Amount, "500.00")],
    );
    check("a five hundred dollar refund", &[(Amount, "500.00")]);
}

#[test]
fn other_quantities_are_no_amounts() {
    check("two pounds of apples", &[]);
    check("a couple hundred dollars", &[]);
    check("one hundred percent", &[]);
    check("since nineteen ninety nine", &[]);
    check("I live at forty two Main Street", &[]);
    check("three or four times", &[]);
    check("dollars", &[]);
}

#[test]
fn email_addresses_are_found_written_and_spoken() {
    check("my email is anna at example dot com", &[(Email, "anna@example.com")]);
    check("Write to Anna.Smith@Example.com.", &[(Email, "anna.smith@example.com")]);
    check("it's anna dot smith at gmail dot com", &[(Email, "anna.smith@gmail.com")]);
    check("email me at a n n a at example dot com", &[(Email, "anna@example.com")]);
    check("my email address is j underscore doe at mail dash box dot org", &[(Email, "j_doe@mail-box.org")]);
    check("email anna forty two at example dot co dot uk please", &[(Email, "anna42@example.co.uk")]);
    check("bob99 at yahoo.com", &[(Email, "bob99@yahoo.com")]);
    check("my email is bob smith at example dot com", &[(Email, "smith@example.com")]);
    check("I looked at amazon dot com", &[]);
    check("meet me at the store", &[]);
    check("I bought it at best buy", &[]);
    check("look at example.com", &[]);
    check("at dot com", &[]);
    check("@", &[]);
}

#[test]
fn dates_are_found() {
    check("last Monday", &[(Date, "last monday")]);
    check("it came on friday", &[(Date, "friday")]);
    check("march third", &[(Date, "March 3")]);
    check("the 3rd of May", &[(Date, "May 3")]);
    check("the third of march", &[(Date, "March 3")]);
    check("May 3, 2026", &[(Date, "May 3 2026")]);
    check("june the twenty first twenty twenty six", &[(Date, "June 21 2026")]);
    check("I ordered it two weeks ago", &[(Date, "2 weeks ago")]);
    check("a month ago", &[(Date, "1 month ago")]);
    check("since January", &[(Date, "January")]);
    check("last december", &[(Date, "last December")]);
    check("yesterday", &[(Date, "yesterday")]);
    check("on 2026-11-20", &[(Date, "2026-11-20")]);
    check("on 11/20/2026", &[(Date, "11/20/2026")]);
    check("next week", &[(Date, "next week")]);
}

#[test]
fn words_that_are_also_months_are_left_alone() {
    check("may I ask something", &[]);
    check("may one of you help", &[]);
    check("I march every day", &[]);
    check("it may be late", &[]);
    check("how are you today", &[]);
    check("the second time", &[]);
    check("on the third floor", &[]);
    check("may two people come", &[]);
}

#[test]
fn telephone_numbers_are_found() {
    check("call me at 555-123-4567", &[(Phone, "5551234567")]);
    check("my phone number is five five five one two three four five six seven", &[(Phone, "5551234567")]);
    check("(555) 123-4567", &[(Phone, "5551234567")]);
    check("plus four nine eight nine one two three four five six", &[(Phone, "+4989123456")]);
    check("+49 89 123456", &[(Phone, "+4989123456")]);
    check("call me back on oh one six three two nine six oh one two three", &[(Phone, "01632960123")]);
    check("call me tomorrow", &[(Date, "tomorrow")]);
    check("call me in two hours", &[]);
}

fn check_call(lines: &[(Speaker, &str)], expected: &[(EntityKind, &str, u32)]) {
    let transcript: Vec<Utterance> =
        lines.iter().zip(1..).map(|((speaker, text), id)| utterance(id, *speaker, text)).collect();
    let found = entity::of_call(&transcript);
    let brief: Vec<(EntityKind, &str, u32)> =
        found.iter().map(|entity| (entity.kind, entity.value.as_str(), entity.utterance.0)).collect();
    assert_eq!(brief, expected, "{lines:?}");
}

#[test]
fn an_answer_is_what_was_asked_for() {
    use Speaker::{Bot, Caller};
    check_call(&[(Bot, "What is your order number?"), (Caller, "one two three four")], &[(Order, "1234", 2)]);
    check_call(
        &[(Bot, "Please tell me your account number."), (Caller, "sure, it is five five oh one two")],
        &[(Account, "55012", 2)],
    );
    check_call(
        &[(Bot, "What is your order number?"), (Caller, "five five five one two three four five six seven")],
        &[(Order, "5551234567", 2)],
    );
    check_call(
        &[(Bot, "May I have your phone number?"), (Caller, "five five five one two three four")],
        &[(Phone, "5551234", 2)],
    );
    check_call(
        &[(Bot, "What is your e-mail address?"), (Caller, "look at example dot com")],
        &[(Email, "look@example.com", 2)],
    );
    check_call(&[(Bot, "What is your order number?"), (Caller, "I don't have one")], &[]);
    check_call(&[(Bot, "How can I help?"), (Caller, "one two three four")], &[]);
}

#[test]
fn an_entity_is_kept_once_where_it_was_first_said() {
    use Speaker::{Bot, Caller};
    check_call(
        &[
            (Caller, "I want my five hundred dollars back for order 1234"),
            (Bot, "I found order 1234. Orders over 50 dollars ship free."),
            (Caller, "yes, order one two three four"),
        ],
        &[(Amount, "500.00", 1), (Order, "1234", 1)],
    );
}

#[test]
fn partials_are_not_looked_at_and_endless_text_is_cut() {
    let partial = Utterance { stage: Stage::Partial, ..utterance(1, Speaker::Caller, "order 1234") };
    assert_eq!(entity::of_call(&[partial]), []);
    let endless = format!("{} order 1234", "la ".repeat(1000));
    assert_eq!(entity::of_utterance(&utterance(1, Speaker::Caller, &endless), None), []);
    let many: Vec<Utterance> =
        (1..300).map(|id| utterance(id, Speaker::Caller, &format!("order number {}", 10_000 + id))).collect();
    assert_eq!(entity::of_call(&many).len(), 100);
    assert_eq!(entity::of_call(&many).last().unwrap().value, "10100");
}

#[test]
fn any_text_is_read_without_harm() {
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "order",
        "number",
        "one",
        "twenty",
        "hundred",
        "thousand",
        "million",
        "dollars",
        "cents",
        "point",
        "and",
        "at",
        "dot",
        "com",
        "the",
        "third",
        "of",
        "may",
        "last",
        "monday",
        "double",
        "as",
        "in",
        "my",
        "plus",
        "99999999999999999999",
        "18446744073709551615",
        "$1.5",
        "a",
        "o",
        "ago",
        "call",
        "me",
        "\u{20ac}",
        "@",
        "-",
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) };
    let words =
        proptest::collection::vec(proptest::sample::select(WORDS), 0..20).prop_map(|words| words.join(" "));
    proptest!(config, |(text in prop_oneof![words, ".{0,80}"])| {
        for entity in entity::of_utterance(&utterance(1, Speaker::Caller, &text), Some(Order)) {
            prop_assert!(text.contains(&entity.said) && !entity.value.is_empty());
        }
    });
}
