//! Ctrl-C while a query runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    /// Listens to the terminal's Ctrl-C from now on, which then no longer ends the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Self::listen_to([SignalKind::interrupt()])
    }

    /// Listens to these signals, which then no longer end the process.
    ///
    /// On a thread of its own: a query may keep all threads of the runtime busy, and then nobody there would hear.
    pub(crate) fn listen_to<const N: usize>(kinds: [SignalKind; N]) -> io::Result<Self> {
        let interrupt = Self::default();
        let listener = interrupt.clone();
        let (report, registered) = mpsc::channel();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return report.send(Err(error)),
            };
            runtime.block_on(async {
                let signals = match kinds.into_iter().map(signal).collect::<io::Result<Vec<Signal>>>() {
                    Ok(signals) => signals,
                    Err(error) => return report.send(Err(error)),
                };
                report.send(Ok(()))?;
                let listening = signals.into_iter().map(|mut signal| {
                    let listener = listener.clone();
                    async move {
                        while signal.recv().await.is_some() {
                            listener.raise();
                        }
                    }
                });
                futures::future::join_all(listening).await;
                Ok(())
            })
        })?;
        registered.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// Tells the process that runs this test again to be the one that is interrupted.
    const CHILD: &str = "PORTOLAN_TEST_INTERRUPTED";
    const HEARD: i32 = 7;

    #[test]
    fn ctrl_c_is_heard_while_every_thread_computes() {
        if std::env::var_os(CHILD).is_some() {
            be_interrupted();
        }
        let name = "cli::shell::interrupt::tests::ctrl_c_is_heard_while_every_thread_computes";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "yes")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("ready")));
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let started = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if started.elapsed() > Duration::from_secs(10) => {
                    child.kill().unwrap();
                    break None;
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        assert_eq!(status, Some(HEARD));
    }

    fn be_interrupted() -> ! {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let interrupt = Interrupt::listen().unwrap();
            let (busy, is_busy) = mpsc::channel();
            tokio::spawn(async move {
                busy.send(()).unwrap();
                loop {
                    std::hint::spin_loop();
                }
            });
            is_busy.recv().unwrap();
            println!("ready");
            interrupt.raised().await;
        });
        std::process::exit(HEARD);
    }
}
