//! `make demo`: a leak and a crash loop, noticed, healed and verified before
//! your eyes, on a real control plane.
//!
//! The servers are the test harness's; the programs are the product's, as
//! processes of their own under their own service accounts. Nothing here heals
//! anything: it makes trouble and watches.

mod args;
mod block;
mod cluster;
mod fact;
mod keep;
mod own;
mod programs;
mod report;
mod scenario;
mod scene;
mod screen;
mod servers;
mod show;
mod sources;
mod story;
mod summary;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser as _;
use runtime::shutdown::Shutdown;

use args::{Args, Node};
use scene::{About, Line};
use screen::Screen;
use servers::{NO_REAL_NODE, Refusal, Servers};
use show::Show;

/// The exit status of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    runtime::install_tls();
    // what the harness says when a server cannot be had is all there is to say
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("something went wrong");
        complain(text);
    }));
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(perform(&args)),
            Err(error) => {
                complain(&error.to_string());
                1
            }
        }
    };
    ExitCode::from(std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(1))
}

fn complain(text: &str) {
    // there is nobody left to tell when even this fails
    drop(writeln!(std::io::stderr(), "demo: {text}"));
}

/// Does everything and answers with the exit status.
async fn perform(args: &Args) -> u8 {
    let outcome = async {
        let shutdown = Shutdown::on_signals()?;
        let start = Instant::now();
        let mut screen = Screen::open(args.record.as_deref())?;
        screen.lines(&[prologue(args)], start.elapsed())?;
        let servers = match Servers::start(args).await {
            Ok(servers) => servers,
            Err(Refusal::NoRealNode(why)) => {
                complain(&format!("no real node can run here: {why}"));
                return Ok(NO_REAL_NODE);
            }
            Err(Refusal::Other(error)) => return Err(error),
        };
        if shutdown.requested() {
            return Ok(INTERRUPTED);
        }
        let mut show = Show::open(servers, screen, start);
        let status = attended(args, &mut show, &shutdown).await;
        if let Some(mut own) = show.servers.own.take() {
            complain("removing what was created on the cluster");
            drop(show.programs.take());
            own.remove(&show.servers.cluster).await?;
        }
        status
    };
    outcome.await.unwrap_or_else(|error: anyhow::Error| {
        complain(&format!("{error:#}"));
        1
    })
}

fn prologue(args: &Args) -> Line {
    let text = match (&args.kubeconfig, args.node) {
        (Some(_), _) => "a cluster of yours is asked",
        (None, Node::Simulated) => {
            "a control plane boots: etcd, kube-apiserver, controllers, scheduler, KWOK, metrics-server, nats-server"
        }
        (None, Node::Real) => "a control plane boots, and a real node joins it",
    };
    Line {
        about: About::Demo,
        text: text.to_owned(),
    }
}

/// Runs the show until it ends, is interrupted or takes too long, and tells how it went.
async fn attended(args: &Args, show: &mut Show, shutdown: &Shutdown) -> anyhow::Result<u8> {
    let left = Duration::from_secs(args.timeout).saturating_sub(show.elapsed());
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(left, show.run()) => Some(outcome),
        () = shutdown.wait() => None,
    };
    let Some(outcome) = outcome else {
        let (mut screen, _) = show.end().await?;
        screen.text("interrupted; everything is taken down")?;
        return Ok(INTERRUPTED);
    };
    let checks = show.checks();
    let whole = show.elapsed();
    let (mut screen, scene) = show.end().await?;
    screen.text(&summary::table(&scene, &checks, whole))?;
    let failed = match outcome {
        Ok(Ok(())) => checks.iter().any(|check| check.problem.is_some()),
        Ok(Err(error)) => {
            screen.text(&format!("\nThe reason: {error:#}"))?;
            true
        }
        Err(_) => {
            screen.text(&format!(
                "\nThe reason: {} s were not enough.",
                args.timeout
            ))?;
            true
        }
    };
    if failed {
        screen.text(&report::post_mortem(show, &scene))?;
    }
    if args.keep {
        screen.text(&keep::look_around(&show.servers))?;
        shutdown.wait().await;
    }
    Ok(u8::from(failed))
}
