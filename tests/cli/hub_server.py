#!/usr/bin/env python3
"""A hub to test against: serves folders in the form of the Hugging Face hub, on the loopback alone.

FOLDER/OWNER/NAME/... are the models. Large files (by suffix) are given by a second server on another port, as the hub's
content network does. Faults are set by the test: see Hub. By hand: hub_server.py FOLDER [PORT], then HF_ENDPOINT=... .
"""
import hashlib
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse

LARGE = (".safetensors", ".bin", ".gguf", ".onnx", ".model", ".spm", ".h5", ".msgpack")


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """Both servers, what they were asked, and what they are to do wrong."""

    def __init__(self, folder, port=0):
        self.folder = pathlib.Path(folder)
        self.requests = []  # (server, method, path with query, headers)
        self.token = "hf_right"
        self.gated = set()  # models that the token alone opens
        self.accepted = True  # whether the token's account accepted the terms
        self.wrong = set()  # files whose bytes are not those of their checksum
        self.cut = {}  # file: how many times its connection breaks off half-way
        self.answers = {}  # path: statuses that the next requests get
        self.silent = {}  # file: how many times the server stops speaking half-way
        self.no_ranges = False
        self.siblings = []  # entries that every list of files has besides
        self.etags = {}  # file: another ETag
        self.moved = {}  # old name: new name
        self.over = threading.Event()
        self.hub = self.start("hub", port)
        self.cdn = self.start("cdn")
        self.url = f"http://127.0.0.1:{self.hub.server_port}"

    def start(self, kind, port=0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.hub, server.kind, server.daemon_threads = self, kind, True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def stop(self):
        self.over.set()
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def asked(self, server, method="GET"):
        """The paths that a server was asked for."""
        return [path for kind, verb, path, _ in self.requests if kind == server and verb == method]

    def files(self, name):
        root = self.folder / name
        return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}

    def commit(self, name):
        """Follows from the names and bytes of all files."""
        whole = hashlib.sha1()
        for path, file in self.files(name).items():
            whole.update(path.encode() + b"\0" + file.read_bytes())
        return whole.hexdigest()

    def models(self):
        return sorted(f"{path.parent.name}/{path.name}" for path in self.folder.glob("*/*") if path.is_dir())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.respond()

    def do_GET(self):
        self.respond()

    def respond(self):
        hub, url = self.server.hub, urllib.parse.urlsplit(self.path)
        hub.requests.append((self.server.kind, self.command, self.path, dict(self.headers)))
        path = urllib.parse.unquote(url.path)
        if hub.answers.get(path):
            return self.send(hub.answers[path].pop(0), b"later", {"Retry-After": "0"})
        if self.server.kind == "cdn":
            return self.send_file(path.removeprefix("/blobs/"))
        if path == "/api/models":
            return self.search(urllib.parse.parse_qs(url.query)["search"][0])
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        owner, model, *rest = parts[2:] if api else parts
        name = f"{owner}/{model}"
        if name in hub.moved:
            return self.send(307, b"", {"Location": self.path.replace(name, hub.moved[name])})
        if name not in hub.models():
            return self.refuse(401 if self.header_token() != hub.token else 404, "RepoNotFound", "Repository not found")
        if api and rest[:1] in ([], ["revision"]):
            return self.describe(name, "/".join(rest[1:]) or "main", "blobs" in url.query)
        if api and rest[:1] == ["tree"]:  # the hub's own client asks for this
            return self.send_json([self.entry(name, file, "path", "oid") | {"type": "file"} for file in hub.files(name)])
        if not api and rest[:1] == ["resolve"]:
            return self.resolve(name, rest[1], "/".join(rest[2:]))
        return self.refuse(404, "", "Not found")

    def header_token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def send_json(self, value):
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def search(self, word):
        self.send_json([{"id": name} for name in self.server.hub.models() if word.lower()[:4] in name.lower()])

    def entry(self, name, path, path_key, sha1_key):
        data = (self.server.hub.folder / name / path).read_bytes()
        entry = {path_key: path, "size": len(data), sha1_key: git_sha1(data)}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha256, "oid": sha256, "size": len(data), "pointerSize": 130}
        return entry

    def describe(self, name, revision, blobs):
        hub = self.server.hub
        if revision not in ("main", "v1", "refs/pr/1", hub.commit(name)):
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        siblings = [self.entry(name, path, "rfilename", "blobId") if blobs else {"rfilename": path} for path in hub.files(name)]
        self.send_json({"id": name, "modelId": name, "sha": hub.commit(name), "private": False,
                        "siblings": siblings + hub.siblings})

    def resolve(self, name, revision, path):
        hub = self.server.hub
        if name in hub.gated and (self.header_token() != hub.token or not hub.accepted):
            return self.refuse(403 if self.header_token() == hub.token else 401, "GatedRepo", "Access is restricted")
        if revision not in ("main", hub.commit(name)):
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        file = hub.files(name).get(path)
        if file is None:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        data = file.read_bytes()
        headers = {"X-Repo-Commit": hub.commit(name)}
        if not path.endswith(LARGE):
            return self.send(200, data, headers | {"ETag": f'"{git_sha1(data)}"'})
        etag = hub.etags.get(f"{name}/{path}", hashlib.sha256(data).hexdigest())
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data)),
                    "Location": f"http://127.0.0.1:{hub.cdn.server_port}/blobs/{urllib.parse.quote(f'{name}/{path}')}"}
        return self.send(302, b"Found", headers)

    def send_file(self, path):
        hub = self.server.hub
        data = (hub.folder / path).read_bytes()
        if path in hub.wrong:
            data = bytes(byte ^ 1 for byte in data)
        begin, headers, status = 0, {"Accept-Ranges": "bytes"}, 200
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and not hub.no_ranges:
            begin = int(asked.removeprefix("bytes=").split("-")[0])
            if begin >= len(data):
                return self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            status, headers["Content-Range"] = 206, f"bytes {begin}-{len(data) - 1}/{len(data)}"
        rest = data[begin:]
        if hub.cut.get(path, 0) > 0:
            hub.cut[path] -= 1
            return self.send(status, rest, headers, only=len(rest) // 2)
        if hub.silent.get(path, 0) > 0:
            hub.silent[path] -= 1
            return self.send(status, rest, headers, only=len(rest) // 2, wait=60)
        return self.send(status, rest, headers)

    def refuse(self, status, code, message):
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.send(status, json.dumps({"error": message}).encode(), headers)

    def send(self, status, body, headers=None, only=None, wait=0):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if only is None else body[:only])
        if only is not None:
            self.wfile.flush()
            self.server.hub.over.wait(wait)
            self.close_connection = True


def main():
    hub = Hub(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"HF_ENDPOINT={hub.url}", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        hub.stop()


if __name__ == "__main__":
    main()
