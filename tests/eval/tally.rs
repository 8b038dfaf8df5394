//! Sums, tables, and what differs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::judge::{Judgement, Standing, Worth};

const LEVELS: [&str; 4] = ["proven", "strong", "moderate", "weak"];

/// What became of one code.
#[derive(Default)]
struct Row {
    found: usize,
    missed: usize,
    /// The same of runs whose TLS secrets were held back; `less` was found by what is left of it then.
    unread_found: usize,
    unread_less: usize,
    unread_missed: usize,
    wrong: usize,
    /// Verdicts that named it as the cause, rightly and wrongly.
    cause_right: usize,
    cause_wrong: usize,
}

/// Of so many, how many are right, open and wrong.
#[derive(Default)]
struct Count {
    right: usize,
    open: usize,
    wrong: usize,
}

impl Count {
    fn add(&mut self, standing: Option<Standing>) {
        match standing {
            Some(Standing::Right) => self.right += 1,
            Some(Standing::Open) => self.open += 1,
            Some(Standing::Wrong) => self.wrong += 1,
            None => {}
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.right + self.open + self.wrong == 0 {
            return formatter.write_str("–");
        }
        write!(formatter, "{} / {} / {}", self.right, self.open, self.wrong)
    }
}

/// The sums of a set of runs.
#[derive(Default)]
pub(crate) struct Tally {
    codes: BTreeMap<String, Row>,
    levels: BTreeMap<String, [usize; 5]>,
    unmapped: BTreeMap<String, usize>,
    runs: usize,
    outcome: Count,
    cause: Count,
    who: Count,
    quiet: (usize, usize),
    acts: (usize, usize),
    proof: (usize, usize),
}

impl Tally {
    /// Adds judgements up.
    pub(crate) fn of<'j>(judgements: impl IntoIterator<Item = &'j Judgement>) -> Self {
        let mut tally = Self::default();
        judgements.into_iter().for_each(|judgement| tally.add(judgement));
        tally
    }

    fn add(&mut self, judgement: &Judgement) {
        self.runs += 1;
        for known in &judgement.causes {
            if !known.has_code {
                *self.unmapped.entry(known.code.clone()).or_default() += 1;
                continue;
            }
            let row = self.codes.entry(known.code.clone()).or_default();
            *match (judgement.unread, known.found) {
                (false, Some(_)) => &mut row.found,
                (false, None) => &mut row.missed,
                (true, Some(Worth::Part)) => &mut row.unread_less,
                (true, Some(_)) => &mut row.unread_found,
                (true, None) => &mut row.unread_missed,
            } += 1;
        }
        for said in &judgement.said {
            self.levels.entry(said.confidence.clone()).or_default()[said.worth as usize] += 1;
            if said.worth == Worth::Wrong {
                self.codes.entry(said.code.clone()).or_default().wrong += 1;
            }
        }
        if let (Some(code), Some(standing)) = (&judgement.named, judgement.cause) {
            let row = self.codes.entry(code.clone()).or_default();
            *(if standing == Standing::Wrong { &mut row.cause_wrong } else { &mut row.cause_right }) += 1;
        }
        self.outcome.add(judgement.outcome);
        self.cause.add(judgement.cause);
        self.who.add(judgement.who);
        if judgement.causes.is_empty() {
            self.quiet.0 += usize::from(judgement.said.iter().all(|said| said.worth != Worth::Wrong));
            self.quiet.1 += 1;
        }
        for (sum, (cited, open)) in [(&mut self.acts, &judgement.acts), (&mut self.proof, &judgement.proof)] {
            sum.0 += cited;
            sum.1 += cited + open.len();
        }
    }

    /// One line for each code.
    pub(crate) fn by_code(&self) -> String {
        let mut table = "| code | found | missed | secrets held back: found | less of it | missed | wrong | as cause: right | wrong |\n\
             |---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for (code, row) in &self.codes {
            let figures = [
                row.found,
                row.missed,
                row.unread_found,
                row.unread_less,
                row.unread_missed,
                row.wrong,
                row.cause_right,
                row.cause_wrong,
            ];
            let figures = figures.map(|figure| if figure == 0 { String::new() } else { figure.to_string() });
            let _ = writeln!(table, "| `{code}` | {} |", figures.join(" | "));
        }
        table
    }

    /// How often each level of confidence was right.
    pub(crate) fn by_confidence(&self) -> String {
        let mut table =
            "| confidence | right | less than is true | consequence | wrong |\n|---|---|---|---|---|\n".to_owned();
        for level in LEVELS {
            let [right, less, consequence, _, wrong] = self.levels.get(level).copied().unwrap_or_default();
            let _ = writeln!(table, "| {level} | {right} | {less} | {consequence} | {wrong} |");
        }
        table
    }

    /// The head of the table that [`Tally::summary`] makes rows for.
    pub(crate) const fn summary_head() -> &'static str {
        "| right / left open / wrong | runs | outcome | cause | who can act | nothing wrong, nobody accused | frames of the path cited | wrong findings |\n\
         |---|---|---|---|---|---|---|---|"
    }

    /// The figures of all runs, as a row.
    pub(crate) fn summary(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {} | {} | {} of {} | {} of {} | {} |",
            self.runs,
            self.outcome,
            self.cause,
            self.who,
            self.quiet.0,
            self.quiet.1,
            self.acts.0,
            self.acts.1,
            self.levels.values().map(|worths| worths[Worth::Wrong as usize]).sum::<usize>(),
        )
    }

    /// Kinds of cause that have no code yet, and the proof that others see.
    pub(crate) fn remarks(&self) -> String {
        let mut text = String::new();
        for (kind, count) in &self.unmapped {
            let _ = writeln!(text, "{kind} ({count}) is a kind without a code in tests/eval/kinds.rs: not judged");
        }
        if self.proof.1 > 0 {
            let _ = writeln!(text, "{} of {} frames that prove it by the truth are cited.", self.proof.0, self.proof.1);
        }
        text
    }
}

/// What a report has otherwise than the truth; none if it keeps to it.
pub(crate) fn difference(judgement: &Judgement) -> Option<String> {
    let mut what = Vec::new();
    for known in judgement.causes.iter().filter(|known| known.has_code && known.found.is_none()) {
        what.push(format!("{} is missing", known.code));
    }
    for said in judgement.said.iter().filter(|said| said.worth == Worth::Wrong) {
        what.push(format!(
            "{} ({}) at {} is wrong",
            said.code,
            said.confidence,
            if said.host.is_empty() { "?" } else { &said.host }
        ));
    }
    let standings = [judgement.cause, judgement.outcome, judgement.who];
    // To leave it open is right enough where the secrets are held back.
    let differs =
        |standing: &Standing| *standing == Standing::Wrong || (*standing == Standing::Open && !judgement.unread);
    if standings.iter().flatten().any(differs) {
        what.push(format!("the verdict is: {}", judgement.verdict));
    }
    for (name, (cited, open)) in [("path", &judgement.acts), ("proof", &judgement.proof)] {
        if !open.is_empty() && !judgement.unread {
            what.push(format!("{} of {} frames of the {name} are cited, not {open:?}", cited, cited + open.len()));
        }
    }
    let secrets = if judgement.unread { " (secrets held back)" } else { "" };
    (!what.is_empty()).then(|| format!("{}{secrets}: {}", judgement.name, what.join("; ")))
}
