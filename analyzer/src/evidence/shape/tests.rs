//! Series in, shapes out.

use proptest::prelude::*;

use super::*;
use crate::testing::at;

/// Values every 15 s.
fn every(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    (0..).map(|n| at(15 * n)).zip(values).collect()
}

fn f(n: u32) -> f64 {
    f64::from(n)
}

#[test]
fn a_climb_is_a_slope_and_nearly_a_line() {
    let shape = shape(&every((0..40).map(|n| 100.0 + 2.0 * f(n))), &[]);
    assert!((shape.slope_per_hour - 480.0).abs() < 1e-6);
    assert!(shape.linearity > 0.999 && (shape.rising - 1.0).abs() < 1e-9);
    assert_eq!((shape.count, shape.drops, shape.season), (40, 0, None));
    assert!((shape.level - 169.0).abs() < 1e-9);
}

#[test]
fn a_few_outliers_do_not_move_the_slope_or_the_level() {
    let values = (0..40).map(|n| if n % 8 == 7 { 1e9 } else { 100.0 + f(n) });
    let shape = shape(&every(values), &[]);
    assert!(
        (shape.slope_per_hour - 240.0).abs() < 40.0,
        "{}",
        shape.slope_per_hour
    );
    assert!((shape.level - 135.0).abs() < 3.0, "{}", shape.level);
}

#[test]
fn a_saw_has_drops_and_a_season() {
    let shape = shape(&every((0..48).map(|n| 100.0 + 10.0 * f(n % 8))), &[]);
    assert_eq!(shape.drops, 5);
    let (period, strength) = shape.season.unwrap();
    assert_eq!(period, SignedDuration::from_secs(120));
    assert!(strength >= 0.5);
}

#[test]
fn a_fall_at_a_restart_is_no_drop_and_one_of_several_steps_is_one() {
    let saw = every((0..20).map(|n| 100.0 + 10.0 * f(n % 10)));
    assert_eq!(shape(&saw, &[at(150)]).drops, 0);
    assert_eq!(shape(&saw, &[at(600)]).drops, 1);
    let slow = every([10.0, 100.0, 60.0, 30.0, 10.0, 20.0]);
    assert_eq!(shape(&slow, &[]).drops, 1);
}

#[test]
fn noise_that_is_small_against_the_level_has_no_drops() {
    let shape = shape(&every((0..40).map(|n| 1000.0 + 10.0 * f(n % 2))), &[]);
    assert_eq!(shape.drops, 0);
}

#[test]
fn a_step_is_found_where_it_is() {
    let points = every((0..40).map(|n| if n < 25 { 10.0 } else { 50.0 }));
    let shape = shape(&points, &[]);
    let change = shape.change.unwrap();
    assert_eq!(change.at, at(15 * 25));
    assert!((change.by - 40.0).abs() < 1e-9 && change.confidence > 0.95);
    assert_eq!(shape.flips, 1);
    assert_eq!(onset(&points, &shape), Some(at(15 * 25)));
}

#[test]
fn a_climb_begins_where_it_leaves_the_ground() {
    let points = every((0..40).map(|n| if n < 10 { 10.0 } else { 10.0 + 5.0 * f(n - 9) }));
    let began = onset(&points, &shape(&points, &[])).unwrap();
    assert!((at(120)..=at(180)).contains(&began), "{began}");
}

#[test]
fn only_a_series_of_two_values_flips() {
    assert_eq!(shape(&every([1.0, 0.0, 1.0, 1.0, 0.0]), &[]).flips, 3);
    assert_eq!(shape(&every([1.0, 0.0, 2.0]), &[]).flips, 0);
    assert_eq!(shape(&every([1.0, 1.0]), &[]).flips, 0);
}

#[test]
fn nothing_has_no_shape() {
    assert_eq!(shape(&[], &[]), Shape::default());
    assert_eq!(shape(&[(at(0), f64::NAN)], &[]), Shape::default());
    assert_eq!(onset(&[], &Shape::default()), None);
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    let value = prop_oneof![8 => -1e6..1e6, 1 => any::<f64>(), 1 => Just(0.0)];
    proptest::collection::vec((0_i64..100_000, value), 0..300).prop_map(|points| {
        points
            .into_iter()
            .map(|(second, value)| (at(second), value))
            .collect()
    })
}

proptest! {
    #[test]
    fn every_share_is_one_and_every_value_lies_between_the_extremes(points in any_points()) {
        let shape = shape(&points, &[]);
        for share in [shape.linearity, shape.rising] {
            prop_assert!((0.0..=1.0).contains(&share), "{}", share);
        }
        if shape.count > 0 {
            prop_assert!(shape.min <= shape.last && shape.last <= shape.max);
            prop_assert!(shape.min <= shape.level && shape.level <= shape.max);
        }
        prop_assert!(!shape.slope_per_hour.is_nan());
        if let Some(change) = shape.change {
            prop_assert!((0.0..=1.0).contains(&change.confidence));
        }
        if let Some((period, strength)) = shape.season {
            prop_assert!(period > SignedDuration::ZERO && (0.0..=1.0).contains(&strength));
        }
    }

    #[test]
    fn the_order_in_which_points_come_does_not_matter(points in any_points()) {
        let mut sorted = points.clone();
        sorted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        sorted.dedup_by_key(|(at, _)| *at);
        let mut reversed = sorted.clone();
        reversed.reverse();
        prop_assert_eq!(format!("{:?}", shape(&sorted, &[])), format!("{:?}", shape(&reversed, &[])));
    }

    #[test]
    fn scale_and_level_change_nothing_but_the_values(values in proptest::collection::vec(0_u32..1000, 8..60)) {
        let plain = every(values.iter().map(|value| f(*value)));
        let scaled = every(values.iter().map(|value| 4.0 * f(*value) ));
        let (one, other) = (shape(&plain, &[]), shape(&scaled, &[]));
        prop_assert_eq!((one.drops, one.flips), (other.drops, other.flips));
        prop_assert!((one.linearity - other.linearity).abs() < 1e-6);
        prop_assert_eq!(one.change.map(|change| change.at), other.change.map(|change| change.at));
        prop_assert_eq!(one.season.map(|season| season.0), other.season.map(|season| season.0));
    }

    #[test]
    fn thinning_keeps_the_extremes_and_the_order(points in any_points()) {
        let thinned = thinned(&points);
        prop_assert!(thinned.len() <= MOST_POINTS);
        prop_assert!(thinned.windows(2).all(|two| two[0].0 < two[1].0));
        let kept = sorted(&points);
        let extreme = |values: &mut dyn Iterator<Item = f64>| values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let all = extreme(&mut kept.iter().map(|(_, value)| *value));
        prop_assert_eq!(all, extreme(&mut thinned.iter().filter_map(|(_, value)| *value)));
    }
}
