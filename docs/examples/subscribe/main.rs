//! Prints `KubeSkippy`'s alerts from where it left off: `cargo run -- [cluster]`

use async_nats::jetstream::{self, consumer::pull::Config};
use futures::TryStreamExt as _;

#[tokio::main]
async fn main() -> Result<(), async_nats::Error> {
    let cluster = std::env::args().nth(1).unwrap_or("default".into());
    let url = std::env::var("NATS_URL").unwrap_or("nats://127.0.0.1:4222".into());
    let context = jetstream::new(async_nats::connect(url).await?);
    let stream = context.get_stream(format!("kubeskippy-{cluster}-alerts")).await?;
    let name = "example-rust"; // the server remembers how far this name has read
    let config = Config { durable_name: Some(name.to_owned()), ..Config::default() };
    let mut alerts = stream.get_or_create_consumer(name, config).await?.messages().await?;
    while let Some(message) = alerts.try_next().await? {
        let event: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let text = |part: &str| event.pointer(part).and_then(|it| it.as_str()).unwrap_or("").to_owned();
        println!("{}  {}  {}  {}", text("/time"), text("/type"), text("/subject"), text("/data/message"));
        message.ack().await?; // only now is it read
    }
    Ok(())
}
