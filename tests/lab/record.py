"""Records the cases that are named (all without a name): see tests/lab/README.md."""

import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import tomllib

import world
from lab import HERE, SERVER, WORK, Lab, goroot, sh, until

CAPTURES = HERE.parents[1] / "captures"
LIMIT = 100 * 1024
GO_VERSION = "1.27.3"


def cases():
    """All cases by family/name, in the order of the files."""
    found = {}
    for file in sorted((HERE / "cases").glob("*.toml")):
        for name, case in tomllib.loads(file.read_text()).items():
            found[f"{file.stem}/{name}"] = case
    return found


def build_server():
    environment = {**os.environ, "GOCACHE": str(WORK / "gocache"), "GOENV": "off", "GOTOOLCHAIN": "local",
                   "GOTELEMETRY": "off", "GOPROXY": "off", "GOFLAGS": ""}
    sh(goroot(GO_VERSION) / "bin" / "go", "build", "-o", SERVER, ".", cwd=HERE / "server", env=environment)


def go_environment(case, folder):
    root = goroot(case["go"])
    environment = {
        "CGO_ENABLED": "0",
        "GOCACHE": f"{folder}/gocache",
        "GOENV": "off",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": f"{folder}/modcache",
        "GOPATH": f"{folder}/gopath",
        "GOPROXY": "https://proxy.golang.org,direct",
        "GOROOT": str(root),
        "GOSUMDB": "off",
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        "HOME": f"{folder}/home",
        "LANG": "C",
        "PATH": f"{root}/bin:/usr/bin:/bin",
        "SSL_CERT_DIR": "/nonexistent",
        "SSL_CERT_FILE": f"{folder}/root.pem",
        "TMPDIR": str(folder),
    }
    if case.get("sumdb"):
        environment["GOSUMDB"] = " ".join([(folder / "sumdb.key").read_text(), *case.get("sumdb_url", "").split()])
    if case.get("trusts_appliance"):
        environment["SSL_CERT_FILE"] = f"{folder}/appliance.pem"
    if case.get("git_trusts"):
        environment["GIT_SSL_CAINFO"] = environment["SSL_CERT_FILE"]
    return environment | case.get("env", {})


def scrub(text, case, folder):
    """Replaces the paths of this machine."""
    return text.replace(str(goroot(case["go"])), "/usr/local/go").replace(str(folder), "/lab")


def frames_in(capture):
    return frames_of(capture.read_bytes() if capture.exists() else b"")


def frames_of(data):
    """The packets of a pcap file that is perhaps still written to: the whole ones so far."""
    at, frames = 24, []
    while at + 16 <= len(data):
        start, at = at + 16, at + 16 + struct.unpack_from("<I", data, at + 8)[0]
        if at <= len(data):
            frames.append(data[start:at])
    return frames


def numbers(frames, wanted):
    """Where the wanted frames (hexadecimal) are among the frames, from 1 on as Wireshark counts; each is found once."""
    left = collections.Counter(bytes.fromhex(frame) for frame in wanted)
    found = []
    for number, frame in enumerate(frames, 1):
        if left[frame] > 0:
            left[frame] -= 1
            found.append(number)
    return found


class Recorder:
    """tcpdump beside the go command, in good order or as the case's `recorder` says: `late` (it starts when so many of the
    client's frames have passed), `stopped` (it does not run between these two numbers of frames, so that the kernel's buffer
    overflows), `disk_kb` (the disk is full then), `killed` (it dies with what it has not yet written)."""

    def __init__(self, lab, case, capture):
        self.lab = lab
        self.troubles = case.get("recorder", {})
        self.start_at = self.troubles.get("late", 0)
        self.stop_at, self.go_on_at = self.troubles.get("stopped", (math.inf, math.inf))
        if "disk_kb" in self.troubles:
            sh("mount", "-t", "tmpfs", "-o", f"size={self.troubles['disk_kb']}k", "tmpfs", capture.parent)
            lab.exit.callback(sh, "umount", capture.parent)
        # What a recorder writes at once is not lost when it is killed. The buffer has a slot of 256 KiB for each packet.
        at_once = [] if "killed" in self.troubles else ["-U"]
        self.command = ["tcpdump", *at_once, "--immediate-mode", "-B", "65536", "-Z", "root", "-w", capture,
                        *case.get("tcpdump", ["-i", lab.link])]
        self.process = None
        self.watch()

    def watch(self):
        """Does what is due; to be called often where there is trouble."""
        if not self.process:
            if self.start_at and self.lab.ask_path("state")["client_frames"] < self.start_at:
                return
            self.process = self.lab.start("client", self.command, "listening on")
        if self.stop_at < math.inf:
            frames = self.lab.ask_path("state")["client_frames"]
            if frames >= self.stop_at:
                self.process.send_signal(signal.SIGSTOP)
                self.stop_at = math.inf
        elif self.go_on_at < math.inf and self.lab.ask_path("state")["client_frames"] >= self.go_on_at:
            self.process.send_signal(signal.SIGCONT)
            self.go_on_at = math.inf

    def end(self):
        if self.go_on_at < math.inf:
            self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGKILL if "killed" in self.troubles else signal.SIGINT)
        self.process.wait(5)


def run_go(lab, case, folder, recorder):
    """Runs the case's commands in the client; gives what go printed and its exit codes."""
    project = folder / "project"
    runs = case.get("runs", [{}])
    said, codes = "", []
    for number, extra in enumerate(runs, 1):
        for fresh in (project, folder / "modcache"):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
        (project / "go.mod").write_text("module lab.example/project\n\ngo 1.21\n")
        if "go_sum" in case:
            (project / "go.sum").write_text("".join(f"{line}\n" for line in case["go_sum"]))
        settings = dict(extra)
        other = case | {"go": settings.pop("go", case["go"])}
        with open(folder / "said", "w+") as output:
            go = subprocess.Popen(["ip", "netns", "exec", lab.ns[lab.at], *case["command"].split()], cwd=project,
                                  env=go_environment(other, folder) | settings, stdout=subprocess.DEVNULL, stderr=output)
            if "recorder" in case:
                until(lambda: recorder.watch() or go.poll() is not None, 120)
            go.wait(120)
            printed = (folder / "said").read_text()
        if len(runs) > 1:
            settings = "".join(f"{key}={value} " for key, value in extra.items())
            said += f"--- step {number}: {settings}{case['command']}\n"
        said += printed
        codes.append(go.returncode)
        lab.wait_for_quiet()
    return said, codes


def record(name, case):
    case.setdefault("command", f"go get {world.MODULE}")
    with tempfile.TemporaryDirectory(prefix="goprobe-lab-") as temporary:
        folder = pathlib.Path(temporary)
        for part in ("home", "gopath", "gocache"):
            (folder / part).mkdir()
        capture = folder / "recorded" / "capture.pcap"
        capture.parent.mkdir()
        asked = datetime.datetime.now(datetime.UTC)
        with Lab(case, folder) as lab:
            recorder = Recorder(lab, case, capture)
            before = lab.ask_path("state")["client_frames"]
            said, codes = run_go(lab, case, folder, recorder)
            state = lab.ask_path("state")
            # A filter or a failing recorder records fewer frames; what goes over loopback makes more.
            wanted = 1 if "tcpdump" in case or "recorder" in case else state["client_frames"] - before
            if not until(lambda: len(frames_in(capture)) >= wanted, 3):
                raise RuntimeError(f"{name}: {len(frames_in(capture))} frames recorded of {wanted}")
            interference = lab.ask_path("interference")
            recorder.end()
            recorded = capture.read_bytes()
        check(name, case, recorded, said, codes)
        frames = frames_of(recorded)
        touched = {kind: numbers(frames, packets) for kind, packets in interference.items()}
        write(name, case, folder, recorded, scrub(said, case, folder), codes, asked, touched)
    print(f"{name}: {len(frames)} frames, {capture_of(name).stat().st_size} bytes, go exited with {codes}", flush=True)


def check(name, case, recorded, said, codes):
    """A recording that is not what its case says is not kept."""
    wanted = case.get("exits", [1])
    if codes != wanted:
        raise RuntimeError(f"{name}: go exited with {codes}, not {wanted}: {said}")
    if not re.search(case.get("says", ""), said):
        raise RuntimeError(f"{name}: go did not say {case['says']!r}: {said}")
    if len(recorded) > LIMIT:
        raise RuntimeError(f"{name}: {len(recorded)} bytes are too many")


def capture_of(name):
    return CAPTURES / name / "capture.pcap"


def write(name, case, folder, recorded, said, codes, asked, touched):
    target = CAPTURES / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(folder / "root.pem", target / "root.pem")
    (target / "capture.pcap").write_bytes(recorded)
    if case.get("keys"):
        shutil.copyfile(folder / "keys.log", target / "keys.log")
    if "go_sum" in case:
        shutil.copyfile(folder / "project" / "go.sum", target / "go.sum")
    (target / "go.stderr").write_text(said)
    (target / "go.exit").write_text("".join(f"{code}\n" for code in codes))
    environment = go_environment(case, folder)
    (target / "env.txt").write_text(scrub("".join(f"{k}={v}\n" for k, v in sorted(environment.items())), case, folder))
    (target / "reference.json").write_text(json.dumps(reference(case, asked, environment["GOSUMDB"]), indent=1) + "\n")
    (target / "case.toml").write_text(description(name, case, touched))


def reference(case, asked, sumdb):
    """What honest resolvers answer for the names of the case, in the form of `goprobe probe --save`."""
    text = json.dumps(case) + "proxy.golang.org" + ("sum.golang.org" if sumdb != "off" else "")
    names = {}
    for host, addresses in world.answers().items():
        if host in text:
            four = [a for a in addresses if ":" not in a]
            six = [a for a in addresses if ":" in a]
            names[host] = {"rcode": "NOERROR", "CNAME": [], "A": four, "AAAA": six}
    for host in case.get("private_names", []):
        names[host] = {"rcode": "NXDOMAIN", "CNAME": [], "A": [], "AAAA": []}
    answers = {"schema": "goprobe-reference/1", "asked": asked.strftime("%Y-%m-%dT%H:%M:%SZ"), "names": names,
               "ranges": world.RANGES}
    return answers if sumdb == "off" else answers | {"sumdb_key": sumdb.split()[0]}


def description(name, case, touched):
    runs = ["".join(f"{k}={v} " for k, v in extra.items()) + case["command"] for extra in case.get("runs", [{}])]
    fields = {
        "title": case["title"],
        "made_by": f"tests/lab/record {name}",
        "go_version": "go" + case["go"],
        "command": runs[0] if len(runs) == 1 else runs,
        "network": " ".join(case["network"].split()),
        "licence": "as the project",
        "outcome": case["outcome"],
        "expect": case.get("expect", []),
        "forbid": case.get("forbid", []),
        "expect_not_assessed": case.get("expect_not_assessed", []),
        "injected_frames": touched["injected"],
        "dropped_frames": touched["dropped"],
        "scrubbed": "paths of the recording machine, replaced by /lab and /usr/local/go",
    }
    # JSON strings and lists of strings or numbers are TOML as well.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items())


def main():
    global CAPTURES
    known = cases()
    options = argparse.ArgumentParser()
    options.add_argument("wanted", nargs="*", metavar="FAMILY or FAMILY/CASE", help="all without one")
    options.add_argument("--go", default=GO_VERSION, help="the go of the cases that name none")
    options.add_argument("--into", type=pathlib.Path, default=CAPTURES, help="where the recordings go")
    options = options.parse_args()
    CAPTURES = options.into
    wanted = options.wanted or list(known)
    chosen = [name for name in known if any(name == w or name.startswith(w.rstrip("/") + "/") for w in wanted)]
    unknown = [w for w in wanted if not any(name == w or name.startswith(w.rstrip("/") + "/") for name in known)]
    if unknown:
        sys.exit(f"no such case: {', '.join(unknown)}\nknown: {' '.join(known)}")
    build_server()
    failed = []
    for name in chosen:
        try:
            record(name, {"go": options.go} | known[name])
        except (RuntimeError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"{name}: FAILED: {error} {getattr(error, 'stderr', '') or ''}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"not recorded: {' '.join(failed)}")


if __name__ == "__main__":
    main()
