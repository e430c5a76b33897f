//! Lines in, templates out.

use proptest::prelude::*;

use super::*;

#[test]
fn what_varies_is_taken_out_and_what_tells_stays() {
    let lines = [
        (
            "Back-off restarting failed container app in pod web-6d4cf56db6-x2_shop(0b1c)",
            "Back-off restarting failed container app in pod <*>",
        ),
        (
            "MountVolume.SetUp failed for volume \"config\" : configmap \"web config\" not found",
            "MountVolume.SetUp failed for volume <*> : configmap <*> not found",
        ),
        (
            "Liveness probe failed: HTTP probe failed with statuscode: 503",
            "Liveness probe failed: HTTP probe failed with statuscode: <*>",
        ),
        (
            "Readiness probe failed: Get \"http://10.0.0.7:8080/\": context deadline exceeded",
            "Readiness probe failed: Get <*> : context deadline exceeded",
        ),
        (
            "couldn't find key url in Secret shop/db",
            "couldn't find key url in Secret <*>",
        ),
        ("", ""),
    ];
    for (line, expected) in lines {
        assert_eq!(mask(line), expected);
    }
}

#[test]
fn lines_that_differ_in_a_word_are_one_template() {
    let mined = mine([
        "pulling image alpha now",
        "pulling image beta now",
        "pulling image beta now",
        "user admin logged in",
    ]);
    let expected = [("pulling image <*> now", 3), ("user admin logged in", 1)];
    assert_eq!(
        mined,
        expected.map(|(text, count)| (text.to_owned(), count))
    );
}

#[test]
fn what_is_not_seen_is_not_kept() {
    assert_eq!(plain("a\u{202e}b\u{0}\n\tc\u{200b}\u{e0041}d"), "a b c d");
}

#[test]
fn a_flood_of_different_lines_ends_in_one_template() {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
    let lines: Vec<String> = (0..1000)
        .map(|n| format!("{}{}{} x", letter(n), letter(n / 26), letter(n / 676)))
        .collect();
    let mined = mine(lines.iter().map(String::as_str));
    assert!(mined.len() <= MOST_TEMPLATES);
    assert_eq!(mined[0].0, VARIABLE);
    assert_eq!(mined.iter().map(|(_, count)| count).sum::<u64>(), 1000);
}

proptest! {
    #[test]
    fn a_masked_line_is_short_visible_and_stays_as_it_is(line in any::<String>()) {
        let masked = mask(&line);
        prop_assert!(masked.chars().count() <= MOST_CHARS);
        prop_assert!(masked.chars().all(|char| char == ' ' || is_shown(char)));
        prop_assert!(!masked.chars().any(char::is_numeric));
        prop_assert_eq!(mask(&masked), masked);
    }

    #[test]
    fn a_line_of_quotes_and_words_is_masked_without_harm(line in "[a-z'\"` <>*/=0-9]{0,300}") {
        let masked = mask(&line);
        prop_assert_eq!(mask(&masked), masked);
    }

    #[test]
    fn counts_add_up_whatever_the_order(lines in proptest::collection::vec("[a-c]{1,2}( [a-c0-9]{1,2}){0,3}", 0..60)) {
        let forward = mine(lines.iter().map(String::as_str));
        let backward = mine(lines.iter().rev().map(String::as_str));
        prop_assert_eq!(&forward, &backward);
        let total: u64 = forward.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(total, u64::try_from(lines.len()).unwrap());
        prop_assert!(forward.len() <= MOST_TEMPLATES);
    }
}
