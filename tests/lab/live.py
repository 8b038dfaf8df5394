"""Runs cases live, under `goprobe capture`: see tests/lab/README.md. The verdict must be that of the recordings."""

import json
import os
import pathlib
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib

import record
import world
from lab import HERE, WORK, Lab, sh

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


def run(lab, case, folder, environment, kept):
    """The command of the case under `goprobe capture`, in the client."""
    runs = case.get("runs", [{}])
    (folder / "project").mkdir()
    (folder / "modcache").mkdir()
    if runs == [{}]:
        command = case["command"].split()
        (folder / "project" / "go.mod").write_text("module lab.example/project\n\ngo 1.21\n")
        if "go_sum" in case:
            (folder / "project" / "go.sum").write_text("".join(f"{line}\n" for line in case["go_sum"]))
    else:
        (folder / "steps").write_text(script(case, folder, len(runs) > 1))
        command = ["sh", folder / "steps"]
    facts = ["--reference", kept / "reference.json", "--ca", folder / "root.pem"]
    options = [*case.get("options", []), "-w", kept / "capture.pcapng", "-o", kept / "report.json", "--format", "json", "--observations", *facts]
    done = subprocess.run(
        list(map(str, ["ip", "netns", "exec", lab.ns["client"], GOPROBE, "capture", *options, "--", *command])),
        cwd=folder / "project", env=environment, text=True, capture_output=True, timeout=180,
    )
    codes = [done.returncode] if runs == [{}] else [int(code) for code in (folder / "codes").read_text().split()]
    if done.returncode != codes[0]:
        raise RuntimeError(f"goprobe ended with {done.returncode}, go with {codes[0]}: {done.stderr}")
    return done.stderr, codes, facts


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
    for said in report["not_assessed"]:
        if said["why"] == "encrypted":
            wrong.append(f"{said['code']} could not be assessed: the secrets are missing")
    return wrong


def again(kept, facts):
    """What the kept file gives when it is analysed alone, and where that differs from what was reported at first."""
    text = subprocess.run(
        list(map(str, [GOPROBE, "analyze", kept / "capture.pcapng", "--format", "json", "--observations", *facts])),
        text=True, capture_output=True, timeout=60,
    ).stdout
    first, second = json.loads((kept / "report.json").read_text()), json.loads(text)
    for report in (first, second):
        for key in ("mode", "started", "finished"):
            report["run"].pop(key)
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


def misattributed(kept):
    """In the client runs nothing but the command: no connection is another program's."""
    foreign = run_record(kept / "capture.pcapng")["foreign"]
    return [f"{len(foreign)} connections were taken for another program's"] if foreign else []


def strays(folder):
    """What goprobe left behind in the folder for temporary files."""
    return [f"{path.name} was left behind" for path in folder.glob("goprobe-*")]


def live(name, case):
    case = case | LIVE.get(name, {})
    case.setdefault("command", f"go get {world.MODULE}")
    case.setdefault("go", record.GO_VERSION)
    kept = KEPT / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="goprobe-lab-") as temporary:
        folder = pathlib.Path(temporary)
        for part in ("home", "gopath", "gocache", "tmp"):
            (folder / part).mkdir()
        asked = record.datetime.datetime.now(record.datetime.UTC)
        with Lab(case, folder) as lab:
            environment = record.go_environment(case, folder) | {"TMPDIR": str(folder / "tmp")}
            answers = record.reference(case, asked, environment["GOSUMDB"])
            (kept / "reference.json").write_text(json.dumps(answers))
            said, codes, facts = run(lab, case, folder, environment, kept)
            (kept / "stderr").write_text(said)
        shutil.copyfile(folder / "root.pem", kept / "root.pem")
        if codes != case.get("exits", [1]):
            raise RuntimeError(f"go ended with {codes}, not {case.get('exits', [1])}: {said}")
        report = json.loads((kept / "report.json").read_text())
        wrong = unmet(case, report) + again(kept, facts) + misattributed(kept) + strays(folder / "tmp")
    verdict = report["verdict"]
    flows, own = report["capture"]["flows"], len(run_record(kept / "capture.pcapng")["own"])
    print(f"{name}: {verdict['outcome']} {verdict['cause'] or ''}, {report['capture']['packets']} packets, "
          f"{own} of {flows} connections seen to be its own, go ended with {codes}"
          + "".join(f"\n    {what}" for what in wrong), flush=True)
    return not wrong


def main():
    known = record.cases()
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
