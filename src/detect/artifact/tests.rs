//! go's words about hashes and the checksum database, and words that sound alike.

use super::*;
use crate::testing::Scene;

const MISMATCH: &str = "verifying example.com/x@v1.0.0: checksum mismatch
\tdownloaded: h1:JceRbiCMZXswNpl6LQB3sDXO82DiLbFWOoFAgWMwfmM=
\tgo.sum:     h1:mXBukMvkJ2sZTwhPrLa5DuaVKDyCu6c/9BvF7n+gAn4=

SECURITY ERROR
This download does NOT match an earlier download recorded in go.sum.
";
const OF_SUMDB: &str = "go: example.com/x@v1.0.0: verifying module: checksum mismatch
\tdownloaded: h1:JceRbiCMZXswNpl6LQB3sDXO82DiLbFWOoFAgWMwfmM=
\tsum.golang.org: h1:mXBukMvkJ2sZTwhPrLa5DuaVKDyCu6c/9BvF7n+gAn4=
";

fn told(log: &str, env: &str) -> Vec<Finding> {
    let mut scene = Scene::new();
    scene.log(log).env(env);
    let mut tcp = scene.connect("142.250.74.113:443");
    scene.tls13_session(&mut tcp, "proxy.golang.org");
    assess(&scene.case(), &scene.reference).found
}

fn only(log: &str, env: &str) -> Finding {
    let mut found = told(log, env);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_mismatch_gives_both_hashes_and_who_had_the_other() {
    for (log, against) in [(MISMATCH, "go.sum"), (OF_SUMDB, "sum.golang.org")] {
        let finding = only(log, "GOPROXY=https://proxy.golang.org,direct\n");
        assert_eq!((finding.code, finding.confidence()), (Code::ArtifactChecksumMismatch, Confidence::Moderate));
        assert_eq!(finding.fault, Fault::Interference);
        let details = format!("{:?}", finding.details);
        for part in ["h1:JceRbiCM", "h1:mXBukMvk", against] {
            assert!(details.contains(part), "{part} in {details}");
        }
        assert!(finding.not_excluded.iter().any(|open| open.contains("moved")));
        assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
        assert!(finding.evidence().iter().any(|evidence| evidence.role == "connection"));
    }
}

#[test]
fn a_mismatch_straight_from_a_repository_accuses_nobody() {
    for env in ["GOPROXY=direct\n", "GOPROXY=https://proxy.golang.org\nGOPRIVATE=example.com\n"] {
        let finding = only(MISMATCH, env);
        assert_eq!((finding.fault, finding.subject.host), (Fault::Unknown, None), "{env}");
    }
}

#[test]
fn missing_lines_of_go_sum_are_no_mismatch() {
    for log in [
        "go: example.com/x@v1.0.0: missing go.sum entry; to add it:\n\tgo mod download example.com/x\n",
        "go: downloading example.com/x v1.0.0\n",
        "go: example.com/x@v1.0.0: reading https://proxy.golang.org/example.com/x/@v/v1.0.0.info: 404 Not Found\n",
    ] {
        assert!(told(log, "").is_empty(), "{log}");
    }
}

#[test]
fn a_database_out_of_reach_is_told_beside_its_cause() {
    let ask = "go: example.com/x@v1.0.0: verifying module: example.com/x@v1.0.0: ";
    let url = "https://sum.golang.org/lookup/example.com/x@v1.0.0";
    for (words, fault) in [
        (format!("Get \"{url}\": dial tcp 142.251.36.17:443: i/o timeout"), Fault::Unknown),
        (
            format!("Get \"{url}\": read tcp 192.168.1.23:5304->142.250.74.145:443: read: connection reset by peer"),
            Fault::Unknown,
        ),
        (format!("Get \"{url}\": dial tcp: lookup sum.golang.org on 192.168.1.1:53: no such host"), Fault::Unknown),
        (format!("reading {url}: 502 Bad Gateway"), Fault::Upstream),
    ] {
        let finding = only(&format!("{ask}{words}\n"), "");
        assert_eq!((finding.code, finding.fault), (Code::ArtifactSumdbUnreachable, fault), "{words}");
        assert_eq!(finding.subject.host.as_deref(), Some("sum.golang.org"));
    }
    // It was asked and does not know: a private module.
    assert!(told(&format!("{ask}reading {url}: 404 Not Found\n"), "").is_empty());
    // The same trouble with the module proxy is not the database's.
    let other = "go: example.com/x@v1.0.0: Get \"https://proxy.golang.org/example.com/x/@v/v1.0.0.info\": dial tcp 142.250.74.113:443: i/o timeout\n";
    assert!(told(other, "").is_empty());
}

#[test]
fn an_answer_with_a_foreign_signature_is_untrusted() {
    let log = "go: example.com/x@v1.0.0: verifying module: example.com/x@v1.0.0: reading tree note: note has no verifiable signatures\nnote:\ngo.sum database tree\n4\n";
    let finding = only(log, "");
    assert_eq!((finding.code, finding.confidence()), (Code::ArtifactSumdbUntrusted, Confidence::Moderate));
    let own = only(log, "GOSUMDB=sum.golang.org+100542e3+Aankc/C/EC+M+besNhyuOLSWwFV/TXqpa6dTFqdL8tTv\n");
    assert!(own.not_excluded.iter().any(|open| open.contains("GOSUMDB")));
}

#[test]
fn an_answer_that_lacks_the_version_is_untrusted() {
    let finding = only("go: example.com/x@v1.0.0: verifying module: checksum missing from sumdb response\n", "");
    assert_eq!((finding.code, finding.confidence()), (Code::ArtifactSumdbUntrusted, Confidence::Moderate));
    // What cannot be read at all may be a page.
    assert!(
        told("go: example.com/x@v1.0.0: verifying module: example.com/x@v1.0.0: malformed record data\n", "")
            .is_empty()
    );
}

#[test]
fn of_several_proxies_that_were_asked_none_is_named() {
    let host = |asked: &[(&str, &str)]| {
        let mut scene = Scene::new();
        scene.log(MISMATCH).env("GOPROXY=https://proxy.golang.org,https://goproxy.io\n");
        for (host, address) in asked {
            let mut tcp = scene.connect(address);
            scene.tls13_session(&mut tcp, host);
        }
        assess(&scene.case(), &scene.reference).found.remove(0).subject.host
    };
    let (one, other) = (("proxy.golang.org", "142.250.74.113:443"), ("goproxy.io", "5.9.80.100:443"));
    assert_eq!(host(&[one, other]), None);
    assert_eq!(host(&[other]).as_deref(), Some("goproxy.io"));
    assert_eq!(host(&[]).as_deref(), Some("proxy.golang.org"));
}

/// An answer over plain HTTP in three segments, head and two halves of the body.
fn plain(scene: &mut Scene, path: &str, body: &[u8]) -> Vec<u32> {
    let mut tcp = scene.connect("10.44.0.20:80");
    scene.open(&mut tcp);
    let request = format!("GET {path} HTTP/1.1\r\nHost: modules.corp.example\r\n\r\n");
    scene.client_sends(&mut tcp, 8, request.as_bytes());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    scene.server_sends(&mut tcp, 8, head.as_bytes());
    let (first, second) = body.split_at(body.len() / 3);
    let (second, third) = second.split_at(second.len() / 2);
    for part in [first, second, third] {
        scene.server_sends(&mut tcp, 8, part);
    }
    let exchange = scene.case().exchanges.last().unwrap().completed.unwrap().frame.number;
    (exchange - 3..=exchange).collect()
}

fn cited(finding: &Finding) -> Vec<u32> {
    let frame = |evidence: &Evidence| match &evidence.citation {
        crate::finding::Citation::Frame { at, .. } => Some(at.frame.number),
        _ => None,
    };
    finding.evidence().iter().filter_map(frame).collect()
}

#[test]
fn every_segment_of_the_body_that_does_not_match_is_cited() {
    let mut scene = Scene::new();
    scene.log(MISMATCH).env("GOPROXY=http://modules.corp.example\n");
    let wanted = plain(&mut scene, "/example.com/x/@v/v1.0.0.zip", b"PK\x03\x04 and so on");
    let other = plain(&mut scene, "/example.com/y/@v/v1.0.0.zip", b"PK\x03\x04 and so on");
    let found = assess(&scene.case(), &scene.reference).found;
    let frames = cited(&found[0]);
    assert!(wanted.iter().all(|frame| frames.contains(frame)), "{wanted:?} in {frames:?}");
    assert!(!other[1..].iter().any(|frame| frames.contains(frame)), "{other:?} in {frames:?}");
}

#[test]
fn what_cannot_be_read_is_cited_as_encrypted() {
    let finding = only(MISMATCH, "GOPROXY=https://proxy.golang.org,direct\n");
    assert!(finding.evidence().iter().any(|evidence| evidence.role == "encrypted_answer"));
    let elsewhere = only(MISMATCH, "GOPROXY=https://goproxy.io\n");
    assert!(!elsewhere.evidence().iter().any(|evidence| evidence.role == "encrypted_answer"));
}

#[test]
fn a_broken_archive_is_told_unless_it_is_none_at_all() {
    let log = "go: example.com/x@v1.0.0: zip: not a valid zip file\n";
    let told = |body: &[u8]| {
        let mut scene = Scene::new();
        scene.log(log).env("GOPROXY=http://modules.corp.example\n");
        plain(&mut scene, "/example.com/x/@v/v1.0.0.zip", body);
        assess(&scene.case(), &scene.reference).found
    };
    let found = told(b"PK\x03\x04 and so on");
    assert_eq!((found[0].code, found[0].fault), (Code::ArtifactInvalidZip, Fault::Upstream));
    assert_eq!(found[0].confidence(), Confidence::Strong);
    // A page is unexpected content, which another family tells.
    assert!(told(b"<html>Welcome</html>").is_empty());
    assert_eq!(only(log, "").confidence(), Confidence::Moderate);
    assert!(self::told(log, "GOPROXY=direct\n").is_empty());
    let rule = "example.com/x@v1.0.0/X.go: case-insensitive file name collision: \"x.go\" and \"X.go\"";
    let twins = only(&format!("go: example.com/x@v1.0.0: unzip /m/v1.0.0.zip: {rule}\n"), "");
    assert!(twins.summary.ends_with(&format!("no module zip: {rule}.")), "{}", twins.summary);
}

#[test]
fn another_place_is_advised_than_the_one_that_served_it_and_no_odd_name_goes_into_a_shell() {
    let advised = |log: &str, env: &str| only(log, env).remedy[0].command.clone().unwrap();
    let public = advised(MISMATCH, "GOPROXY=https://proxy.golang.org,direct\n");
    assert!(public.starts_with("GOPROXY=direct ") && public.ends_with(" example.com/x@v1.0.0"), "{public}");
    let company = advised(MISMATCH, "GOPROXY=https://goproxy.io\n");
    assert!(company.starts_with("GOPROXY=https://proxy.golang.org "), "{company}");
    let odd = advised(&MISMATCH.replace("example.com/x@v1.0.0", "example.com/$(id)@v1.0.0"), "");
    assert!(odd.ends_with("-json"), "{odd}");
}
