//! Real interference, recorded by other projects in the wild: `../shared/captures`. What is true of a file is known from
//! what its makers say and from its resets' IP TTLs, which `truth/` lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::run;

/// Files with forged packets: the end of the name, the codes that name it, and the IP TTLs of the forged resets.
const INJECTED: &[(&str, &[&str], &[&str])] = &[
    // The server's own packets arrive with 41 and 42. The hellos vanish; what the resets answer is the FIN seconds later.
    ("psiphon.ca_psiphon.ca_0.pcap", &["tls.sni_reset"], &["1", "2", "23", "24", "27", "28"]),
    ("psiphon.ca_psiphon.ca_1.pcap", &["tls.sni_reset"], &["1", "2", "24", "27", "28"]),
    ("psiphon.ca_psiphon.ca_2.pcap", &["tls.sni_reset"], &["1", "2", "23", "24", "27", "28"]),
    // The server's own packets arrive with 227 and 228.
    ("www.nifty.org_www.nifty.org.pcap", &["tcp.reset_injected"], &["43"]),
    // Certificates of Cisco Umbrella for foreign names.
    ("quic_reordered_frames.pcap", &["cert.interception"], &[]),
    // One reset of three has reserved bits, a sequence number of 0 and another way.
    ("rst-inject-rae.pcap", &["tcp.reset_injected"], &["46"]),
];

/// Requests for a name that nobody blocks, to the same addresses. One of these files goes on with the blocked name.
const CONTROL: &str = "example.com";

/// Files that are made up or that prove neither way: a firewall beside the server resets everything, control or not; the
/// tests of an intrusion detection carry forged packets on purpose.
const UNDECIDED: &[&str] = &["www.ft.com_www.ft.com.pcap", "with_evasion_linux.pcap", "with_evasion_windows.pcap"];

/// Codes that say that somebody interferes.
const ACCUSATIONS: &[&str] = &[
    "dns.injected_answer",
    "dns.hijacked_answer",
    "dns.forged_nxdomain",
    "dns.intercepted_resolver",
    "tcp.refusal_injected",
    "tcp.reset_injected",
    "tcp.data_injected",
    "tls.sni_reset",
    "tls.sni_blackhole",
    "tls.sni_closed",
    "tls.residual_block",
    "tls.clienthello_intolerance",
    "tls.alert_injected",
    "cert.interception",
    "http.block_page",
];

/// Prints what goprobe says of them; nothing where they are not.
pub(crate) fn print(root: &Path) -> Result<String> {
    let folder = root.join("../shared/captures");
    if !folder.is_dir() {
        return Ok("No ../shared/captures: no recordings from the wild.\n".to_owned());
    }
    let mut files: Vec<_> = fs::read_dir(folder.join("files"))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let reports = run::for_all(&files, |file| run::file(file).ok());
    let (mut lines, mut counts) = (Vec::new(), [(0_usize, 0_usize); 3]);
    let mut cited = (0, 0);
    for (file, report) in files.iter().zip(&reports) {
        let Some(report) = report else { continue };
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let short = name.rsplit("__").next().unwrap_or(&name);
        let said: Vec<String> = accusations(report);
        if UNDECIDED.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        if let Some((_, codes, ttls)) = INJECTED.iter().find(|(end, ..)| name.ends_with(end)) {
            let found = report["findings"].as_array().into_iter().flatten();
            let found: Vec<&Value> =
                found.filter(|finding| codes.iter().any(|code| finding["code"] == *code)).collect();
            counts[0].0 += usize::from(!found.is_empty());
            counts[0].1 += 1;
            let evidence: BTreeSet<u64> = found
                .iter()
                .flat_map(|finding| finding["evidence"].as_array().into_iter().flatten())
                .filter_map(|item| item["frame"].as_u64())
                .collect();
            let forged = resets(&folder.join("truth").join(format!("{name}.json")), ttls)?;
            let open: BTreeSet<u64> = forged.difference(&evidence).copied().collect();
            cited = (cited.0 + forged.len() - open.len(), cited.1 + forged.len());
            if found.is_empty() || !open.is_empty() {
                lines.push(format!(
                    "{short}: {said:?} instead of {codes:?}; {} of {} forged resets are cited, not {open:?}",
                    forged.len() - open.len(),
                    forged.len(),
                ));
            }
            continue;
        }
        let kind = if name.contains(&format!("_{CONTROL}")) { 1 } else { 2 };
        let said: Vec<String> = said
            .into_iter()
            .filter(|said| kind == 2 || !said.contains(" at ") || said.ends_with(CONTROL) || said.ends_with('?'))
            .collect();
        counts[kind].0 += usize::from(said.is_empty());
        counts[kind].1 += 1;
        if !said.is_empty() {
            lines.push(format!("{short}: accuses {said:?}"));
        }
    }
    let [found, controls, others] = counts;
    let head = format!(
        "Forged packets named in {} of {} recordings from the wild, {} of {} forged resets cited; {} of {} controls and {} of \
         {} others not accused.\n",
        found.0, found.1, cited.0, cited.1, controls.0, controls.1, others.0, others.1,
    );
    Ok(lines.into_iter().fold(head, |text, line| text + "- " + &line + "\n"))
}

fn accusations(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let findings = findings.filter(|finding| ACCUSATIONS.iter().any(|code| finding["code"] == *code));
    findings
        .map(|finding| {
            let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            format!(
                "{} ({}) at {}",
                text(&finding["code"]),
                text(&finding["confidence"]),
                text(&finding["subject"]["host"])
            )
        })
        .collect()
}

/// The frames of resets that arrived with one of these IP TTLs.
fn resets(truth: &Path, ttls: &[&str]) -> Result<BTreeSet<u64>> {
    let truth: Value = serde_json::from_slice(&fs::read(truth)?)?;
    let resets = truth["rst"].as_array().into_iter().flatten();
    let forged = resets.filter(|reset| ttls.iter().any(|ttl| reset["ttl"] == *ttl));
    Ok(forged.filter_map(|reset| reset["frame"].as_u64()).collect())
}
