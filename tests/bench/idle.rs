//! What the programs take while nothing happens.

use std::time::Duration;

use anyhow::Result;

use crate::args::Idle;
use crate::bed::{Bed, say};
use crate::report::{conditions, scrapes};
use crate::traffic;

/// Measures, and answers with the report.
pub(crate) async fn run(idle: &Idle) -> Result<String> {
    let Idle {
        scene,
        seconds,
        warm_up,
    } = idle;
    let bed = Bed::start(scene).await?;
    let bus = bed.bus().await;
    say(&format!("warming up for {warm_up} s"));
    tokio::time::sleep(Duration::from_secs(u64::from(*warm_up))).await;
    say(&format!("measuring for {seconds} s"));
    let followed = bus.follow().await?;
    let (stored, before) = (bus.state().await?, bed.look()?);
    tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
    let (now, state) = (bed.look()?, bus.state().await?);

    let title = format!("Idle at {} pods, {} policies", scene.pods, scene.policies);
    let elapsed = now.since(&before).as_secs_f64();
    let parts = [
        now.table(&before, &title).to_string(),
        traffic::table(&stored, &state, elapsed).to_string(),
        scrapes(&followed.scrapes()),
        conditions(&bed, scene, &before, &now)?,
    ];
    Ok(parts.concat())
}
