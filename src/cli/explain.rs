//! `goprobe explain`.

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::args::{Explain, ExplainFormat};
use super::exit::Exit;
use super::output;
use crate::diagnosis::Selector;
use crate::finding::explain::{Explanation, explain};
use crate::finding::{Code, Severity};
use crate::report::{self, Style};

pub(super) fn run(args: &Explain) -> anyhow::Result<Exit> {
    let codes = chosen(args)?;
    let data = match args.format {
        ExplainFormat::Json => format!("{:#}\n", document(&codes)),
        ExplainFormat::Markdown => markdown(&codes),
        ExplainFormat::Text => match codes.as_slice() {
            [code] if !args.all => page(*code),
            _ => list(&codes),
        },
    };
    output::deliver(&data, None)?;
    Ok(Exit::Clear)
}

fn chosen(args: &Explain) -> anyhow::Result<Vec<Code>> {
    let Some(name) = args.code.as_deref().filter(|_| !args.all) else { return Ok(Code::ALL.to_vec()) };
    match Selector::parse(name) {
        Ok(Selector::Code(code)) => Ok(vec![code]),
        Ok(Selector::Family(family)) => Ok(Code::ALL.iter().copied().filter(|code| code.family() == family).collect()),
        Err(error) => Err(match nearest(name) {
            Some(code) => anyhow!("{error} (did you mean `{}`?)", code.id()),
            None => error.into(),
        }),
    }
}

/// The one code that has the same name in another family, or the text somewhere in its own.
fn nearest(name: &str) -> Option<Code> {
    let wanted = name.rsplit('.').next().filter(|wanted| wanted.len() > 2)?;
    Code::ALL
        .iter()
        .copied()
        .find(|code| code.name() == wanted)
        .or_else(|| Code::ALL.iter().copied().find(|code| code.name().contains(wanted)))
}

fn document(codes: &[Code]) -> Value {
    let codes: Vec<Value> = codes
        .iter()
        .map(|code| {
            let sections: Map<String, Value> = explain(*code)
                .sections()
                .map(|(heading, text)| (heading.to_lowercase().replace(' ', "_"), text.into()))
                .collect();
            json!({
                "code": code.id(),
                "family": code.family(),
                "severity": word(code.severity()),
                "title": code.title(),
                "explanation": sections,
            })
        })
        .collect();
    json!({"schema": "goprobe/1", "codes": codes})
}

fn page(code: Code) -> String {
    let explanation: &Explanation = explain(code);
    let mut page = format!("{} ({})\n{}\n", code.id(), word(code.severity()), code.title());
    for (heading, text) in explanation.sections() {
        page.push('\n');
        page.push_str(heading);
        page.push('\n');
        for line in text.lines() {
            page.push_str(&report::paragraph("  ", line, Style::default()));
        }
    }
    page
}

/// The explanation of each code; before all codes a table of them.
fn markdown(codes: &[Code]) -> String {
    let mut text = if codes.len() == Code::ALL.len() { contents(codes) } else { String::new() };
    for code in codes {
        text += &format!("\n## {}\n\n{} ({})\n", code.id(), capitalized(code.title()), word(code.severity()));
        for (heading, body) in explain(*code).sections() {
            text += &format!("\n### {heading}\n\n{body}\n");
        }
    }
    text.trim_start().to_owned()
}

/// What the page of all codes begins with.
fn contents(codes: &[Code]) -> String {
    let mut text = "# Finding codes\n\nWritten by `goprobe explain --all --format markdown`; the texts are in src/finding/explain.\n\n\
        Severity is the usual one; a finding can have another.\n\n| code | severity | what it says |\n|---|---|---|\n"
        .to_owned();
    for code in codes {
        // GitHub's anchor of a heading: no dots.
        let anchor = code.id().replace('.', "");
        text += &format!("| [`{}`](#{anchor}) | {} | {} |\n", code.id(), word(code.severity()), code.title());
    }
    text
}

fn capitalized(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn list(codes: &[Code]) -> String {
    codes.iter().map(|code| format!("{:<32} {:<9} {}\n", code.id(), word(code.severity()), code.title())).collect()
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::advice::{GoVersion, switch_exists};

    fn asking(code: Option<&str>, all: bool) -> Explain {
        Explain { code: code.map(str::to_owned), all, format: ExplainFormat::Json }
    }

    #[test]
    fn all_lists_every_code_with_its_explanation() {
        let document = document(&chosen(&asking(None, true)).unwrap());
        let codes = document["codes"].as_array().unwrap();
        assert_eq!(codes.len(), Code::ALL.len());
        assert!(
            codes.iter().all(|code| code["explanation"]["what_to_do"].as_str().is_some_and(|text| !text.is_empty()))
        );
    }

    #[test]
    fn every_godebug_setting_that_is_advised_exists() {
        let newest = GoVersion::new(1, 27, 0);
        for code in Code::ALL {
            for (heading, text) in explain(*code).sections() {
                for advice in text.split("GODEBUG=").skip(1) {
                    let name = advice.split('=').next().unwrap_or_default();
                    assert!(switch_exists(name, newest), "{}: {heading}: {name}", code.id());
                }
            }
        }
    }

    #[test]
    fn the_markdown_has_a_section_for_each_code_and_a_line_that_leads_there() {
        let page = markdown(Code::ALL);
        for code in Code::ALL {
            assert_eq!(page.matches(&format!("\n## {}\n", code.id())).count(), 1, "{}", code.id());
            assert!(page.contains(&format!("[`{}`](#{})", code.id(), code.id().replace('.', ""))), "{}", code.id());
        }
    }

    #[test]
    fn a_family_is_listed_and_an_unknown_code_is_refused_with_a_guess() {
        assert_eq!(chosen(&asking(Some("capture"), false)).unwrap().len(), 6);
        let error = chosen(&asking(Some("dns.sni_reset"), false)).unwrap_err();
        assert!(error.to_string().contains("did you mean `tls.sni_reset`"), "{error}");
        assert!(chosen(&asking(Some(""), false)).is_err());
    }
}
