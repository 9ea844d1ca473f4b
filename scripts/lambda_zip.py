#!/usr/bin/env python3
"""Packs gwh with all it needs into a zip for AWS Lambda, and proves that nothing is missing.

  scripts/lambda_zip.py pack BINARY ZIP     the same binary and libraries make the same zip
  scripts/lambda_zip.py prove ZIP           runs it where there is nothing else

The zip has the binary, every library it is linked with, the C library and its loader among them, and
`bootstrap`, which starts the one with the others: so it runs on any Linux of the same processor,
whatever C library that has. It is proved in a root directory that holds the unpacked zip, a shell
for `bootstrap` and a list of certificate authorities, with a fake of Lambda's runtime API.
"""

import base64
import http.server
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

BOOTSTRAP = """#!/bin/sh
# Starts gwh with the libraries beside it, and none of the machine's.
here=${0%/*}
exec "$here/lib/LOADER" --inhibit-cache --library-path "$here/lib" "$here/gwh" lambda
"""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
AUTHORITIES = "/etc/pki/tls/certs/ca-bundle.crt"  # where Amazon Linux has them
OURS = ("/etc/ssl/certs/ca-certificates.crt", AUTHORITIES)


def die(why):
    sys.exit(f"lambda: {why}")


# ── Packing ─────────────────────────────────────────────────────────────────────────────────────

def libraries(binary):
    """Every file that the loader maps for it, and which of them is the loader."""
    told = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    if "not found" in told:
        die(f"{binary} lacks a library:\n{told}")
    found = re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", told, re.MULTILINE)
    loaders = [path for path in found if os.path.basename(path).startswith("ld-linux")]
    if len(loaders) != 1:
        die(f"{binary} has no loader of glibc's")
    return sorted(found, key=os.path.basename), os.path.basename(loaders[0])


def add(archive, name, content, mode):
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.create_system = 3  # Unix: the mode counts
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def stripped(binary):
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "gwh"
        subprocess.run(["strip", "-o", copy, binary], check=True)
        return copy.read_bytes()


def pack(binary, target):
    files, loader = libraries(binary)
    with zipfile.ZipFile(target, "w") as archive:
        add(archive, "bootstrap", BOOTSTRAP.replace("LOADER", loader), 0o755)
        add(archive, "gwh", stripped(binary), 0o755)
        for path in files:
            add(archive, f"lib/{os.path.basename(path)}", pathlib.Path(path).read_bytes(), 0o755)
    size = os.path.getsize(target) / 1e6
    print(f"lambda: {target}: {platform.machine()}, {len(files)} libraries, {size:.1f} MB")


# ── Proving ─────────────────────────────────────────────────────────────────────────────────────

class Runtime(http.server.BaseHTTPRequestHandler):
    """One invocation, a request; then silence. It is all of AWS too: empty."""

    protocol_version = "HTTP/1.1"
    asked_at = None
    said = None
    is_over = threading.Event()
    event = json.dumps({
        "version": "2.0", "rawPath": "/openapi.json", "rawQueryString": "", "headers": {},
        "requestContext": {"http": {"method": "HEAD", "sourceIp": "127.0.0.1"}}}).encode()

    def do_GET(self):
        if Runtime.asked_at:
            Runtime.is_over.wait()
            return
        Runtime.asked_at = time.monotonic()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "one")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30000))
        self.send_header("content-length", str(len(self.event)))
        self.end_headers()
        self.wfile.write(self.event)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        is_runtime = self.path.startswith("/2018-06-01/runtime/")
        self.send_response(202 if is_runtime else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        if is_runtime:
            Runtime.said = (self.path, body)
            Runtime.is_over.set()

    def log_message(self, *_):
        pass


def make_root(root, archive):
    """What a base image would have: a shell with its libraries, a list of authorities."""
    task = root / "var/task"
    task.mkdir(parents=True)
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            path = pathlib.Path(zipped.extract(entry, task))
            path.chmod(entry.external_attr >> 16 & 0o777)
    authorities = root / AUTHORITIES.lstrip("/")
    authorities.parent.mkdir(parents=True)
    shutil.copy(next(path for path in OURS if os.path.exists(path)), authorities)
    for path in ["/bin/sh", *libraries("/bin/sh")[0]]:
        copy = root / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    root.chmod(0o755)
    return task


def command_in(root, task):
    """As root in a world of its own; else without what the environment could add to it."""
    if os.geteuid() == 0:
        return ["chroot", "--userspec=65534:65534", str(root), "/var/task/bootstrap"]
    print("lambda: not root: proved beside the machine's own files")
    return [str(task / "bootstrap")]


def settings(address):
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
        "GWH_MASTER_KEY": base64.b64encode(bytes(32)).decode(), "GWH_ALLOWED_IPS": "127.0.0.1",
        "AWS_ENDPOINT_URL": f"http://{address}", "GWH_QUEUE_URL": "http://sqs.example/0/events",
    }


def prove(archive):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        task = make_root(root, archive)
        began = time.monotonic()
        process = subprocess.Popen(
            command_in(root, task), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=settings(f"127.0.0.1:{server.server_port}"))
        until = began + 30
        while not Runtime.is_over.wait(0.02) and process.poll() is None and time.monotonic() < until:
            pass
        is_over = Runtime.is_over.is_set()
        process.terminate()
        log = process.communicate(timeout=30)[0].decode()
    path, said = Runtime.said or ("", b"")
    if not is_over or not path.endswith("/one/response") or b'"statusCode":200' not in said:
        die(f"it did not answer (said: {path} {said[:300]!r}); its log:\n{log}")
    print(f"lambda: proved; asked for work {(Runtime.asked_at - began) * 1000:.0f} ms after its start")


if __name__ == "__main__":
    if sys.argv[1:2] == ["pack"] and len(sys.argv) == 4:
        pack(*sys.argv[2:])
    elif sys.argv[1:2] == ["prove"] and len(sys.argv) == 3:
        prove(sys.argv[2])
    else:
        sys.exit(__doc__)
