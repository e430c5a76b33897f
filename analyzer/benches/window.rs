//! Two shapes of the window's state, measured side by side.
//!
//! *ticks* is [`analyzer::window::Window`]: plain columns per scrape, from which
//! each query makes one frame. *frames* keeps each scrape as a polars frame and
//! concatenates them lazily for each query. Both decode the
//! same messages, know their series by number and end in the same polars
//! expressions.
//!
//! `cargo bench --workspace --bench window` measures 1,000, 10,000 and 50,000
//! pods: appending a scrape, answering ten policies, and the memory of a full
//! window (10 minutes of 15 s). Each memory figure is taken in a process of its
//! own, since an allocator does not give back what it once had.

#![expect(
    clippy::expect_used,
    reason = "a benchmark whose input is not sound has nothing to measure"
)]

use std::{collections::HashMap, collections::VecDeque, hint::black_box, process::Command};

use analyzer::{
    promql::{Query, evaluate},
    window::{Window, WindowConfig},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use jiff::{SignedDuration, Timestamp};
use polars::prelude::*;
use schemas::sample::{Shard, column};

#[path = "../src/window/fixture.rs"]
mod fixture;

const SIZES: [u32; 3] = [1_000, 10_000, 50_000];
const SCRAPES: i64 = 40;
const STEP_MS: i64 = 15_000;
const WHOLE: Shard = Shard { index: 0, count: 1 };
/// In the environment, asks for one memory figure and nothing else: a shape and a number of pods.
const MEMORY: &str = "WINDOW_BENCH_MEMORY";

/// What ten policies ask: the usual instants, and five that look at the whole window.
const POLICIES: [&str; 10] = [
    "memory_usage_percent",
    "cpu_usage_percent",
    "memory_usage_bytes",
    "restart_count",
    "availability",
    "avg_over_time(memory_usage_percent[10m])",
    "max_over_time(cpu_usage_cores[10m])",
    "increase(kube_pod_container_status_restarts_total[10m])",
    "deriv(memory_usage_bytes[10m])",
    "container_memory_working_set_bytes / ignoring(resource) kube_pod_container_resource_limits{resource=\"memory\"}",
];

fn at(tick: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + tick * STEP_MS).expect("a time of this century")
}

/// One scrape of so many pods; the usage differs from scrape to scrape.
fn message(pods: u32, tick: i64) -> Vec<u8> {
    let rows: Vec<fixture::Row> = (0..pods)
        .map(|pod| {
            let mut row = fixture::row(&format!("shop-{}-{pod}", pod % 997), "app");
            let wave =
                f64::from((pod * 31 + u32::try_from(tick % 1_000).unwrap_or(0) * 17) % 1_009);
            row.owner = format!("shop-{}", pod % 997);
            row.memory = Some(64e6 + wave * 1e5);
            row.cpu = Some(wave / 2e3);
            row.restarts = u32::from(pod % 50 == 0);
            row
        })
        .collect();
    fixture::scrape(&rows)
}

fn ticks(pods: u32) -> Window {
    let mut window = Window::new(WindowConfig::default());
    for tick in 0..SCRAPES {
        append(&mut window, tick, &message(pods, tick));
    }
    window
}

fn append(window: &mut Window, tick: i64, message: &[u8]) {
    window
        .append(at(tick), WHOLE, message)
        .expect("the message is sound");
    window.advance(at(tick));
}

fn ask(window: &Window, queries: &[Query]) {
    for query in queries {
        black_box(evaluate(query, window, at(SCRAPES - 1)).expect("the queries are sound"));
    }
}

/// The other shape: a frame per scrape.
#[derive(Default)]
struct Frames {
    series: HashMap<(String, String), u32>,
    scrapes: VecDeque<DataFrame>,
}

impl Frames {
    fn new(pods: u32) -> Self {
        let mut frames = Self::default();
        for tick in 0..SCRAPES {
            frames
                .append(tick, &message(pods, tick))
                .expect("the message is sound");
        }
        frames
    }

    fn append(&mut self, tick: i64, message: &[u8]) -> PolarsResult<()> {
        let mut scrape = IpcStreamReader::new(std::io::Cursor::new(message)).finish()?;
        let uids = scrape.column(column::POD_UID)?.cast(&DataType::String)?;
        let containers = scrape.column(column::CONTAINER)?.cast(&DataType::String)?;
        let mut series = Vec::with_capacity(scrape.height());
        for (uid, container) in uids.str()?.iter().zip(containers.str()?.iter()) {
            let key = (
                uid.unwrap_or_default().to_owned(),
                container.unwrap_or_default().to_owned(),
            );
            let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
            series.push(*self.series.entry(key).or_insert(next));
        }
        let rows = scrape.height();
        scrape = scrape.select([
            column::CPU_USAGE_CORES,
            column::MEMORY_USAGE_BYTES,
            column::CPU_LIMIT_CORES,
            column::MEMORY_LIMIT_BYTES,
            column::CPU_REQUEST_CORES,
            column::MEMORY_REQUEST_BYTES,
            column::RESTARTS,
            column::READY,
            column::POD_READY,
        ])?;
        scrape.with_column(Column::new("series".into(), series))?;
        scrape.with_column(Column::new(
            "time".into(),
            vec![at(tick).as_millisecond(); rows],
        ))?;
        self.scrapes.push_back(scrape);
        while self.scrapes.len() > usize::try_from(SCRAPES).unwrap_or(0) {
            self.scrapes.pop_front();
        }
        Ok(())
    }

    /// The same ten questions. Series stay numbers: their labels would be the same for both shapes.
    fn ask(&self) -> PolarsResult<()> {
        let memory = || col(column::MEMORY_USAGE_BYTES);
        let cpu = || col(column::CPU_USAGE_CORES);
        let percent = || memory() / col(column::MEMORY_LIMIT_BYTES) * lit(100.0);
        let restarts = || col(column::RESTARTS).cast(DataType::Float64);
        let seconds = || {
            (col("time") - lit(at(SCRAPES).as_millisecond())).cast(DataType::Float64) / lit(1_000.0)
        };
        let n = || len().cast(DataType::Float64);
        let rise = || restarts().last() - restarts().first();
        let ready = || col(column::POD_READY).cast(DataType::Float64);
        let slope = ((seconds() * memory()).sum() - seconds().sum() * memory().sum() / n())
            / ((seconds() * seconds()).sum() - seconds().sum() * seconds().sum() / n());
        let questions = [
            percent().last(),
            (cpu() / col(column::CPU_LIMIT_CORES) * lit(100.0)).last(),
            memory().last(),
            rise(),
            ready().sum() / n(),
            percent().mean(),
            cpu().max(),
            rise() * lit(SCRAPES),
            slope,
            (memory() / col(column::MEMORY_LIMIT_BYTES)).last(),
        ];
        for question in questions {
            let scrapes: Vec<LazyFrame> = self
                .scrapes
                .iter()
                .map(|scrape| scrape.clone().lazy())
                .collect();
            let all = concat(scrapes, UnionArgs::default())?;
            let groups = all
                .group_by_stable([col("series")])
                .agg([question.alias("value")]);
            black_box(groups.collect()?);
        }
        Ok(())
    }
}

fn queries() -> Vec<Query> {
    POLICIES
        .iter()
        .map(|text| Query::parse(text).expect("the query is sound"))
        .collect()
}

fn measure(criterion: &mut Criterion) {
    let queries = queries();
    for pods in SIZES {
        let rows = u64::from(pods) * u64::try_from(SCRAPES).unwrap_or(0);
        let next: Vec<Vec<u8>> = (0..4).map(|tick| message(pods, tick)).collect();
        let mut window = ticks(pods);
        let mut frames = Frames::new(pods);

        let mut group = criterion.benchmark_group("append");
        group
            .sample_size(20)
            .throughput(Throughput::Elements(u64::from(pods)));
        let mut tick = SCRAPES;
        group.bench_function(BenchmarkId::new("ticks", pods), |bencher| {
            bencher.iter(|| {
                append(
                    &mut window,
                    tick,
                    &next[usize::try_from(tick % 4).unwrap_or(0)],
                );
                tick += 1;
            });
        });
        group.bench_function(BenchmarkId::new("frames", pods), |bencher| {
            bencher.iter(|| {
                frames
                    .append(tick, &next[usize::try_from(tick % 4).unwrap_or(0)])
                    .expect("the message is sound");
                tick += 1;
            });
        });
        group.finish();

        let (window, frames) = (ticks(pods), Frames::new(pods));
        let mut group = criterion.benchmark_group("ten_policies");
        group
            .sample_size(10)
            .measurement_time(SignedDuration::from_secs(8).unsigned_abs())
            .throughput(Throughput::Elements(rows));
        group.bench_function(BenchmarkId::new("ticks", pods), |bencher| {
            bencher.iter(|| ask(&window, &queries));
        });
        group.bench_function(BenchmarkId::new("frames", pods), |bencher| {
            bencher.iter(|| frames.ask().expect("the questions are sound"));
        });
        group.finish();
    }
}

/// Resident memory of this process, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Prints what a full window of one shape takes, before and after it was asked the ten questions.
#[expect(clippy::print_stdout, reason = "the figure is what the process is for")]
fn print_memory(shape: &str, pods: u32) {
    // A small window of the other kind first, so that code and thread pools are there already.
    let (warm, frames) = (ticks(10), Frames::new(10));
    ask(&warm, &queries());
    frames.ask().expect("the questions are sound");
    let before = resident();
    let (held, asked) = if shape == "ticks" {
        let window = ticks(pods);
        let held = resident();
        ask(&window, &queries());
        (held, resident())
    } else {
        let frames = Frames::new(pods);
        let held = resident();
        frames.ask().expect("the questions are sound");
        (held, resident())
    };
    let (held, asked) = (held.saturating_sub(before), asked.saturating_sub(before));
    println!("memory/{shape}/{pods}: held {held} kB, after ten policies {asked} kB");
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the benchmark is for"
)]
fn memory(_criterion: &mut Criterion) {
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    for pods in SIZES {
        for shape in ["ticks", "frames"] {
            let output = Command::new(&program)
                .env(MEMORY, format!("{shape} {pods}"))
                .output();
            if let Ok(output) = output {
                println!("{}", String::from_utf8_lossy(&output.stdout).trim());
            }
        }
    }
}

criterion_group!(benches, memory, measure);

fn main() {
    let asked = std::env::var(MEMORY).ok();
    if let Some((shape, pods)) = asked.as_deref().and_then(|asked| asked.split_once(' ')) {
        print_memory(shape, pods.parse().unwrap_or(1_000));
    } else {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
