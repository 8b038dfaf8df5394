//! How go is set up on this machine: its environment, and what `go env` says.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::go::env::GoEnv;

/// The lines of variables that matter, without secrets.
pub(super) fn relevant(lines: &str) -> String {
    let env = GoEnv::parse(lines);
    let shown = env.keys().filter(|key| matters(key)).filter_map(|key| Some(format!("{key}={}\n", env.get(key)?)));
    shown.collect()
}

/// Whether a variable has a say in how go reaches the network.
fn matters(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.starts_with("GO") || upper.starts_with("GIT_") || upper.starts_with("SSL_CERT_") || upper.ends_with("_PROXY")
}

/// Variables as lines; those with line breaks in them are nobody's settings.
pub(super) fn as_lines(environment: &[(OsString, OsString)]) -> String {
    let pairs = environment.iter().filter_map(|(key, value)| Some((key.to_str()?, value.to_str()?)));
    pairs.filter(|(_, value)| !value.contains('\n')).map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Settings of go's that the environment alone does not tell: `go env -w` writes them into a file, and the rest have defaults. To
/// ask for all would start the C compiler.
const GO_SETTINGS: &[&str] = &[
    "GOVERSION",
    "GOPROXY",
    "GOSUMDB",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOINSECURE",
    "GOVCS",
    "GOAUTH",
    "GOFLAGS",
    "GODEBUG",
    "GOENV",
    "GOROOT",
    "GOPATH",
    "GOMODCACHE",
    "GOCACHE",
    "GOMOD",
    "GOWORK",
    "GOOS",
    "GOARCH",
    "GOTELEMETRY",
    "GO111MODULE",
];

/// What `go env` says, of the command if it is go, else of the go in the PATH. It must not fetch another toolchain for it.
pub(super) fn go_env(command: &[OsString], environment: &[(OsString, OsString)]) -> Option<String> {
    let go = command.first().filter(|program| Path::new(program).file_name() == Some("go".as_ref()));
    let go = go.map_or(OsStr::new("go"), OsString::as_os_str);
    let output = Command::new(go)
        .arg("env")
        .args(GO_SETTINGS)
        .env_clear()
        .envs(environment.iter().map(|(key, value)| (key, value)))
        // What is set for the question is not what the command ran with.
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let values = String::from_utf8(output.stdout).ok()?;
    let values: Vec<&str> = values.lines().collect();
    let pairs = (values.len() == GO_SETTINGS.len()).then(|| GO_SETTINGS.iter().zip(values))?;
    Some(pairs.map(|(name, value)| format!("{name}={value}\n")).collect())
}
