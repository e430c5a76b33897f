//! Which series are called, and which are not.

use jiff::Timestamp;
use proptest::prelude::*;
use schemas::sample::Shard;

use super::*;
use crate::{
    accepted::{Accepted, accept},
    explain,
    promql::fit,
    testing::{bounds, policy},
    window::{
        Window, WindowConfig,
        fixture::{Row, row, scrape},
    },
};

/// Seconds between scrapes.
const STEP: i64 = 15;
/// Scrapes of a lookback of 10 minutes.
const FULL: usize = 40;

fn at(tick: usize) -> Timestamp {
    let seconds = i64::try_from(tick).unwrap() * STEP;
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// `memory_usage_percent` is forecast to exceed 95, as the schema's defaults have it.
fn growing() -> Accepted {
    let policy = policy("p").predictive("memory_usage_percent", 95.0);
    accept(&policy.build(), &bounds()).unwrap()
}

fn shrinking(threshold: f64) -> Accepted {
    let mut policy = policy("p")
        .predictive("memory_usage_percent", threshold)
        .build();
    let trigger = policy.spec.triggers[0].predictive_trigger.as_mut();
    trigger.unwrap().operator = Operator::Below;
    accept(&policy, &bounds()).unwrap()
}

/// A container that uses so many percent of its limit.
fn using(pod: &str, container: &str, percent: f64) -> Row {
    Row {
        memory: Some(percent),
        memory_limit: Some(100.0),
        ..row(pod, container)
    }
}

fn window(scrapes: impl IntoIterator<Item = (usize, Vec<Row>)>) -> Window {
    let mut window = Window::new(WindowConfig {
        period: SignedDuration::from_mins(60),
        ..WindowConfig::default()
    });
    for (tick, rows) in scrapes {
        let whole = Shard { index: 0, count: 1 };
        window.append(at(tick), whole, &scrape(&rows)).unwrap();
    }
    window
}

/// One container that used so many percent at each scrape.
fn series(percents: &[f64]) -> Window {
    let scrapes = percents.iter().map(|one| vec![using("web", "app", *one)]);
    window((0..).zip(scrapes))
}

/// So many pods, whose percents are told by pod and scrape.
fn many(pods: usize, scrapes: usize, percent: impl Fn(usize, usize) -> f64) -> Window {
    window((0..scrapes).map(|tick| {
        let row = |pod: usize| using(&pod.to_string(), "app", percent(pod, tick));
        (tick, (0..pods).map(row).collect())
    }))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn values(accepted: &Accepted, window: &Window, tick: usize) -> BTreeMap<Arc<str>, Value> {
    let watched = &accepted.triggers[0];
    let Source::Trend { trend, stretch, .. } = &watched.source else {
        panic!("not a predictive trigger");
    };
    per_pod(watched, fit(trend, window, at(tick), *stretch).unwrap())
}

fn value(accepted: &Accepted, window: &Window, tick: usize) -> Value {
    values(accepted, window, tick)["uid-web"].clone()
}

fn reading(accepted: &Accepted, percents: &[f64]) -> String {
    let value = value(accepted, &series(percents), percents.len() - 1);
    explain::compared(&accepted.triggers[0], value.as_ref().ok())
}

/// The pods that are called at a scrape, each of which has a value.
fn called(accepted: &Accepted, window: &Window, tick: usize) -> Vec<String> {
    let watched = &accepted.triggers[0];
    let breaches = |value: &Value| {
        let value = value.as_ref().unwrap().value;
        watched.operator.breaches(value, watched.threshold)
    };
    let values = values(accepted, window, tick);
    assert!(!values.is_empty());
    let called = values.iter().filter(|(_, value)| breaches(value));
    called.map(|(uid, _)| uid.to_string()).collect()
}

fn is_called(accepted: &Accepted, window: &Window, tick: usize) -> bool {
    !called(accepted, window, tick).is_empty()
}

#[test]
fn linear_growth_is_called_one_horizon_ahead() {
    // 1 % a minute from 50 %: it exceeds 95 % at the 181st scrape
    let percents: Vec<f64> = (0..200).map(|tick| 50.0 + 0.25 * number(tick)).collect();
    let window = series(&percents);
    let first = (137..200).find(|tick| is_called(&growing(), &window, *tick));
    assert_eq!(first, Some(181 - FULL), "10 minutes before");
    assert_eq!(
        reading(&growing(), &percents[..=141]),
        "forecast 95.2 > 95 in 10m (R² 1.00)"
    );
    assert_eq!(
        reading(&growing(), &percents[..=60]),
        "forecast 75 not > 95 in 10m (R² 1.00)"
    );
}

#[test]
fn a_leak_with_noise_is_called_before_the_threshold() {
    let noise = [1.5, -0.8, 0.3, -1.4, 0.9, -0.5];
    let wavering = |(tick, noise): (usize, &f64)| 50.0 + 0.25 * number(tick) + noise;
    let percents: Vec<f64> = (0..160).zip(noise.iter().cycle()).map(wavering).collect();
    let window = series(&percents);
    let first = (125..160).find(|tick| is_called(&growing(), &window, *tick));
    let first = first.unwrap();
    assert!((130..150).contains(&first), "{first}");
    assert!(percents[first] < 90.0);
}

#[test]
fn shrinking_is_called_from_the_other_side() {
    let percents: Vec<f64> = (0..60).map(|tick| 90.0 - f64::from(tick)).collect();
    assert!(is_called(&shrinking(5.0), &series(&percents), 50));
    assert!(!is_called(&growing(), &series(&percents), 50));
    assert!(!is_called(&shrinking(-30.0), &series(&percents), 59));
}

#[test]
fn a_value_beyond_the_threshold_is_called_whatever_its_line_says() {
    let accepted = growing();
    assert_eq!(reading(&accepted, &[96.0]), "96 > 95 already");
    let falling: Vec<f64> = (0..40).map(|tick| 136.0 - f64::from(tick)).collect();
    assert_eq!(reading(&accepted, &falling), "97 > 95 already");
    let rising: Vec<f64> = (0..40).map(|tick| 60.0 + f64::from(tick)).collect();
    assert_eq!(
        reading(&accepted, &rising),
        "forecast 139 > 95 in 10m (R² 1.00)"
    );
}

#[test]
fn a_flat_line_stays_what_it_is() {
    assert_eq!(
        reading(&growing(), &[94.9; 80]),
        "94.9 not > 95, and no trend (R² 0.00)"
    );
}

#[test]
fn what_is_not_half_covered_is_no_trend_yet() {
    let percents: Vec<f64> = (0..20).map(|tick| 50.0 + f64::from(tick)).collect();
    assert_eq!(
        reading(&growing(), &percents),
        "69 not > 95, and no trend yet (4m45s of 10m)"
    );
    let percents: Vec<f64> = (0..21).map(|tick| 50.0 + f64::from(tick)).collect();
    assert_eq!(
        reading(&growing(), &percents),
        "forecast 110 > 95 in 10m (R² 1.00)"
    );
}

/// A leak that the metrics API measures at every so many scrapes only.
fn measured_every(scrapes: usize) -> Window {
    window((0..=FULL).map(|tick| {
        let measured = tick - tick % scrapes;
        let mut row = using("web", "app", 40.0 + number(measured));
        row.measured = Some(at(measured).as_millisecond());
        (tick, vec![row])
    }))
}

#[test]
fn a_reading_that_is_repeated_is_one_measurement() {
    let accepted = growing();
    let every_minute = value(&accepted, &measured_every(4), FULL).unwrap();
    assert_eq!(every_minute.sampled_at, at(FULL));
    // exactly the line: steps would have bent it
    assert!((every_minute.value - 120.0).abs() < 1e-9);
    let why = value(&accepted, &measured_every(8), FULL).unwrap_err();
    assert!(why.starts_with("6 measurements in 600 s"), "{why}");
}

#[test]
fn the_worst_container_speaks_for_the_pod() {
    let scrapes = (0..=FULL).map(|tick| {
        let leaky = using("web", "leaky", 20.0 + number(tick));
        (tick, vec![using("web", "full", 90.0), leaky])
    });
    let worst = value(&growing(), &window(scrapes), FULL).unwrap();
    assert_eq!(worst.container.as_deref(), Some("leaky"));
    assert!((worst.value - 100.0).abs() < 1e-9, "{worst:?}");
}

#[test]
fn a_step_is_never_called() {
    // one pod per place of the step: a line explains three quarters of it at most
    let window = many(
        2 * FULL,
        2 * FULL,
        |pod, tick| {
            if tick < pod { 20.0 } else { 90.0 }
        },
    );
    for tick in [20, FULL, 2 * FULL - 1] {
        assert_eq!(called(&growing(), &window, tick), [""; 0], "at {tick}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_sawtooth_shorter_than_the_lookback_is_never_called(
        tooth in 3_usize..=36,
        low in 10.0..60.0_f64,
        high in 61.0..94.9_f64,
    ) {
        // one pod per phase
        let window = many(tooth, FULL + 1, |pod, tick| {
            low + (high - low) * number((tick + pod) % tooth) / number(tooth)
        });
        prop_assert_eq!(called(&growing(), &window, FULL), [""; 0]);
    }

    #[test]
    fn a_flat_line_with_noise_is_never_called(
        percents in prop::collection::vec(70.0..94.9_f64, 20 * (FULL + 1)),
    ) {
        let window = many(20, FULL + 1, |pod, tick| percents[pod * (FULL + 1) + tick]);
        for tick in [20, FULL] {
            prop_assert_eq!(called(&growing(), &window, tick), [""; 0]);
        }
    }

    #[test]
    fn a_line_that_reaches_the_threshold_in_time_is_called(
        start in 10.0..60.0_f64,
        slope in 0.01..0.5_f64,
        last in 20_usize..60,
    ) {
        let percents: Vec<f64> = (0..=last).map(|tick| start + slope * number(tick)).collect();
        let due = start + slope * number(last + FULL);
        prop_assume!((due - 95.0).abs() > 1e-6);
        prop_assert_eq!(is_called(&growing(), &series(&percents), last), due > 95.0);
    }
}
