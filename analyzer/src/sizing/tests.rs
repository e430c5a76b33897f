use proptest::prelude::*;
use schemas::{object::Resources, policy::ResizeAction};

use super::{resize::Unsized, *};
use crate::testing::at;

const MIB: f64 = 1024.0 * 1024.0;

fn container(name: &str) -> Container {
    Container {
        namespace: "shop".into(),
        kind: "Deployment".into(),
        name: name.into(),
        container: "app".into(),
    }
}

fn usage(name: &str, second: i64, resource: Resource, value: f64) -> Usage {
    Usage {
        of: container(name),
        at: at(second),
        resource,
        value,
    }
}

fn asked(margin_percent: u32) -> Recommended {
    Recommended {
        margin_percent,
        min_samples: 1,
        ..Recommended::default()
    }
}

/// What was seen of `web`, in that order.
fn seen(resource: Resource, samples: &[(i64, f64)]) -> Sizing {
    let mut sizing = Sizing::default();
    for (second, value) in samples {
        sizing.take(usage("web", *second, resource, *value));
    }
    sizing
}

fn amount(sizing: &Sizing, resource: Resource, margin: u32) -> f64 {
    let basis = sizing.amount(&container("web"), resource, &asked(margin));
    basis.unwrap().amount
}

#[test]
fn few_samples_recommend_nothing_and_say_how_many_there_are() {
    let sizing = seen(Resource::Cpu, &[(0, 0.5), (15, 0.5)]);
    let wanted = Recommended {
        min_samples: 3,
        ..asked(15)
    };
    let of = container("web");
    let short = sizing.amount(&of, Resource::Cpu, &wanted);
    assert_eq!(short, Err(Short { samples: 2 }));
    let none = sizing.amount(&of, Resource::Memory, &wanted);
    assert_eq!(none, Err(Short { samples: 0 }));
    let other = sizing.amount(&container("other"), Resource::Cpu, &wanted);
    assert_eq!(other, Err(Short { samples: 0 }));
}

#[test]
fn a_percentile_is_the_upper_end_of_a_bucket_and_at_most_a_twentieth_too_high() {
    // nineteen of twenty samples are of half a core: one burst is not the 90th percentile
    let mut samples: Vec<_> = (0..19).map(|n| (n * 15, 0.5)).collect();
    samples.push((285, 4.0));
    let sizing = seen(Resource::Cpu, &samples);
    let basis = sizing.amount(&container("web"), Resource::Cpu, &asked(0));
    let basis = basis.unwrap();
    assert!((0.5..0.5 * 1.06).contains(&basis.percentile), "{basis:?}");
    assert!((basis.peak - 4.0).abs() < 1e-12 && (basis.amount - 4.0).abs() < 1e-12);
    assert_eq!((basis.samples, basis.since), (20, at(0)));
}

#[test]
fn memory_counts_by_the_peaks_of_hours_and_not_by_how_often_it_is_measured() {
    // twenty-three hours at 200 MiB, measured once, and one at 100 MiB, measured often
    let mut samples: Vec<_> = (0..23).map(|hour| (hour * 3600, 200.0 * MIB)).collect();
    samples.extend((0..200).map(|n| (23 * 3600 + n * 15, 100.0 * MIB)));
    let sizing = seen(Resource::Memory, &samples);
    let basis = sizing.amount(&container("web"), Resource::Memory, &asked(15));
    assert!(basis.unwrap().percentile >= 200.0 * MIB);
}

#[test]
fn what_was_seen_long_ago_counts_less_and_less() {
    let day = 24 * 3600;
    let high: Vec<_> = (0..100).map(|n| (n * 15, 2.0)).collect();
    let mut sizing = seen(Resource::Cpu, &high);
    let mut last = amount(&sizing, Resource::Cpu, 0);
    assert!(last >= 2.0);
    for days in 1..7 {
        for n in 0..100 {
            sizing.take(usage("web", days * day + n * 15, Resource::Cpu, 0.2));
        }
        let next = amount(&sizing, Resource::Cpu, 0);
        assert!(next <= last, "day {days}: {next} after {last}");
        last = next;
    }
    // after six days of equal numbers, the old ones weigh less than a tenth
    assert!((0.2..0.22).contains(&last), "{last}");
}

#[test]
fn weights_stay_finite_over_years() {
    let mut sizing = seen(Resource::Cpu, &[(0, 8.0)]);
    for year in 1..40 {
        sizing.take(usage("web", year * 365 * 24 * 3600, Resource::Cpu, 0.2));
    }
    let amount = amount(&sizing, Resource::Cpu, 0);
    assert!((0.2..0.22).contains(&amount), "{amount}");
}

#[test]
fn what_was_not_seen_for_a_week_is_forgotten() {
    let mut sizing = seen(Resource::Cpu, &[(0, 1.0)]);
    sizing.advance(at(7 * 24 * 3600));
    assert_eq!(sizing.len(), 1);
    sizing.advance(at(8 * 24 * 3600));
    assert!(sizing.is_empty());
}

#[test]
fn the_one_not_seen_for_longest_makes_room_and_one_that_lives_never_does() {
    let mut sizing = Sizing::new(2);
    sizing.take(usage("old", 0, Resource::Cpu, 1.0));
    sizing.take(usage("web", 15, Resource::Cpu, 1.0));
    sizing.take(usage("new", 15, Resource::Cpu, 1.0));
    assert_eq!(sizing.len(), 2);
    assert!(
        sizing
            .amount(&container("old"), Resource::Cpu, &asked(0))
            .is_err()
    );
    sizing.take(usage("third", 15, Resource::Cpu, 1.0));
    assert!(
        sizing
            .amount(&container("web"), Resource::Cpu, &asked(0))
            .is_ok()
    );
    assert!(
        sizing
            .amount(&container("third"), Resource::Cpu, &asked(0))
            .is_err()
    );
}

fn resources(cpu: [Option<f64>; 2], memory: [Option<f64>; 2]) -> Resources {
    Resources {
        cpu_request_cores: cpu[0],
        cpu_limit_cores: cpu[1],
        memory_request_bytes: memory[0].map(|mib| mib * MIB),
        memory_limit_bytes: memory[1].map(|mib| mib * MIB),
    }
}

/// Half a core at most, 200 MiB at most.
fn known() -> Sizing {
    let mut sizing = Sizing::default();
    for n in 0..20 {
        sizing.take(usage("web", n * 15, Resource::Cpu, 0.5));
        sizing.take(usage("web", n * 15, Resource::Memory, 200.0 * MIB));
    }
    sizing
}

fn sized(settings: &ResizeAction, resources: &Resources) -> Result<resize::Sized, Unsized> {
    let recommended = settings.recommended.as_ref().unwrap();
    resize::sized(
        (settings, recommended),
        (&container("web"), resources),
        &known(),
    )
}

fn policy(margin: u32) -> ResizeAction {
    ResizeAction {
        recommended: Some(asked(margin)),
        ..ResizeAction::default()
    }
}

fn text<'a>(amounts: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    amounts.get(name).map(String::as_str)
}

#[test]
fn a_limit_keeps_its_proportion_and_what_is_not_set_stays_so() {
    let now = resources([Some(0.25), Some(0.5)], [None, Some(128.0)]);
    let sized = sized(&policy(20), &now).unwrap();
    let action = sized.action;
    assert_eq!(action.container.as_deref(), Some("app"));
    assert_eq!(action.recommended, None);
    // 0.5 by the bucket's upper end of it, and 20 % more
    let request = schemas::quantity::parse(text(&action.requests, "cpu").unwrap()).unwrap();
    assert!((0.6..0.64).contains(&request), "{request}");
    let limit = schemas::quantity::parse(text(&action.limits, "cpu").unwrap()).unwrap();
    assert!((limit - 2.0 * request).abs() < 0.002, "{limit}");
    assert_eq!(text(&action.requests, "memory"), None);
    assert!(text(&action.limits, "memory").is_some());
    let [cpu, memory] = &sized.basis[..] else {
        panic!("{:?}", sized.basis);
    };
    assert!(
        cpu.contains("peak of 0.500") && cpu.contains("plus 20 %"),
        "{cpu}"
    );
    assert!(
        memory.contains("peak of 200.000") && memory.contains("20 samples"),
        "{memory}"
    );
}

#[test]
fn requests_equal_to_limits_stay_equal() {
    let now = resources([Some(0.25), Some(0.25)], [Some(128.0), Some(128.0)]);
    let action = sized(&policy(20), &now).unwrap().action;
    assert_eq!(action.requests, action.limits);
    assert_eq!(action.requests.len(), 2);
}

#[test]
fn the_bounds_of_the_policy_hold_and_the_maximum_is_the_last_word() {
    let now = resources([Some(0.1), None], [None, None]);
    let mut settings = policy(0);
    settings.recommended.as_mut().unwrap().minimum = [("cpu".to_owned(), "2".to_owned())].into();
    let raised = sized(&settings, &now).unwrap().action;
    assert_eq!(text(&raised.requests, "cpu"), Some("2000m"));
    settings.maximum = [("cpu".to_owned(), "300m".to_owned())].into();
    let capped = sized(&settings, &now).unwrap().action;
    assert_eq!(text(&capped.requests, "cpu"), Some("300m"));
    settings.maximum = [("cpu".to_owned(), "much".to_owned())].into();
    assert!(matches!(sized(&settings, &now), Err(Unsized::Bound(_))));
}

#[test]
fn nothing_becomes_less_unless_the_policy_says_so() {
    let now = resources([Some(4.0), None], [None, Some(4096.0)]);
    let enough = Err(Unsized::LargeEnough {
        container: "app".to_owned(),
    });
    assert_eq!(sized(&policy(15), &now), enough);
    let mut settings = policy(15);
    settings.recommended.as_mut().unwrap().allow_decrease = true;
    let action = sized(&settings, &now).unwrap().action;
    let memory = schemas::quantity::parse(text(&action.limits, "memory").unwrap()).unwrap();
    assert!((230.0 * MIB..250.0 * MIB).contains(&memory), "{memory}");
}

#[test]
fn a_container_without_amounts_gets_none_and_few_samples_are_told() {
    let bare = sized(&policy(15), &Resources::default()).unwrap_err();
    assert!(bare.to_string().contains("neither requests nor limits"));
    let mut settings = policy(15);
    settings.recommended.as_mut().unwrap().min_samples = 240;
    let now = resources([Some(0.1), None], [None, None]);
    let short = sized(&settings, &now).unwrap_err().to_string();
    assert_eq!(
        short,
        "no cpu is recommended for container app of Deployment/web yet: 20 of 240 samples"
    );
}

/// Samples of one day, in any order.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let one = (0i64..24 * 3600, prop_oneof![0.0f64..4.0, Just(0.5)]);
    prop::collection::vec(one, 1..60)
}

fn either() -> impl Strategy<Value = (Resource, f64)> {
    prop_oneof![
        Just((Resource::Cpu, 1.0)),
        Just((Resource::Memory, 256.0 * MIB))
    ]
}

proptest! {
    #[test]
    fn no_amount_is_below_the_observed_peak_plus_the_margin(
        samples in samples(), (resource, unit) in either(), margin in 0u32..400,
    ) {
        let samples: Vec<_> = samples.iter().map(|(at, value)| (*at, value * unit)).collect();
        let peak = samples.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let found = amount(&seen(resource, &samples), resource, margin);
        prop_assert!(found >= peak * (1.0 + f64::from(margin) / 100.0));
        // and no further above it than the width of a bucket
        let first = if resource == Resource::Cpu { 0.0101 } else { 1.01e7 };
        let widest = peak * 1.05 + first;
        prop_assert!(found <= widest * (1.0 + f64::from(margin) / 100.0), "{found} {widest}");
    }

    #[test]
    fn a_larger_margin_never_makes_less(
        samples in samples(), (resource, unit) in either(), one in 0u32..400, more in 0u32..400,
    ) {
        let samples: Vec<_> = samples.iter().map(|(at, value)| (*at, value * unit)).collect();
        let sizing = seen(resource, &samples);
        let (less, more) = (one.min(more), one.max(more));
        prop_assert!(amount(&sizing, resource, less) <= amount(&sizing, resource, more));
    }

    #[test]
    fn the_order_of_the_samples_of_a_day_does_not_matter(
        (samples, shuffled) in samples().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        (resource, unit) in either(),
    ) {
        let scaled = |samples: &[(i64, f64)]| -> Vec<_> {
            samples.iter().map(|(at, value)| (*at, value * unit)).collect()
        };
        let of = container("web");
        let basis = |samples: &[(i64, f64)]| seen(resource, &scaled(samples)).amount(&of, resource, &asked(15));
        prop_assert_eq!(basis(&samples), basis(&shuffled));
    }

    #[test]
    fn however_many_containers_come_no_more_are_kept_than_may_be(
        most in 1usize..20, seen in prop::collection::vec((0u8..60, 0i64..200), 1..200),
    ) {
        let mut sizing = Sizing::new(most);
        for (name, second) in seen {
            sizing.take(usage(&name.to_string(), second, Resource::Cpu, 0.1));
            prop_assert!(sizing.len() <= most);
        }
    }

    #[test]
    fn the_actuator_is_given_numbers_that_cover_the_peak(
        cpu in 0.01f64..2.0, ratio in 1.0f64..4.0, memory in 1.0f64..400.0, margin in 0u32..100,
    ) {
        let now = resources([Some(cpu), Some(cpu * ratio)], [Some(memory), Some(memory * ratio)]);
        let action = match sized(&policy(margin), &now) {
            Ok(sized) => sized.action,
            Err(error) => {
                let large = matches!(error, Unsized::LargeEnough { .. });
                prop_assert!(large, "{}", error);
                return Ok(());
            }
        };
        let factor = 1.0 + f64::from(margin) / 100.0;
        for (name, before, peak) in [("cpu", cpu, 0.5), ("memory", memory * MIB, 200.0 * MIB)] {
            let read = |amounts: &BTreeMap<String, String>, before: f64| {
                text(amounts, name).map_or(before, |text| schemas::quantity::parse(text).unwrap())
            };
            let request = read(&action.requests, before);
            let limit = read(&action.limits, before * ratio);
            let wanted = peak * factor * (1.0 - 1e-9);
            prop_assert!(request >= wanted || name == "cpu" && request >= wanted - 1e-3, "{name} {request}");
            prop_assert!(limit >= request * (1.0 - 1e-9), "{name} {limit} < {request}");
        }
    }

    #[test]
    fn nothing_that_is_measured_panics(
        values in prop::collection::vec((any::<i32>(), any::<f64>()), 0..40),
    ) {
        let mut sizing = Sizing::default();
        for (second, value) in values {
            for resource in [Resource::Cpu, Resource::Memory] {
                sizing.take(usage("web", i64::from(second), resource, value));
            }
            sizing.advance(at(i64::from(second)));
        }
    }
}
