//! Runs goprobe as users do: its command line, in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::truth::Truth;

/// What `goprobe analyze` says of a recording with all that was kept of its run, its TLS secrets only if `keys`.
pub(crate) fn case(truth: &Truth, keys: bool) -> Result<Value> {
    let mut command = analyze(&truth.recording()?)?;
    let facts = [
        ("go.stderr", "--go-log"),
        ("env.txt", "--go-env"),
        ("reference.json", "--reference"),
        ("root.pem", "--ca"),
        ("keys.log", "--keylog"),
    ];
    for (name, option) in facts {
        let file = truth.folder.join(name);
        if file.exists() && (keys || name != "keys.log") {
            command.arg(option).arg(file);
        }
    }
    if let Some(exit) =
        fs::read_to_string(truth.folder.join("go.exit")).ok().as_deref().and_then(|text| text.lines().next())
    {
        command.args(["--go-exit", exit.trim()]);
    }
    report(command).with_context(|| truth.name.clone())
}

/// What it says of all the traffic of a file.
pub(crate) fn file(path: &Path) -> Result<Value> {
    let mut command = analyze(path)?;
    command.arg("--all-traffic");
    report(command).with_context(|| path.display().to_string())
}

/// This program is goprobe, too, when its first argument says so: see `main`.
fn analyze(recording: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("analyze").arg(recording).args(["--format", "json", "-q"]).stdin(Stdio::null());
    Ok(command)
}

fn report(mut command: Command) -> Result<Value> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}: {}", output.status, stderr.trim());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Does it for all items, on all cores, and keeps their order.
pub(crate) fn for_all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((at, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((at, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
