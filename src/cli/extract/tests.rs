use std::os::unix::fs::symlink;

use ring::digest;

use super::*;
use crate::observation::HttpProtocol;
use crate::types::{FlowId, FrameNo, Moment, Timestamp};

fn exchange(url: &str) -> Exchange {
    let at = |number| Some(Moment { time: Timestamp::from_seconds(1), frame: FrameNo { file: 1, number } });
    Exchange {
        flow: FlowId(4),
        protocol: HttpProtocol::Http1,
        method: "GET".to_owned(),
        url: url.to_owned(),
        request: at(7),
        response: at(9),
        completed: None,
        credentials_sent: false,
        user_agent: None,
        status: Some(200),
        reason: String::new(),
        headers: vec![("content-encoding".to_owned(), "gzip".to_owned())],
        body_bytes: 0,
        body_head: Vec::new(),
        body_sha256: None,
        complete: false,
        error: None,
    }
}

/// Writes a whole body.
fn whole(extraction: &mut Extraction, url: &str, content: &[u8]) {
    let mut exchange = exchange(url);
    let id = extraction.begin(&exchange);
    extraction.content(id, content);
    exchange.complete = true;
    exchange.body_sha256 = digest::digest(&digest::SHA256, content).as_ref().try_into().ok();
    extraction.end(id, &exchange);
}

/// All files below a folder but the list, with their contents, in order of their names.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != MANIFEST {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push((name, String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()));
            }
        }
    }
    found.sort();
    found
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

fn list(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_whole_body_has_its_name_and_a_line_in_the_list() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("made/if/missing");
    let mut extraction = Extraction::new(&folder).unwrap();
    whole(&mut extraction, "https://proxy.test/m/@v/v1.zip", b"PK");
    let extracted = extraction.finish();
    assert!(extracted.failure.is_none());
    assert_eq!(extracted.summary, format!("extracted 1 body to {}", folder.display()));
    assert_eq!(files(&folder), [("proxy.test/m/@v/v1.zip".to_owned(), "PK".to_owned())]);
    let line = &list(&folder)[0];
    for (key, value) in [
        ("path", "proxy.test/m/@v/v1.zip"),
        ("url", "https://proxy.test/m/@v/v1.zip"),
        ("method", "GET"),
        ("content_encoding", "gzip"),
    ] {
        assert_eq!(line[key], value);
    }
    assert_eq!(line["body_sha256"].as_str().map(str::len), Some(64));
    assert_eq!((&line["flow"], &line["request_frame"], &line["request_file"]), (&4.into(), &7.into(), &1.into()));
    assert_eq!((&line["complete"], &line["holes"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn nothing_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    for run in 0..2 {
        let mut extraction = Extraction::new(root.path()).unwrap();
        for number in 0..3 {
            whole(&mut extraction, "http://h/a", format!("{run}{number}").as_bytes());
        }
        assert!(extraction.finish().failure.is_none());
    }
    let expected = [("h/a", "00"), ("h/a-2", "01"), ("h/a-3", "02"), ("h/a-4", "10"), ("h/a-5", "11"), ("h/a-6", "12")];
    let mut found = files(root.path());
    assert_eq!(found.pop().unwrap().0, "manifest.jsonl-2");
    assert!(found.iter().map(|(name, content)| (name.as_str(), content.as_str())).eq(expected), "{found:?}");
}

#[test]
fn a_file_in_the_place_of_a_folder_and_the_reverse_are_passed_by() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    for (number, url) in
        ["http://h/a", "http://h/a/b", "http://h/a/c", "http://h/d/e", "http://h/d", "http://manifest.jsonl/x"]
            .iter()
            .enumerate()
    {
        whole(&mut extraction, url, number.to_string().as_bytes());
    }
    assert!(extraction.finish().failure.is_none());
    assert_eq!(names(root.path()), ["h/a", "h/a-2/b", "h/a-2/c", "h/d-2", "h/d/e", "manifest.jsonl-2/x"]);
    assert_eq!(list(root.path())[1]["path"], "h/a-2/b");
}

#[test]
fn links_are_not_followed() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(outside.path(), root.path().join("h")).unwrap();
    fs::create_dir(root.path().join("i")).unwrap();
    symlink(&victim, root.path().join("i/victim")).unwrap();
    symlink(outside.path().join("new"), root.path().join("i/dangling")).unwrap();
    symlink(&victim, root.path().join("i/other.incomplete")).unwrap();
    symlink(&victim, root.path().join(MANIFEST)).unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    for url in ["http://h/victim", "http://i/victim", "http://i/dangling", "http://i/other"] {
        whole(&mut extraction, url, b"hostile");
    }
    assert!(extraction.finish().failure.is_none());
    assert_eq!(files(outside.path()), [("victim".to_owned(), "precious".to_owned())]);
    let hostile: Vec<_> = files(root.path()).into_iter().filter(|(_, content)| content == "hostile").collect();
    let names: Vec<_> = hostile.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["h-2/victim", "i/dangling-2", "i/other-2", "i/victim-2"]);
}

#[test]
fn a_file_that_was_replaced_by_a_link_is_not_written_to() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    let id = extraction.begin(&exchange("http://h/0"));
    extraction.content(id, b"x");
    fs::remove_file(root.path().join("h/0.incomplete")).unwrap();
    symlink(&victim, root.path().join("h/0.incomplete")).unwrap();
    extraction.content(id, &vec![b'y'; MAX_PENDING]);
    let failure = extraction.finish().failure.unwrap();
    assert!(format!("{failure:#}").contains("h/0.incomplete: somebody replaced it"), "{failure:#}");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn many_large_bodies_at_once_need_little_memory() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    let exchanges: Vec<Exchange> = (0..200).map(|n| exchange(&format!("http://h/{n:03}"))).collect();
    let ids: Vec<BodyId> = exchanges.iter().map(|exchange| extraction.begin(exchange)).collect();
    let piece = |number: usize, round: usize| format!("{number}.{round} ").repeat(1_000);
    let mut most = 0;
    for round in 0..10 {
        for (number, id) in ids.iter().enumerate() {
            extraction.content(*id, piece(number, round).as_bytes());
            let held: usize = extraction.bodies.values().map(|body| body.pending.capacity()).sum();
            assert_eq!(extraction.bodies.values().map(|body| body.pending.len()).sum::<usize>(), extraction.pending);
            most = most.max(held);
        }
    }
    assert!(most < 3 * MAX_ALL_PENDING, "{most}");
    for (id, exchange) in ids.into_iter().zip(exchanges) {
        extraction.end(id, &Exchange { complete: true, ..exchange });
    }
    assert!(extraction.finish().failure.is_none());
    assert_eq!((extraction.pending, extraction.bodies.len()), (0, 0));
    let found = files(root.path());
    assert_eq!(found.len(), 200);
    for (number, (name, content)) in found.iter().enumerate() {
        let expected: String = (0..10).map(|round| piece(number, round)).collect();
        assert!(*name == format!("h/{number:03}") && *content == expected, "{name}");
    }
}

#[test]
fn what_is_not_whole_says_so_and_empty_bodies_make_no_file() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    let cut = exchange("http://h/cut");
    let id = extraction.begin(&cut);
    extraction.content(id, b"half");
    extraction.end(id, &cut);
    let id = extraction.begin(&cut);
    extraction.hole(id, Some(9));
    extraction.end(id, &cut);
    let extracted = extraction.finish();
    assert!(extracted.summary.starts_with("extracted 1 body (1 incomplete) to "), "{}", extracted.summary);
    assert_eq!(files(root.path()), [("h/cut.incomplete".to_owned(), "half".to_owned())]);
    assert_eq!(list(root.path())[0]["path"], "h/cut.incomplete");
}

#[test]
fn what_comes_after_a_hole_stands_at_its_offset() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    let exchange = exchange("http://h/x");
    let id = extraction.begin(&exchange);
    extraction.hole(id, Some(2));
    extraction.content(id, b"ab");
    extraction.hole(id, Some(3));
    extraction.content(id, b"c");
    extraction.content(id, b"d");
    extraction.hole(id, None);
    extraction.content(id, b"never");
    extraction.end(id, &exchange);
    assert!(extraction.finish().failure.is_none());
    assert_eq!(files(root.path()), [("h/x.incomplete".to_owned(), "\0\0ab\0\0\0cd".to_owned())]);
    let holes = serde_json::json!([
        {"offset": 0, "length": 2}, {"offset": 4, "length": 3}, {"offset": 9, "length": null}
    ]);
    assert_eq!(list(root.path())[0]["holes"], holes);
}

#[test]
fn holes_make_no_file_that_is_much_larger_than_the_recording() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    for length in [1 << 60, u64::MAX, MAX_MISSING + 1] {
        let exchange = exchange("http://h/large");
        let id = extraction.begin(&exchange);
        extraction.content(id, b"a");
        extraction.hole(id, Some(length));
        extraction.content(id, b"b");
        extraction.end(id, &exchange);
    }
    let many = exchange("http://h/many");
    let id = extraction.begin(&many);
    for _ in 0..3 * MAX_HOLES {
        extraction.content(id, b"c");
        extraction.hole(id, Some(1));
    }
    extraction.end(id, &many);
    assert!(extraction.finish().failure.is_none());
    let lengths: Vec<usize> = files(root.path()).iter().map(|(_, content)| content.len()).collect();
    assert_eq!(lengths, [1, 1, 1, 2 * MAX_HOLES + 1]);
    let lines = list(root.path());
    assert_eq!(lines[0]["holes"], serde_json::json!([{"offset": 1, "length": null}]));
    assert_eq!(lines[3]["holes"].as_array().unwrap().len(), MAX_HOLES + 1);
}

#[test]
fn the_first_failure_is_kept_with_its_path_and_ends_the_writing() {
    let root = tempfile::tempdir().unwrap();
    let mut extraction = Extraction::new(root.path()).unwrap();
    whole(&mut extraction, "http://h/a", b"a");
    fs::remove_dir_all(root.path()).unwrap();
    whole(&mut extraction, "http://h/b", b"b");
    fs::create_dir(root.path()).unwrap();
    whole(&mut extraction, "http://h/c", b"c");
    let failure = extraction.finish().failure.unwrap();
    assert!(format!("{failure:#}").contains(root.path().join("h").to_str().unwrap()), "{failure:#}");
    assert!(files(root.path()).is_empty());
    let file = tempfile::NamedTempFile::new().unwrap();
    let failure = Extraction::new(file.path()).unwrap_err();
    assert!(format!("{failure:#}").contains(file.path().to_str().unwrap()), "{failure:#}");
}
