//! A request to end, passed to every task of a process.

use tokio_util::sync::CancellationToken;

/// Tells tasks when to end. Clones share one request; a child ends with its parent, not the other way round.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that nobody has requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGTERM or SIGINT requests. Must be called within a runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let requested = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "shutting down"),
                _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "shutting down"),
            }
            requested.request();
        });
        Ok(shutdown)
    }

    /// Asks every task to end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether the end was requested.
    pub fn requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the request.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// A shutdown that ends with this one and can be requested on its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
