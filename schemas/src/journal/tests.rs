use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn chain(count: u64) -> (Vec<Vec<u8>>, Anchor) {
    let mut head = None;
    let mut lines = Vec::new();
    for number in 0..count {
        let event = Envelope::new(
            format!("id-{number}"),
            "/kubeskippy/c/actuator".to_owned(),
            "io.kubeskippy.journal.transition.v1".to_owned(),
            Timestamp::UNIX_EPOCH,
            serde_json::json!({"value": 0.1 + 0.2, "text": "…\"}", "number": number}),
        );
        let (line, now) = seal(&event, head.as_ref()).unwrap();
        lines.push(line);
        head = Some(now);
    }
    (lines, Anchor { head, oldest: 1 })
}

fn check(lines: &[Vec<u8>], anchor: &Anchor) -> Report {
    verify(lines.iter().map(Vec::as_slice), anchor.clone())
}

fn first(lines: &[Vec<u8>], anchor: &Anchor) -> Break {
    check(lines, anchor).breaks.into_iter().next().unwrap()
}

#[test]
fn a_line_is_a_cloud_event_that_any_reader_can_parse() {
    let (lines, anchor) = chain(2);
    let event: serde_json::Value = serde_json::from_slice(&lines[1]).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["sequence"], "00000000000000000002");
    assert_eq!(event["hash"], anchor.head.unwrap().hash);
    let before: serde_json::Value = serde_json::from_slice(&lines[0]).unwrap();
    assert_eq!(event["previous"], before["hash"]);
    assert_eq!(before["previous"], NOTHING_BEFORE);
}

#[test]
fn an_empty_journal_without_an_anchor_is_intact() {
    assert!(check(&[], &Anchor::default()).is_intact());
    let (_, anchor) = chain(3);
    assert_eq!(first(&[], &anchor).fault, Fault::Missing { from: 1, to: 3 });
}

#[test]
fn an_anchor_reads_back_and_nonsense_reads_as_absent() {
    let (_, anchor) = chain(3);
    let mut data = BTreeMap::new();
    assert_eq!(Anchor::of(&data), Anchor::default());
    anchor.head.as_ref().unwrap().write_to(&mut data);
    assert_eq!(Anchor::of(&data), anchor);
    data.insert("oldest".to_owned(), "2".to_owned());
    data.insert("hash".to_owned(), "short".to_owned());
    assert_eq!(
        Anchor::of(&data),
        Anchor {
            head: None,
            oldest: 2
        }
    );
}

#[test]
fn lines_after_the_anchor_are_welcome() {
    let (lines, _) = chain(5);
    let (_, anchor) = chain(3);
    let report = check(&lines, &anchor);
    assert!(report.is_intact());
    assert_eq!(report.head.unwrap().sequence, 5);
}

#[test]
fn what_was_taken_away_on_purpose_is_not_missing() {
    let (lines, mut anchor) = chain(9);
    assert_eq!(
        first(&lines[4..], &anchor).fault,
        Fault::Missing { from: 1, to: 4 }
    );
    anchor.oldest = 5;
    assert!(check(&lines[4..], &anchor).is_intact());
    assert!(check(&lines[2..], &anchor).is_intact());
    assert_eq!(
        first(&lines[5..], &anchor).fault,
        Fault::Missing { from: 5, to: 5 }
    );
}

#[test]
fn a_journal_written_anew_from_the_start_is_not_the_anchored_one() {
    let (mut lines, anchor) = chain(3);
    let mut head = None;
    for line in &mut lines {
        let event = Envelope::new(
            "other".to_owned(),
            "/s".to_owned(),
            "t".to_owned(),
            Timestamp::UNIX_EPOCH,
            0,
        );
        let (forged, now) = seal(&event, head.as_ref()).unwrap();
        (*line, head) = (forged, Some(now));
    }
    let found = first(&lines, &anchor);
    assert_eq!((found.position, found.fault), (3, Fault::NotAnchored));
}

#[test]
fn a_break_does_not_hide_the_next_one() {
    let (mut lines, anchor) = chain(9);
    lines[2][5] ^= 1;
    lines.remove(6);
    let report = check(&lines, &anchor);
    let places: Vec<_> = report.breaks.iter().map(|it| it.position).collect();
    assert_eq!(places, [3, 7]);
    assert_eq!(report.breaks[1].fault, Fault::Missing { from: 7, to: 7 });
}

proptest! {
    #[test]
    fn an_untouched_chain_is_intact(count in 0u64..20) {
        let (lines, anchor) = chain(count);
        let report = check(&lines, &anchor);
        prop_assert!(report.is_intact());
        prop_assert_eq!(report.head, anchor.head);
    }

    #[test]
    fn any_flipped_byte_is_found_at_its_line(count in 1u64..9, at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bits in 1u8..=255) {
        let (mut lines, anchor) = chain(count);
        let at = at.index(lines.len());
        let place = place.index(lines[at].len());
        lines[at][place] ^= bits;
        let found = first(&lines, &anchor);
        prop_assert_eq!(found.position, at as u64 + 1);
        prop_assert!(matches!(found.fault, Fault::Altered | Fault::NotALine));
    }

    #[test]
    fn any_deleted_line_is_found_where_it_was(count in 1u64..9, at in any::<prop::sample::Index>()) {
        let (mut lines, anchor) = chain(count);
        let at = at.index(lines.len());
        lines.remove(at);
        let found = first(&lines, &anchor);
        let gone = at as u64 + 1;
        prop_assert_eq!((found.position, found.fault), (gone, Fault::Missing { from: gone, to: gone }));
    }

    #[test]
    fn any_repeated_line_is_found(count in 1u64..9, from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let (mut lines, anchor) = chain(count);
        let copy = lines[from.index(lines.len())].clone();
        let to = to.index(lines.len() + 1);
        lines.insert(to, copy);
        let report = check(&lines, &anchor);
        // A copy right beside its original cannot be told from it: the second of the two is named.
        let place = report.breaks[0].position;
        prop_assert!(place == to as u64 + 1 || place == to as u64 + 2, "{report:?}");
    }

    #[test]
    fn anything_inserted_is_found_where_it_is(count in 1u64..9, to in any::<prop::sample::Index>(), foreign in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut lines, anchor) = chain(count);
        let to = to.index(lines.len() + 1);
        lines.insert(to, foreign);
        let found = first(&lines, &anchor);
        prop_assert_eq!((found.position, found.fault), (to as u64 + 1, Fault::NotALine));
    }

    #[test]
    fn a_forged_line_in_the_middle_is_found(count in 2u64..9, at in any::<prop::sample::Index>(), insert in any::<bool>()) {
        let (mut lines, anchor) = chain(count);
        let at = at.index(lines.len() - 1);
        let before = at.checked_sub(1).and_then(|at| link(&lines[at])).map(|it| it.head);
        let event = Envelope::new("f".to_owned(), "/s".to_owned(), "t".to_owned(), Timestamp::UNIX_EPOCH, 0);
        let (forged, _) = seal(&event, before.as_ref()).unwrap();
        if insert {
            lines.insert(at, forged);
        } else {
            lines[at] = forged;
        }
        let found = first(&lines, &anchor);
        // The forger sealed it well, so what gives it away is the genuine line after it.
        prop_assert_eq!(found.position, at as u64 + 2);
    }

    #[test]
    fn any_two_lines_swapped_are_found(count in 2u64..9, one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let (mut lines, anchor) = chain(count);
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        prop_assume!(one != other);
        lines.swap(one, other);
        prop_assert_eq!(first(&lines, &anchor).position, one.min(other) as u64 + 1);
    }

    #[test]
    fn a_cut_head_or_tail_is_found(count in 1u64..9, keep in any::<prop::sample::Index>(), tail in any::<bool>()) {
        let (lines, anchor) = chain(count);
        let keep = keep.index(lines.len());
        let found = if tail {
            first(&lines[..keep], &anchor)
        } else {
            first(&lines[lines.len() - keep..], &anchor)
        };
        let expected = match (tail, keep) {
            (true, _) => Fault::Missing { from: keep as u64 + 1, to: count },
            (false, _) => Fault::Missing { from: 1, to: count - keep as u64 },
        };
        prop_assert_eq!(found.fault, expected);
    }

    #[test]
    fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any = link(&bytes);
    }
}
