#!/usr/bin/env python3
"""llama.cpp's server: starts it, waits until it has loaded, and asks it in words (task: generate, or classify).

  Build or install llama.cpp (https://github.com/ggml-org/llama.cpp), so that `llama-server` is in PATH.
  command: [python3, examples/adapters/llama_server.py, model.gguf, --labels, "positive,negative"]

The server is a child of this program, so its processor time, memory and graphics card are metered with it. The way
over Python costs about a millisecond a question; `kind: server` with the server's `pid` goes without.
"""
import argparse
import http.client
import json
import os
import socket
import subprocess
import time

from protocol import serve

options = argparse.ArgumentParser()
options.add_argument("model")
options.add_argument("--server", default="llama-server")
options.add_argument("--labels", help="classify: what the answer is to be one of, with commas between them")
options.add_argument("--prompt", default="", help="with {text} where the row's text belongs")
options.add_argument("--max-tokens", type=int, default=64)
options, more = options.parse_known_args()  # what is left goes to the server: -ngl 99
labels = options.labels.split(",") if options.labels else []
prompt = options.prompt or (f"Classify the text as one of: {', '.join(labels)}. Answer with the label alone.\n\nText: {{text}}"
                            if labels else "{text}")

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen([*options.server.split(), "-m", options.model, "--host", "127.0.0.1", "--port", str(port),
                           "-t", os.environ.get("OMP_NUM_THREADS", "1"), *more], stdout=2, stdin=subprocess.DEVNULL)
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)


def request(method, path, body=None):
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def is_up():
    try:
        return request("GET", "/health")[0] == 200
    except OSError:
        connection.close()
        return False


while not is_up():
    if server.poll() is not None:
        raise SystemExit(f"{options.server} ended with status {server.returncode}")
    time.sleep(0.05)


def answer(question):
    status, body = request("POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": prompt.replace("{text}", question["text"])}], "temperature": 0,
        "max_tokens": options.max_tokens})
    if status != 200:
        return {"error": body.decode(errors="replace")}
    found = json.loads(body)
    text, usage = found["choices"][0]["message"]["content"], found.get("usage", {})
    if labels:
        said = text.strip().strip(".\"'").lower()
        return {"label": next((label for label in labels if label.lower() == said), said or "nothing")}
    return {"text": text, "tokens_in": usage.get("prompt_tokens", 0), "tokens_out": usage.get("completion_tokens", 0)}


serve(answer, name="llama-server", model=options.model, pid=server.pid)
