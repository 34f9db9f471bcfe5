//! Broker and engine on processors of their own, as they have where the broker is another machine.

use std::process::Command;

/// While it lives, this process has one half of the machine's processors and another process the other half.
pub(super) struct Apart {
    processors: String,
    processes: Vec<u32>,
}

impl Apart {
    /// Parts this process from another one and its children. `None` where there is only one processor, or no `taskset`.
    pub(super) fn from(other: u32) -> Option<Self> {
        let this = std::process::id();
        let processors = processors_of(this)?;
        let (theirs, ours) = processors.split_at(processors.len() / 2);
        let others = descendants(other);
        let apart = Self { processors: list(&processors), processes: [&[this], &*others].concat() };
        let is_done =
            !theirs.is_empty() && give(this, &list(ours)) && others.iter().all(|pid| give(*pid, &list(theirs)));
        is_done.then_some(apart)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for pid in &self.processes {
            give(*pid, &self.processors);
        }
    }
}

/// The numbers of the processors that a process may run on: `taskset` writes them as `0,2-4`.
fn processors_of(pid: u32) -> Option<Vec<usize>> {
    let output = Command::new("taskset").args(["-c", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut all = Vec::new();
    for part in text.trim().rsplit_once(": ")?.1.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

/// Lets all threads of a process run on these processors only.
fn give(pid: u32, processors: &str) -> bool {
    let output = Command::new("taskset").args(["-a", "-c", "-p", processors, &pid.to_string()]).output();
    output.is_ok_and(|output| output.status.success())
}

fn list(processors: &[usize]) -> String {
    processors.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A process and those that it has started.
fn descendants(of: u32) -> Vec<u32> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid.to_string()]).output();
        let children = children.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    found
}
