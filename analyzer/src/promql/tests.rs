//! Queries over windows.

#![expect(
    clippy::float_cmp,
    reason = "what can be exact must be exact; close() is there for the rest"
)]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schemas::{
    cluster_event::ClusterEvent, operator::Operator, policy::EventType, sample::Shard,
    target::Target,
};

use super::{Error, Query, Trend, Vector, count_events, evaluate};
use crate::window::{
    Window, WindowConfig,
    fixture::{Row, row, scrape},
};

const WHOLE: Shard = Shard { index: 0, count: 1 };
const MIB: f64 = 1024.0 * 1024.0;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A window of one scrape per entry.
fn window(scrapes: &[(i64, Vec<Row>)]) -> Window {
    let mut window = Window::new(WindowConfig::default());
    for (seconds, rows) in scrapes {
        window.append(at(*seconds), WHOLE, &scrape(rows)).unwrap();
    }
    window
}

fn ask(text: &str, window: &Window, seconds: i64) -> Vector {
    evaluate(&Query::parse(text).unwrap(), window, at(seconds)).unwrap()
}

/// The values by pod and container.
fn values(text: &str, window: &Window, seconds: i64) -> BTreeMap<String, f64> {
    let samples = ask(text, window, seconds).samples();
    let named = samples.into_iter().map(|sample| {
        (
            format!("{}/{}", sample.labels.pod, sample.labels.container),
            sample.value,
        )
    });
    named.collect()
}

fn one(text: &str, window: &Window, seconds: i64) -> f64 {
    let samples = ask(text, window, seconds).samples();
    assert_eq!(samples.len(), 1, "{text}: {samples:?}");
    samples[0].value
}

fn close(left: f64, right: f64) -> bool {
    left == right || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}

/// One container whose memory, in bytes, was this at 0 s, 15 s, 30 s …
fn memory(values: &[f64]) -> Window {
    let scrapes = (0_i64..).zip(values).map(|(tick, value)| {
        let mut row = row("web", "app");
        row.memory = Some(*value);
        (tick * 15, vec![row])
    });
    window(&scrapes.collect::<Vec<_>>())
}

fn restarts(values: &[u32]) -> Window {
    let scrapes = (0_i64..).zip(values).map(|(tick, value)| {
        let mut row = row("web", "app");
        row.restarts = *value;
        (tick * 15, vec![row])
    });
    window(&scrapes.collect::<Vec<_>>())
}

fn warning(uid: &str, target: &str, kind: &str, seconds: i64) -> ClusterEvent {
    ClusterEvent {
        uid: uid.to_owned(),
        regarding: Target {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: target.to_owned(),
            uid: format!("uid-{target}"),
        },
        kind: "Warning".to_owned(),
        reason: "BackOff".to_owned(),
        note: String::new(),
        reporter: "kubelet".to_owned(),
        occurred_at: at(seconds),
        count: 7,
        increase: 5,
    }
}

#[test]
fn a_container_at_its_limit_reads_exactly_100() {
    let mut full = row("web", "app");
    (full.memory, full.memory_limit) = (Some(256.0 * MIB), Some(256.0 * MIB));
    (full.cpu, full.cpu_limit) = (Some(1.0), Some(1.0));
    let window = window(&[(0, vec![full])]);
    assert_eq!(one("memory_usage_percent", &window, 0), 100.0);
    assert_eq!(one("cpu_usage_percent", &window, 0), 100.0);
    let ratio = r#"container_memory_working_set_bytes / ignoring(resource)
        kube_pod_container_resource_limits{resource="memory"} * 100"#;
    assert_eq!(one(ratio, &window, 0), 100.0);
}

#[test]
fn without_a_limit_there_is_no_percentage() {
    let mut free = row("web", "app");
    (free.memory_limit, free.cpu_limit) = (None, None);
    let window = window(&[(0, vec![free])]);
    assert!(ask("memory_usage_percent", &window, 0).is_empty());
    assert!(ask("cpu_usage_percent", &window, 0).is_empty());
    assert_eq!(one("memory_usage_bytes", &window, 0), 64.0 * MIB);
}

#[test]
fn the_worst_container_speaks_for_its_pod() {
    let mut greedy = row("web", "sidecar");
    greedy.memory = Some(200.0 * MIB);
    greedy.measured = Some(at(-7).as_millisecond());
    let window = window(&[(0, vec![row("web", "app"), greedy, row("db", "app")])]);
    let vector = ask("memory_usage_percent", &window, 0);
    let high = vector.per_pod(Operator::Above);
    assert_eq!(&*high["uid-web"].labels.container, "sidecar");
    assert_eq!(high["uid-web"].value, 78.125);
    assert_eq!(high["uid-web"].sampled_at, at(-7));
    assert_eq!(vector.per_pod(Operator::Below)["uid-web"].value, 25.0);
    assert_eq!(high["uid-db"].value, 25.0);
}

#[test]
fn a_sample_stands_for_its_series_until_the_lookback_ends() {
    let window = memory(&[1.0]);
    assert_eq!(one("memory_usage_bytes", &window, 59), 1.0);
    assert!(ask("memory_usage_bytes", &window, 60).is_empty());
    assert!(ask("memory_usage_bytes", &window, -1).is_empty());
    assert_eq!(one("memory_usage_bytes offset 5m", &window, 300), 1.0);
}

#[test]
fn usage_that_is_no_longer_known_ends_the_value() {
    let mut unknown = row("web", "app");
    unknown.memory = None;
    let window = window(&[(0, vec![row("web", "app")]), (15, vec![unknown])]);
    assert!(ask("memory_usage_bytes", &window, 20).is_empty());
    assert_eq!(
        one("count_over_time(memory_usage_bytes[1m])", &window, 20),
        1.0
    );
}

#[test]
fn a_pod_that_is_gone_has_no_value() {
    let mut window = window(&[(0, vec![row("web", "app"), row("db", "app")])]);
    window.forget_pod("uid-web", at(10));
    assert_eq!(ask("memory_usage_bytes", &window, 9).len(), 2);
    assert_eq!(
        values("memory_usage_bytes", &window, 10)
            .into_keys()
            .collect::<Vec<_>>(),
        ["db/app"]
    );
    assert_eq!(
        values("restart_count", &window, 10)
            .into_keys()
            .collect::<Vec<_>>(),
        ["db/app"]
    );
}

#[test]
fn a_restart_count_is_of_the_window_and_outlives_a_reset() {
    let window = restarts(&[7, 7, 9, 1, 2]);
    // 7 to 9 are two, then the counter started again and came to 2.
    assert_eq!(one("restart_count", &window, 60), 4.0);
    assert_eq!(
        one(
            "resets(kube_pod_container_status_restarts_total[10m])",
            &window,
            60
        ),
        1.0
    );
    assert_eq!(
        one(
            "changes(kube_pod_container_status_restarts_total[10m])",
            &window,
            60
        ),
        3.0
    );
    assert!(ask("restart_count{namespace=\"other\"}", &window, 60).is_empty());
}

#[test]
fn increase_and_rate_carry_on_to_the_ends_of_the_range() {
    // 0 to 60 s in steps of 15 s, 1 each: seen are 4 in 60 s, and the range begins 15 s before.
    let window = restarts(&[10, 11, 12, 13, 14]);
    let increase = one(
        "increase(kube_pod_container_status_restarts_total[75s])",
        &window,
        60,
    );
    assert!(close(increase, 5.0), "{increase}");
    let rate = one(
        "rate(kube_pod_container_status_restarts_total[75s])",
        &window,
        60,
    );
    assert!(close(rate, 5.0 / 75.0), "{rate}");
    // From 1 on, the counter was zero 15 s before its first sample, and not earlier.
    let young = restarts(&[1, 2, 3, 4, 5]);
    let increase = one(
        "increase(kube_pod_container_status_restarts_total[10m])",
        &young,
        60,
    );
    assert!(close(increase, 4.5), "{increase}");
}

#[test]
fn a_line_is_fitted_and_carried_ahead() {
    let values: Vec<f64> = (0..20).map(|tick| 1e9 + 300.0 * f64::from(tick)).collect();
    let window = memory(&values);
    let slope = one("deriv(memory_usage_bytes[10m])", &window, 285);
    assert!(close(slope, 20.0), "{slope}");
    let ahead = one("predict_linear(memory_usage_bytes[10m], 600)", &window, 290);
    assert!(close(ahead, 1e9 + 20.0 * 890.0), "{ahead}");
    // an offset takes older samples; what is ahead is still counted from the question
    let query = "predict_linear(memory_usage_bytes[2m] offset 1m, 600)";
    let ahead = one(query, &window, 290);
    assert!(close(ahead, 1e9 + 20.0 * 890.0), "{ahead}");
    assert!(close(
        one("deriv(memory_usage_percent[10m])", &window, 285),
        2000.0 / (256.0 * MIB)
    ));
}

#[test]
fn only_a_plain_metric_has_a_trend() {
    for text in [
        "memory_usage_percent",
        "(container_cpu_usage_cores{pod=~\"web-.*\"})",
        "kube_pod_container_status_restarts_total",
    ] {
        assert_eq!(Trend::parse(text).unwrap().text(), text);
    }
    for (text, said) in [
        ("rate(cpu_usage_cores[5m])", "functions, operators"),
        ("memory_usage_percent > 5", "write a metric's name"),
        ("sum by (pod) (cpu_usage_cores)", "aggregations"),
        ("restart_count", "look at 10 minutes already"),
        ("error_rate", "look at 10 minutes already"),
        ("memory_usage_percent offset 5m", "drop the offset"),
        ("memory_usage_percnt", "did you mean memory_usage_percent?"),
        ("cpu_usage_cores[5m]", "a range of samples"),
    ] {
        let refused = Trend::parse(text).unwrap_err().to_string();
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn functions_over_time_see_the_samples_after_the_start_of_the_range() {
    let window = memory(&[8.0, 2.0, 6.0, 4.0]);
    for (function, expected) in [
        ("avg_over_time(memory_usage_bytes[45s])", 4.0),
        ("min_over_time(memory_usage_bytes[45s])", 2.0),
        ("max_over_time(memory_usage_bytes[45s])", 6.0),
        ("max_over_time(memory_usage_bytes[46s])", 8.0),
        ("sum_over_time(memory_usage_bytes[45s])", 12.0),
        ("count_over_time(memory_usage_bytes[45s])", 3.0),
        ("last_over_time(memory_usage_bytes[45s])", 4.0),
        ("present_over_time(memory_usage_bytes[45s])", 1.0),
        ("stdvar_over_time(memory_usage_bytes[45s])", 8.0 / 3.0),
        ("quantile_over_time(0.75, memory_usage_bytes[45s])", 5.0),
        (
            "quantile_over_time(2, memory_usage_bytes[45s])",
            f64::INFINITY,
        ),
        ("delta(memory_usage_bytes[45s])", 2.0 * 45.0 / 30.0),
    ] {
        let value = one(function, &window, 45);
        assert!(
            close(value, expected),
            "{function}: {value}, not {expected}"
        );
    }
}

#[test]
fn aggregations_group_by_labels() {
    let mut other = row("job", "app");
    other.owner = "batch".to_owned();
    other.memory = Some(1.0 * MIB);
    let window = window(&[(
        0,
        vec![row("a", "app"), row("a", "side"), row("b", "app"), other],
    )]);
    let owners = |text: &str| -> BTreeMap<String, f64> {
        let samples = ask(text, &window, 0).samples();
        samples
            .iter()
            .map(|sample| (sample.labels.owner_name.to_string(), sample.value))
            .collect()
    };
    let expected = BTreeMap::from([("batch".to_owned(), MIB), ("cart".to_owned(), 192.0 * MIB)]);
    assert_eq!(owners("sum by (owner_name) (memory_usage_bytes)"), expected);
    let without =
        "sum without (namespace, pod, container, node, owner_kind, qos) (memory_usage_bytes)";
    assert_eq!(owners(without), expected);
    assert_eq!(one("count(memory_usage_bytes)", &window, 0), 4.0);
    assert_eq!(one("min(memory_usage_bytes) / 1024", &window, 0), 1024.0);
    assert_eq!(one("quantile(0, memory_usage_bytes)", &window, 0), MIB);
    // the square root of what is negative is no number, and stands before all others
    let roots = "(memory_usage_bytes - 60 * 1048576) ^ 0.5";
    let largest = one(&format!("quantile(1, {roots})"), &window, 0);
    assert!(close(largest, 2048.0), "{largest}");
    assert!(one(&format!("quantile(0, {roots})"), &window, 0).is_nan());
    assert_eq!(
        values("bottomk(1, memory_usage_bytes)", &window, 0)
            .into_keys()
            .collect::<Vec<_>>(),
        ["job/app"]
    );
    assert_eq!(ask("topk(3, memory_usage_bytes)", &window, 0).len(), 3);
    // The UID goes with the pod's name, so a query that sums up the containers still names pods.
    let pods =
        ask("sum by (namespace, pod) (memory_usage_bytes)", &window, 0).per_pod(Operator::Above);
    assert_eq!(pods["uid-a"].value, 128.0 * MIB);
}

#[test]
fn operators_match_series_by_their_labels() {
    let mut idle = row("b", "app");
    idle.cpu = Some(0.0);
    let window = window(&[(0, vec![row("a", "app"), idle])]);
    assert_eq!(
        values("cpu_usage_cores > 0.1", &window, 0),
        BTreeMap::from([("a/app".to_owned(), 0.25)])
    );
    assert_eq!(
        values("0.1 < cpu_usage_cores", &window, 0),
        BTreeMap::from([("a/app".to_owned(), 0.25)])
    );
    let bools = values("cpu_usage_cores > bool 0.1", &window, 0);
    assert_eq!(
        bools,
        BTreeMap::from([("a/app".to_owned(), 1.0), ("b/app".to_owned(), 0.0)])
    );
    let over = values("memory_usage_bytes / cpu_usage_cores", &window, 0);
    assert_eq!(over["b/app"], f64::INFINITY);
    assert!(values("cpu_usage_cores / cpu_usage_cores", &window, 0)["b/app"].is_nan());
    // What is no number is above nothing, and differs from everything.
    assert_eq!(
        ask("(cpu_usage_cores / cpu_usage_cores) > 0", &window, 0).len(),
        1
    );
    assert_eq!(
        ask("(cpu_usage_cores / cpu_usage_cores) != 1", &window, 0).len(),
        1
    );
    assert_eq!(
        ask("memory_usage_bytes and cpu_usage_cores > 0.1", &window, 0).len(),
        1
    );
    assert_eq!(
        ask(
            "memory_usage_bytes unless cpu_usage_cores > 0.1",
            &window,
            0
        )
        .len(),
        1
    );
    assert_eq!(
        ask("cpu_usage_cores > 0.1 or cpu_usage_cores", &window, 0).len(),
        2
    );
    assert_eq!(
        ask("cpu_usage_cores > 0.1 or on() cpu_usage_cores", &window, 0).len(),
        1
    );
    assert_eq!(
        values("-7 % (cpu_usage_cores * 20)", &window, 0)["a/app"],
        -2.0
    );
    assert_eq!(values("-cpu_usage_cores ^ 2", &window, 0)["a/app"], -0.0625);
    let share = "cpu_usage_cores / on(namespace) memory_usage_bytes";
    let error = evaluate(&Query::parse(share).unwrap(), &window, at(0)).unwrap_err();
    assert!(
        matches!(error, Error::ManyToMany { side: "left", .. }),
        "{error}"
    );
}

#[test]
fn functions_of_one_value() {
    let window = memory(&[2.5]);
    for (text, expected) in [
        ("abs(-memory_usage_bytes)", 2.5),
        ("ceil(memory_usage_bytes)", 3.0),
        ("floor(memory_usage_bytes)", 2.0),
        ("round(memory_usage_bytes)", 3.0),
        ("round(-memory_usage_bytes)", -2.0),
        ("round(memory_usage_bytes, 2)", 2.0),
        ("clamp(memory_usage_bytes, 0, 1)", 1.0),
        ("clamp_min(memory_usage_bytes, 4)", 4.0),
        ("clamp_max(memory_usage_bytes, 4)", 2.5),
        ("(1 + 2) * 3 - 8 / 4 ^ 0.5", 5.0),
    ] {
        assert_eq!(one(text, &window, 0), expected, "{text}");
    }
    assert!(ask("clamp(memory_usage_bytes, 1, 0)", &window, 0).is_empty());
}

#[test]
fn patterns_match_all_of_a_label() {
    let window = window(&[(
        0,
        vec![row("web-1", "app"), row("web-10", "app"), row("db", "app")],
    )]);
    let pods = |matcher: &str| ask(&format!("cpu_usage_cores{{{matcher}}}"), &window, 0).len();
    assert_eq!(pods(r#"pod=~"web-1|db""#), 2);
    assert_eq!(pods(r#"pod!~"web-.*""#), 1);
    assert_eq!(pods(r#"pod!="db", namespace="shop""#), 2);
    assert_eq!(pods(r#"resource="""#), 3);
    assert_eq!(
        one(
            r#"sum(kube_pod_container_resource_limits{resource="cpu", pod="db"})"#,
            &window,
            0
        ),
        1.0
    );
    assert_eq!(
        ask("kube_pod_container_resource_requests", &window, 0).len(),
        6
    );
}

#[test]
fn availability_is_of_an_owners_pods_over_the_window() {
    let mut ill = row("b", "app");
    ill.ready = false;
    let window = window(&[
        (0, vec![row("a", "app"), row("b", "app")]),
        (15, vec![row("a", "app"), ill]),
    ]);
    let vector = ask("availability", &window, 15);
    let readings = vector.per_owner(Operator::Below);
    let (owner, reading) = readings.first_key_value().unwrap();
    assert_eq!(
        (&*owner.kind, &*owner.name, reading.value),
        ("Deployment", "cart", 75.0)
    );
    assert!(vector.per_pod(Operator::Below).is_empty());
    assert_eq!(values("kube_pod_status_ready", &window, 15)["b/"], 0.0);
}

#[test]
fn an_error_rate_is_warnings_per_minute_and_zero_for_a_quiet_pod() {
    let mut window = window(&[(0, vec![row("web", "app"), row("db", "app")])]);
    window.append_events(&[
        warning("e1", "web", "Pod", 0),
        warning("e2", "cart", "Deployment", -30),
    ]);
    let vector = ask("error_rate", &window, 30);
    let readings = vector.per_pod(Operator::Above);
    assert_eq!(readings["uid-web"].value, 0.5);
    assert_eq!(readings["uid-db"].value, 0.0);
    assert_eq!(readings["uid-cart"].value, 0.5);
    assert_eq!(&*readings["uid-cart"].labels.owner_kind, "Deployment");
    assert_eq!(one("sum by (namespace) (error_rate)", &window, 30), 1.0);
    assert_eq!(ask(r#"error_rate{pod="web"}"#, &window, 30).len(), 1);
}

#[test]
fn events_are_counted_as_they_count_themselves() {
    let mut window = window(&[]);
    window.append_events(&[
        warning("e1", "web", "Pod", 0),
        warning("e2", "web", "Pod", 60),
    ]);
    let count = |pattern: &str, kind, span: i64, seconds: i64| {
        let pattern = regex::Regex::new(pattern).unwrap();
        let span = SignedDuration::from_secs(span);
        count_events(&window, &pattern, kind, span, at(seconds))
            .get("uid-web")
            .copied()
    };
    assert_eq!(count("BackOff", None, 120, 60), Some(10));
    assert_eq!(
        count("Back|BackOff", Some(EventType::Warning), 60, 60),
        Some(5)
    );
    assert_eq!(count("Back", None, 120, 60), None);
    assert_eq!(count("BackOff", Some(EventType::Normal), 120, 60), None);
    assert_eq!(count("BackOff", None, 120, 59), Some(5));
}

#[test]
fn what_is_not_supported_is_named_with_what_to_write() {
    for (text, part) in [
        ("memory_usage_bytes[5m]", "put it into a function"),
        (
            "max_over_time(memory_usage_bytes[5m:15s])",
            "of anything but a metric with a range",
        ),
        ("memory_usage_bytes @ 5", "@ is not supported"),
        ("memory_usage_bytes offset -5m", "an offset into the future"),
        (
            "histogram_quantile(0.9, memory_usage_bytes)",
            "the function histogram_quantile",
        ),
        (
            "count_values(\"x\", memory_usage_bytes)",
            "the aggregation count_values",
        ),
        (
            "memory_usage_bytes * on(pod) group_left cpu_usage_cores",
            "group_left",
        ),
        (
            "max_over_time(restart_count[5m])",
            "a range of restart_count",
        ),
        ("\"text\"", "a text as an answer"),
        ("{pod=\"web\"}", "a selector without a metric"),
        ("memory_usage_byte", "did you mean memory_usage_bytes?"),
        ("memory_usage_bytes{pods=\"web\"}", "did you mean pod?"),
        ("sum by (job) (memory_usage_bytes)", "there is no label job"),
        ("memory_usage_bytes >", "not a PromQL query"),
        ("", "not a PromQL query"),
    ] {
        let error = Query::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn every_example_of_the_documentation_is_answered() {
    let document = include_str!("../../../docs/metrics-and-queries.md");
    let examples = document
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let window = window(&[(0, vec![row("web", "app")]), (15, vec![row("web", "app")])]);
    let mut seen = 0;
    for line in examples.unwrap().lines() {
        let text = line.split("   ").next().unwrap();
        evaluate(&Query::parse(text).unwrap(), &window, at(15)).unwrap();
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn a_query_says_how_far_it_looks_back() {
    let span = |text: &str| Query::parse(text).unwrap().span();
    assert_eq!(span("memory_usage_percent"), SignedDuration::ZERO);
    assert_eq!(
        span("increase(cpu_usage_cores[20m] offset 5m) > 3"),
        SignedDuration::from_mins(25)
    );
    assert_eq!(
        span("sum(restart_count) + rate(cpu_usage_cores[1m])"),
        SignedDuration::from_mins(10)
    );
}

#[test]
fn nesting_without_end_is_refused() {
    for text in [
        format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
        format!("{}cpu_usage_cores", "-".repeat(2000)),
        format!("cpu_usage_cores{}", "+1".repeat(1000)),
        format!("{}cpu_usage_cores{}", "abs(".repeat(400), ")".repeat(400)),
        " ".repeat(3000),
    ] {
        assert!(Query::parse(&text).is_err());
    }
}

/// Samples of a few pods at irregular instants: pod, second, restarts.
fn samples() -> impl Strategy<Value = Vec<(u8, i64, u32)>> {
    proptest::collection::vec((0_u8..4, 0_i64..40, 0_u32..6), 1..60).prop_map(|mut samples| {
        samples.sort_by_key(|(pod, tick, _)| (*tick, *pod));
        samples.dedup_by_key(|(pod, tick, _)| (*tick, *pod));
        samples
            .into_iter()
            .map(|(pod, tick, value)| (pod, tick * 15, value))
            .collect()
    })
}

fn sample_row(pod: u8, value: u32) -> Row {
    let mut row = row(&format!("pod-{pod}"), "app");
    row.restarts = value;
    row.memory = Some(f64::from(value) / 3.0 + f64::from(pod) * 1e-3);
    row
}

/// Each sample as a shard of its own, in the order given.
fn sharded(samples: &[(u8, i64, u32)]) -> Window {
    let mut window = Window::new(WindowConfig::default());
    for (pod, seconds, value) in samples {
        let shard = Shard {
            index: u32::from(*pod),
            count: 4,
        };
        window
            .append(at(*seconds), shard, &scrape(&[sample_row(*pod, *value)]))
            .unwrap();
    }
    window
}

#[test]
fn a_duration_out_of_range_is_a_syntax_error() {
    for text in [
        "restart_count offset NaN",
        "restart_count offset 1e999",
        "restart_count offset 1e30",
        "rate(restart_count[1e999])",
        "rate(restart_count[NaN])",
        "restart_count offset -1e999",
    ] {
        let error = Query::parse(text).expect_err(text);
        assert!(matches!(error, Error::Syntax { .. }), "{text}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_order_of_arrival_changes_an_answer(samples in samples(), seed: u64) {
        let mut shuffled = samples.clone();
        let mut state = seed;
        for last in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(last, usize::try_from(state >> 33).unwrap() % (last + 1));
        }
        let (one, other) = (sharded(&samples), sharded(&shuffled));
        for text in [
            "sum(memory_usage_bytes)",
            "stddev(avg_over_time(memory_usage_bytes[10m]))",
            "memory_usage_bytes / memory_usage_percent",
            "restart_count",
            "topk(2, memory_usage_bytes)",
            "deriv(memory_usage_bytes[10m])",
        ] {
            prop_assert_eq!(
                format!("{:?}", ask(text, &one, 600).samples()),
                format!("{:?}", ask(text, &other, 600).samples())
            );
        }
    }

    #[test]
    fn an_instant_value_is_the_newest_sample_within_the_lookback(samples in samples(), when in 0_i64..700) {
        let mut naive = BTreeMap::new();
        for (pod, seconds, value) in &samples {
            if *seconds <= when && *seconds > when - 60 {
                naive.insert(format!("pod-{pod}/app"), f64::from(*value));
            }
        }
        let window = sharded(&samples);
        prop_assert_eq!(values("kube_pod_container_status_restarts_total", &window, when), naive);
    }

    #[test]
    fn a_restart_count_is_the_sum_of_the_rises_and_restarts_from_zero(samples in samples()) {
        let window = sharded(&samples);
        let mut naive: BTreeMap<String, (u32, f64)> = BTreeMap::new();
        for (pod, _, value) in samples.iter().filter(|(_, seconds, _)| *seconds > 0) {
            let rise = |before: u32| f64::from(if *value >= before { value - before } else { *value });
            naive
                .entry(format!("pod-{pod}/app"))
                .and_modify(|(before, total)| (*total, *before) = (*total + rise(*before), *value))
                .or_insert((*value, 0.0));
        }
        let live = values("kube_pod_container_status_restarts_total", &window, 600);
        naive.retain(|series, _| live.contains_key(series));
        let naive: BTreeMap<String, f64> = naive.into_iter().map(|(series, (_, total))| (series, total)).collect();
        prop_assert_eq!(values("restart_count", &window, 600), naive);
    }

    #[test]
    fn no_text_panics_the_parser(text in ".{0,80}") {
        let _parsed = Query::parse(&text);
    }

    #[test]
    fn no_words_of_the_language_panic_the_parser(words in proptest::collection::vec(proptest::sample::select(vec![
        "memory_usage_bytes", "restart_count", "sum", "by", "(", ")", "[5m]", "[99999999999y]", "{", "}", "pod", "=~", "\"a{\"",
        "offset", "-1m", "[1e999]", "[NaN]", "1e19", "@", "start()", "/", "on", "ignoring", "group_left", "bool", ">", "==", "rate", "quantile_over_time",
        ",", "0.5", "NaN", "-Inf", "1e999", "or", "and", "unless", "topk", "clamp", "[5m:1m]", "^", "atan2", "-",
    ]), 0..14)) {
        if let Ok(query) = Query::parse(&words.join(" ")) {
            let _answer = evaluate(&query, &memory(&[1.0, 2.0]), at(20));
        }
    }
}
