//! Ctrl-C while a query runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Tells whether somebody asked for the running statement to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    notify: Notify,
}

impl Interrupt {
    /// Listens to the terminal's Ctrl-C from now on, which then no longer ends the process. Must be called in a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let mut interrupts = signal(SignalKind::interrupt())?;
        let listener = interrupt.clone();
        tokio::spawn(async move {
            while interrupts.recv().await.is_some() {
                listener.raise();
            }
        });
        Ok(interrupt)
    }

    /// Asks for the running statement to stop.
    pub(crate) fn raise(&self) {
        self.inner.asked.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    /// Forgets what was asked before.
    pub(crate) fn reset(&self) {
        self.inner.asked.store(false, Ordering::SeqCst);
    }

    /// Whether somebody asked since the last reset.
    pub(crate) fn is_raised(&self) -> bool {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks, if nobody did since the last reset.
    pub(crate) async fn raised(&self) {
        let mut notified = std::pin::pin!(self.inner.notify.notified());
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}
