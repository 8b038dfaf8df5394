"""Runs cases live, under `goprobe capture`: see tests/lab/README.md. The verdict must be that of the recordings."""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import tomllib

import record
import world
from lab import HERE, WORK, Lab, goroot, sh

GOPROBE = pathlib.Path(os.environ.get("GOPROBE") or HERE.parents[1] / "target" / "debug" / "goprobe")
KEPT = WORK / "live"
# What a live run of a case sees otherwise than the recording of it.
LIVE = tomllib.loads((HERE / "live.toml").read_text())


def script(case, folder, step):
    """The case's commands as one: each in a fresh project, and a new one begins when the old one's connections are gone."""
    project = folder / "project"
    lines = ["first="]
    for number, extra in enumerate(case.get("runs", [{}]), 1):
        settings = "".join(f"{key}={shlex.quote(value)} " for key, value in extra.items())
        lines += [
            f"rm -rf {project}/* {folder}/modcache && mkdir -p {folder}/modcache",
            f"printf 'module lab.example/project\\n\\ngo 1.21\\n' >{project}/go.mod",
            *(f"echo {shlex.quote(line)} >>{project}/go.sum" for line in case.get("go_sum", [])),
            *([f"echo '--- step {number}: {settings}{case['command']}' >&2"] if step else []),
            f"{settings}{case['command']}",
            "status=$?; first=${first:-$status}; echo $status >>" + str(folder / "codes"),
            "tries=0; while [ $tries -lt 60 ] && [ -n \"$(ss -Htan state connected exclude time-wait)\" ]; do "
            "sleep 0.05; tries=$((tries + 1)); done; sleep 0.15",
        ]
    return "\n".join([*lines, "exit $first", ""])


def project(case, folder):
    """The project's files, and a repository of a module for those that come by git."""
    place = folder / "project"
    place.mkdir()
    (folder / "modcache").mkdir()
    (place / "go.mod").write_text("module lab.example/project\n\ngo 1.21\n")
    if "go_sum" in case:
        (place / "go.sum").write_text("".join(f"{line}\n" for line in case["go_sum"]))
    for name, text in case.get("files", {}).items():
        (place / name).write_text(text)
    programs = folder / "bin"
    programs.mkdir()
    for name, version in case.get("toolchains", {}).items():
        (programs / name).symlink_to(goroot(version) / "bin" / "go")
    os.environ["LAB_GIT"] = str(folder / "git")
    if "repository" in case:
        git = ["git", "-C", folder / "git" / case["repository"], "-c", "user.name=lab", "-c", "user.email=lab@lab.example"]
        git[2].mkdir(parents=True)
        (git[2] / "go.mod").write_text(f"module {case['command'].split()[-1].split('@')[0]}\n")
        (git[2] / "lab.go").write_text("package lab\n")
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "lab"], ["tag", "v1.0.0"]):
            sh(*git, *words)


def run(lab, case, folder, environment, answers):
    """The command of the case under `goprobe capture`, in the client."""
    runs = case.get("runs", [{}])
    if runs == [{}]:
        command = shlex.split(case["command"])
    else:
        (folder / "steps").write_text(script(case, folder, len(runs) > 1))
        command = ["sh", folder / "steps"]
    out = folder / "out"
    facts = ["--reference", answers, "--ca", folder / "root.pem"]
    options = [*case.get("options", []), "-w", out / "capture.pcapng", "-o", out / "report.json",
               "--format", "json", "--observations", *facts]
    inside = ["ip", "netns", "exec", lab.ns["client"]]
    if "user" in case:
        sh("chown", "-R", case["user"], folder)
    with contextlib.ExitStack() as beside:
        if "beside" in case:
            other = subprocess.Popen([*inside, "sh", "-c", case["beside"]], env=environment, start_new_session=True,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            beside.callback(other.wait)
            beside.callback(os.killpg, other.pid, signal.SIGKILL)
        goprobe = subprocess.Popen(
            list(map(str, [*inside, GOPROBE, "capture", "--no-probe", *options, "--", *command])), cwd=folder / "project",
            env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        if "interrupt_s" in case:
            threading.Timer(case["interrupt_s"], goprobe.send_signal, [signal.SIGINT]).start()
        said = goprobe.communicate(timeout=180)[1]
    codes = [goprobe.returncode] if runs == [{}] else [int(code) for code in (folder / "codes").read_text().split()]
    if goprobe.returncode != codes[0]:
        raise RuntimeError(f"goprobe ended with {goprobe.returncode}, go with {codes[0]}: {said}")
    return said, codes, facts


def is_of(code, selector):
    return selector in (code, code.split(".")[0])


def unmet(case, report):
    """What the case promises and the report does not keep."""
    wrong = []
    verdict = report["verdict"]
    if verdict["outcome"] != case["outcome"]:
        wrong.append(f"outcome {verdict['outcome']} instead of {case['outcome']} ({verdict['summary']})")
    found = {finding["code"] for finding in report["findings"]}
    wrong += [f"{code} is missing among {sorted(found)}" for code in case.get("expect", []) if code not in found]
    for finding in report["findings"]:
        code = finding["code"]
        if code in case.get("expect", []) or finding["severity"] in ("low", "info"):
            continue
        if any(is_of(code, selector) for selector in case.get("forbid", [])):
            wrong.append(f"{code} is forbidden: {finding['summary']}")
    causes = json.dumps([finding for finding in report["findings"] if finding["root_cause"]])
    wrong += [f"the cause does not say {words!r}" for words in case.get("words", []) if words not in causes]
    for said in report["not_assessed"]:
        if said["why"] == "encrypted":
            wrong.append(f"{said['code']} could not be assessed: the secrets are missing")
    return wrong


def again(out, facts):
    """What the kept file gives when it is analysed alone, and where that differs from what was reported at first. What lay on
    the disk is not in the file: of what was downloaded a recording alone may tell otherwise."""
    text = subprocess.run(
        list(map(str, [GOPROBE, "analyze", out / "capture.pcapng", "--format", "json", "--observations", *facts])),
        text=True, capture_output=True, timeout=60,
    ).stdout
    first, second = json.loads((out / "report.json").read_text()), json.loads(text)
    of_disk = False
    for report in (first, second):
        for key in ("mode", "started", "finished"):
            report["run"].pop(key)
        report.pop("artifacts", None)
        if (report["verdict"]["cause"] or "").startswith("artifact."):
            of_disk = True
        for key in ("findings", "not_assessed"):
            report[key] = [item for item in report[key] if not item["code"].startswith("artifact.")]
    if of_disk:
        first.pop("verdict")
    return [f"analysed again, `{key}` is otherwise" for key in first if first[key] != second.get(key)]


def run_record(file):
    """What the file says of the run: comments of its first block, the section header (pcapng section 4.1)."""
    data = file.read_bytes()
    block, at, pieces = data[: struct.unpack_from("<I", data, 4)[0]], 24, []
    while at + 4 <= len(block) - 4:
        code, length = struct.unpack_from("<HH", block, at)
        text = block[at + 4 : at + 4 + length]
        if code == 1 and text.startswith(b"goprobe run "):
            pieces.append(text.split(b" ", 3)[3])
        at += 4 + (length + 3) // 4 * 4
    return json.loads(b"".join(pieces))


def misattributed(case, kept):
    """In the client runs nothing but the command, if the case has nothing else: no connection is another program's."""
    foreign = [] if "beside" in case else run_record(kept / "capture.pcapng")["foreign"]
    return [f"{len(foreign)} connections were taken for another program's"] if foreign else []


def opened(kept, report):
    """Each TLS 1.3 session can be read, by goprobe and, without further help, by tshark where that is there."""
    done = [h for h in report["observations"]["handshakes"]
            if h["outcome"] == "completed" and h["server_version"] == "TLS 1.3"]
    closed = [h for h in done if not h["decrypted"]]
    wrong = [f"{len(closed)} TLS 1.3 sessions were not opened"] if closed else []
    # On the proxy's port tshark expects HTTP: neither TLS to the proxy itself nor SOCKS.
    observations = report["observations"]
    beyond = {h["flow"] for h in observations["handshakes"] if h["server_name"] == "proxy.corp.example"}
    beyond |= {e["flow"] for e in observations["exchanges"] if e["protocol"] == "socks"}
    done = [h for h in done if h["flow"] not in beyond]
    if done and shutil.which("tshark"):
        # Encrypted extensions come first of all that only the keys show.
        streams = subprocess.run(["tshark", "-r", kept / "capture.pcapng", "-o", "tcp.reassemble_out_of_order:TRUE",
                                  "-Y", "tls.handshake.type == 8", "-T", "fields",
                                  "-e", "tcp.stream"], text=True, capture_output=True, timeout=60).stdout.split()
        if len(set(streams)) < len({h["flow"] for h in done}):
            wrong.append(f"tshark opens {len(set(streams))} of {len(done)} TLS 1.3 sessions")
    return wrong


def commented(kept, report):
    """The packets that prove the cause say so in the file."""
    causes = [finding for finding in report["findings"] if finding["root_cause"]]
    data = (kept / "capture.pcapng").read_bytes()
    return [f"no packet says {cause['code']}" for cause in causes
            if any(item["frame"] for item in cause["evidence"]) and f"goprobe: {cause['code']}: ".encode() not in data]


def strays(case, folder):
    """What goprobe left behind, and what belongs to somebody else than who asked."""
    found = [f"{path.name} was left behind" for path in (folder / "tmp").glob("goprobe-*")]
    if "user" in case:
        root = [path for path in folder.rglob("*") if path.lstat().st_uid == 0 and path.name != "steps"]
        known = {"root.pem", "sumdb.key", "server.log", "dnsmasq.log", "path.log"}
        found += [f"{path} is root's" for path in root if path.name not in known][:3]
    return found


def live(name, case):
    case = {"outcome": "ok", "network": "", **case, **LIVE.get(name, {})}
    case.setdefault("command", f"go get {world.MODULE}")
    case.setdefault("go", record.GO_VERSION)
    if "recorder" in case or "container" in case:
        print(f"{name}: SKIPPED: it is about another recorder, or another place for it", flush=True)
        return True
    missing = [version for version in {case["go"], *case.get("toolchains", {}).values()} if not goroot(version).exists()]
    if missing:
        print(f"{name}: SKIPPED: there is no go {missing[0]}", flush=True)
        return True
    kept = KEPT / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="goprobe-lab-") as temporary:
        folder = pathlib.Path(temporary)
        for part in ("home", "gopath", "gocache", "tmp", "out"):
            (folder / part).mkdir()
        asked = record.datetime.datetime.now(record.datetime.UTC)
        project(case, folder)
        with Lab(case, folder) as lab:
            environment = record.go_environment(case, folder) | {"TMPDIR": str(folder / "tmp")}
            environment["PATH"] = f"{folder}/bin:{environment['PATH']}:{os.environ['PATH']}"
            environment = {key: value.replace("{folder}", str(folder)) for key, value in environment.items()}
            if case.get("shared_cache"):
                environment |= {"GOCACHE": str(WORK / "gocache"), "CGO_ENABLED": "1"}
            answers = folder / "reference.json"
            answers.write_text(json.dumps(record.reference(case, asked, environment["GOSUMDB"])))
            said, codes, facts = run(lab, case, folder, environment, answers)
        (kept / "stderr").write_text(said)
        for file in (folder / "root.pem", answers, folder / "out" / "capture.pcapng", folder / "out" / "report.json"):
            shutil.copyfile(file, kept / file.name)
        if codes != case.get("exits", [1]):
            raise RuntimeError(f"go ended with {codes}, not {case.get('exits', [1])}: {said}")
        report = json.loads((kept / "report.json").read_text())
        wrong = unmet(case, report) + again(folder / "out", facts) + misattributed(case, kept)
        wrong += opened(kept, report) + commented(kept, report) + strays(case, folder)
    verdict = report["verdict"]
    flows, own = report["capture"]["flows"], len(run_record(kept / "capture.pcapng")["own"])
    print(f"{name}: {verdict['outcome']} {verdict['cause'] or ''}, {report['capture']['packets']} packets, "
          f"{own} of {flows} connections seen to be its own, go ended with {codes}"
          + "".join(f"\n    {what}" for what in wrong), flush=True)
    return not wrong


def main():
    known = record.cases() | {name: case for name, case in LIVE.items() if name.startswith("live/")}
    wanted = sys.argv[1:] or list(known)
    chosen = [name for name in known if any(name == w or name.startswith(w.rstrip("/") + "/") for w in wanted)]
    if unknown := [w for w in wanted if not any(name == w or name.startswith(w.rstrip("/") + "/") for name in known)]:
        sys.exit(f"no such case: {', '.join(unknown)}\nknown: {' '.join(known)}")
    record.build_server()
    failed = []
    for name in chosen:
        try:
            held = live(name, known[name])
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            held = False
            print(f"{name}: FAILED: {error} {getattr(error, 'stderr', '') or ''}", flush=True)
        if not held:
            failed.append(name)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} live runs are judged as their cases say")
    if failed:
        sys.exit(f"otherwise: {' '.join(failed)}")


if __name__ == "__main__":
    main()
