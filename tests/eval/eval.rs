//! How far goprobe is to be trusted: runs it on every recording whose truth is known, each with and without its TLS secrets,
//! and counts. `cargo eval`; `cargo eval --write` puts the sums into README.md, `cargo eval --check` holds them against it;
//! `cargo eval FOLDER` reads other recordings of tests/lab than those in captures/.

#![expect(clippy::print_stdout, reason = "it is a program")]
#![expect(clippy::indexing_slicing, reason = "JSON of goprobe and of the truth: what is missing reads as null")]

mod judge;
mod kinds;
mod readme;
mod run;
mod tally;
mod truth;
mod wild;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Result, bail, ensure};
use goprobe::types::Timestamp;

use judge::{Judgement, judge};
use tally::{Tally, difference};
use truth::Truth;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Only what is built with this program is surely the goprobe of this source.
    if arguments.first().is_some_and(|first| first == "analyze") {
        return goprobe::cli::run(std::env::args_os());
    }
    match evaluate(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(arguments: &[String]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (write, check) = match arguments {
        [] => (false, false),
        [one] if one == "--write" => (true, false),
        [one] if one == "--check" => (false, true),
        [folder] if !folder.starts_with('-') => {
            print(folder, &judged(&truth::own(Path::new(folder))?)?);
            return Ok(());
        }
        _ => bail!("usage: cargo eval [--write|--check|FOLDER]"),
    };
    let own = judged(&truth::own(&root.join("captures"))?)?;
    let path = root.join("README.md");
    let text = fs::read_to_string(&path)?;
    let measured = measured(&own)?;
    if check {
        let kept = readme::undated(readme::block(&text, "own")?);
        ensure!(
            kept == readme::undated(&measured),
            "README.md says otherwise than what is measured: `cargo eval` shows why, `cargo eval --write` writes it.\n\n{measured}"
        );
        println!("README.md says what is measured.");
        return Ok(());
    }
    let foreign = judged(&truth::foreign(root)?)?;
    print("Our own recordings", &own);
    print("Recordings by others (../shared/scenarios)", &foreign);
    println!("## From the wild (../shared/captures)\n\n{}", wild::print(root)?);
    if write {
        let mut text = readme::with_block(&text, "own", &measured)?;
        if !foreign.is_empty() {
            text = readme::with_block(&text, "others", &self::measured(&foreign)?)?;
        }
        fs::write(&path, text)?;
    }
    Ok(())
}

/// The judgements of all recordings, each with all that was kept and again without its secrets.
fn judged(truths: &[Truth]) -> Result<Vec<Judgement>> {
    let runs: Vec<(&Truth, bool)> = truths
        .iter()
        .flat_map(|truth| [(truth, false), (truth, true)])
        .filter(|(truth, unread)| !unread || truth.has_keys())
        .collect();
    run::for_all(&runs, |(truth, unread)| Ok(judge(truth, &run::case(truth, !unread)?, *unread))).into_iter().collect()
}

fn print(title: &str, judgements: &[Judgement]) {
    if judgements.is_empty() {
        println!("## {title}: none here\n");
        return;
    }
    println!("## {title}\n\n{}\n", summary(judgements));
    let sums = Tally::of(judgements);
    println!("{}\n{}\n{}", sums.by_code(), sums.by_confidence(), sums.remarks());
    for line in judgements.iter().filter_map(difference) {
        println!("- {line}");
    }
    println!();
}

/// With the secrets that lie beside some recordings, and those again without.
fn summary(judgements: &[Judgement]) -> String {
    let row = |name, unread| Tally::of(judgements.iter().filter(|one| one.unread == unread)).summary(name);
    format!("{}\n{}\n{}", Tally::summary_head(), row("all that was kept", false), row("TLS secrets held back", true))
}

fn measured(judgements: &[Judgement]) -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the day of a measurement")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let now = Timestamp::from_seconds(i64::try_from(now)?).to_string();
    let date = now.split('T').next().unwrap_or_default();
    let sums = Tally::of(judgements);
    Ok(format!(
        "Measured on {date}:\n\n{}\n\n{}\n<details><summary>By code</summary>\n\n{}\n</details>",
        summary(judgements),
        sums.by_confidence(),
        sums.by_code()
    ))
}
