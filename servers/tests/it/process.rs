//! What the system says about processes.

use std::process::Command;
use std::time::{Duration, Instant};

/// Whether a process runs. One that ended and was not waited for does not count.
pub(crate) fn runs(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// The command lines of the processes that name this text.
pub(crate) fn naming(text: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-eo", "stat=,args="]).output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output.lines().filter(|line| !line.starts_with('Z') && line.contains(text)).map(str::to_owned).collect()
}

/// Waits for something that must happen soon.
pub(crate) fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
