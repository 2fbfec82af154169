#!/usr/bin/env python3
"""`wattle pull OWNER/NAME` from a hub on the loopback: what it fetches, where it puts it, and every fault of the line."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from hub_server import Hub, git_sha1

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
CLUTTER = ["tf_model.h5", "flax_model.msgpack", "pytorch_model.bin", "onnx/model.onnx", "coreml/model.mlmodel", ".gitattributes",
           "training_args.bin", "runs/events.out"]
# What else of a tiny model's folder belongs to the model.
MORE = {"model.safetensors", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "source.spm", "target.spm"}


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make_encoder(folder):
    """An encoder with vocabulary and pooling, as sentence-transformers keep them."""
    shutil.copytree(MODELS / "bert", folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "word"]
    write(folder / "vocab.txt", "\n".join(words + [f"word{i}" for i in range(size - len(words))]).encode() + b"\n")
    write(folder / "1_Pooling/config.json", b'{"pooling_mode_mean_tokens": true}')
    write(folder / "modules.json", json.dumps([{"idx": 0, "name": "0", "path": "", "type": "Transformer"},
                                               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "Pooling"}]).encode())
    write(folder / "README.md", b"---\nlicense: mit\n---\n")


def split_safetensors(folder):
    """model.safetensors -> two shards and their index."""
    whole = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8:8 + length]), whole[8 + length:]
    header.pop("__metadata__", None)
    names, where = sorted(header), {}
    for part, chosen in enumerate((names[::2], names[1::2]), 1):
        tensors, body = {}, b""
        for name in chosen:
            begin, end = header[name]["data_offsets"]
            tensors[name] = dict(header[name], data_offsets=[len(body), len(body) + end - begin])
            body += data[begin:end]
            where[name] = f"model-0000{part}-of-00002.safetensors"
        text = json.dumps(tensors).encode()
        write(folder / where[chosen[0]], struct.pack("<Q", len(text)) + text + body)
    write(folder / "model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": where}).encode())
    (folder / "model.safetensors").unlink()


class PullTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.temporary.name)
        self.served = self.dir / "served"
        self.served.mkdir()
        self.hub = Hub(self.served)
        self.cache = self.dir / "hf/hub"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        self.environment |= {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.dir / "hf"),
                             "XDG_CACHE_HOME": str(self.dir / "cache")}

    def tearDown(self):
        self.hub.stop()
        self.temporary.cleanup()

    def wattle(self, *arguments, status=0, holds="", **environment):
        done = subprocess.run([WATTLE, *map(str, arguments)], env=self.environment | environment, capture_output=True,
                              text=True, timeout=120, cwd=self.dir)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
            self.assertIn(holds, done.stderr)
        return done

    def pull(self, *arguments, **options):
        return self.wattle("pull", "--quiet", *arguments, **options)

    def serve(self, family="llama", name=None):
        name = name or f"tiny/{family}"
        shutil.copytree(MODELS / family, self.served / name)
        write(self.served / name / "README.md", b"---\nlicense: mit\n---\n")
        return self.served / name

    def repository(self, name):
        return self.cache / f"models--{name.replace('/', '--')}"

    def snapshot(self, name):
        return self.repository(name) / "snapshots" / self.hub.commit(name)

    def names(self, name):
        root = self.snapshot(name)
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def weights_blob(self, name, file="model.safetensors"):
        return self.repository(name) / "blobs" / hashlib.sha256((self.served / name / file).read_bytes()).hexdigest()

    def assert_nothing_kept(self, name):
        blobs = list((self.repository(name) / "blobs").glob("*"))
        self.assertEqual([blob for blob in blobs if blob == self.weights_blob(name)], [])
        self.assertFalse((self.repository(name) / "refs/main").exists())

    def test_every_family_whole_and_no_more(self):
        for family in sorted(path.name for path in MODELS.iterdir() if path.is_dir()):
            with self.subTest(family):
                folder, name = self.serve(family), f"tiny/{family}"
                single = next((path.name for path in folder.glob("*.gguf")), "")
                wanted = {single or "config.json", "README.md"}
                wanted |= {file.name for file in folder.iterdir() if file.name in MORE and not single}
                for file in ["notes.txt"] if single else CLUTTER:
                    if not (folder / file).exists():
                        write(folder / file, b"nobody asks for this")
                self.assertEqual(self.pull(name).stdout.strip(), str(self.snapshot(name) / single))
                self.assertEqual(set(self.names(name)), wanted)
                for file in self.names(name):
                    link = self.snapshot(name) / file
                    data = (folder / file).read_bytes()
                    self.assertEqual(link.read_bytes(), data)
                    self.assertTrue(os.readlink(link).startswith("../../blobs/"), os.readlink(link))
                    self.assertIn(link.resolve().name, (hashlib.sha256(data).hexdigest(), git_sha1(data)))
                self.assertEqual((self.repository(name) / "refs/main").read_text(), self.hub.commit(name))
                about = json.loads(self.wattle("inspect", name, "--json").stdout)
                if not single:
                    self.assertEqual(about["name"], family)
                self.hub.requests.clear()
                self.pull(name)
                self.assertEqual(len(self.hub.requests), 1, "the second pull asks for the list of files alone")

    def test_a_sentence_encoder_runs_by_its_name(self):
        make_encoder(self.served / "tiny/encoder")
        self.wattle("run", "tiny/encoder", "hello", "--task", "embed", status=2, holds="wattle pull tiny/encoder")
        self.assertEqual(json.loads(self.pull("--json", "tiny/encoder").stdout),
                         {"tiny/encoder": str(self.snapshot("tiny/encoder"))})
        self.assertIn("1_Pooling/config.json", self.names("tiny/encoder"))
        self.assertTrue(os.readlink(self.snapshot("tiny/encoder") / "1_Pooling/config.json").startswith("../../../blobs/"))
        done = self.wattle("run", "tiny/encoder", "hello", "--task", "embed")
        direct = self.wattle("run", self.served / "tiny/encoder", "hello", "--task", "embed")
        self.assertEqual(json.loads(done.stdout)["embedding"], json.loads(direct.stdout)["embedding"])

    def test_shards(self):
        folder = self.serve("bert", "tiny/shards")
        split_safetensors(folder)
        self.pull("tiny/shards")
        self.assertEqual(self.names("tiny/shards"), ["README.md", "config.json", "model-00001-of-00002.safetensors",
                                                     "model-00002-of-00002.safetensors", "model.safetensors.index.json"])
        self.wattle("inspect", "tiny/shards")
        (folder / "model-00002-of-00002.safetensors").unlink()
        self.pull("tiny/shards", status=2, holds="model-00002-of-00002.safetensors, which is not there")

    def test_pickles_where_there_are_no_safetensors(self):
        folder = self.serve("bert", "tiny/pickle")
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        self.pull("tiny/pickle")
        self.assertIn("pytorch_model.bin", self.names("tiny/pickle"))

    def test_gguf_files(self):
        folder = self.served / "tiny/quants"
        data = (MODELS / "gemma3/model.gguf").read_bytes()
        for name in ("tiny-q4_0.gguf", "tiny-Q4_K_M.gguf", "split/tiny-q8_0-00001-of-00002.gguf",
                     "split/tiny-q8_0-00002-of-00002.gguf"):
            write(folder / name, data + name.encode())
        write(folder / "config.json", b"{}")
        self.pull("tiny/quants", status=2, holds="tiny-Q4_K_M.gguf (0.19 MB)")
        self.pull("tiny/quants:q5_0", status=2, holds="tiny-q4_0.gguf")
        done = self.pull("tiny/quants:tiny-q4_0.gguf")
        self.assertEqual(done.stdout.strip(), str(self.snapshot("tiny/quants") / "tiny-q4_0.gguf"))
        self.assertEqual(self.names("tiny/quants"), ["tiny-q4_0.gguf"])
        self.wattle("inspect", "tiny/quants")  # the one that is here
        self.pull("tiny/quants:q8_0")
        self.assertEqual(self.names("tiny/quants")[:2], ["split/tiny-q8_0-00001-of-00002.gguf",
                                                         "split/tiny-q8_0-00002-of-00002.gguf"])
        self.wattle("inspect", "tiny/quants", status=2, holds="name one as tiny/quants:FILE")
        self.wattle("inspect", "tiny/quants:q4_0")
        self.wattle("inspect", "tiny/quants:q4_k_m", status=2, holds="tiny-q4_0.gguf")
        self.pull("tiny/quants:Q4_K_M", "--json")
        self.wattle("inspect", "tiny/quants:q4_k_m")

    def test_patterns(self):
        folder = self.serve("llama")
        write(folder / "onnx/model.onnx", b"weights")
        self.pull("tiny/llama", "--include", "onnx/*", "--include", "*.md")
        self.assertEqual(self.names("tiny/llama"), ["README.md", "onnx/model.onnx"])
        self.pull("tiny/llama", "--include", "*.gguf", status=2, holds="no file matches *.gguf")

    def test_a_cut_connection_is_continued(self):
        self.serve("llama")
        self.hub.cut["tiny/llama/model.safetensors"] = 2
        self.pull("tiny/llama")
        ranges = [headers.get("Range") for kind, _, _, headers in self.hub.requests if kind == "cdn"]
        size = (self.served / "tiny/llama/model.safetensors").stat().st_size
        self.assertEqual(ranges, [None, f"bytes={size // 2}-", f"bytes={size // 2 + (size - size // 2) // 2}-"])
        self.wattle("inspect", "tiny/llama")

    def test_a_server_without_ranges_begins_anew(self):
        self.serve("llama")
        self.hub.cut["tiny/llama/model.safetensors"] = 1
        self.hub.no_ranges = True
        self.pull("tiny/llama")
        self.wattle("inspect", "tiny/llama")

    def test_an_earlier_pull_is_continued(self):
        folder = self.serve("llama")
        data, blob = (folder / "model.safetensors").read_bytes(), self.weights_blob("tiny/llama")
        for left in (data[:1000], data, b"other bytes" * 10, data + b"too many"):
            with self.subTest(len(left)):
                write(blob.with_name(blob.name + ".incomplete"), left)
                self.pull("tiny/llama")
                self.assertEqual(blob.read_bytes(), data)
                self.assertFalse(blob.with_name(blob.name + ".incomplete").exists())
                blob.unlink()

    def test_interrupt_keeps_what_arrived(self):
        self.serve("llama")
        self.hub.silent["tiny/llama/model.safetensors"] = 1
        process = subprocess.Popen([WATTLE, "pull", "tiny/llama"], env=self.environment, stderr=subprocess.PIPE, text=True)
        incomplete = pathlib.Path(str(self.weights_blob("tiny/llama")) + ".incomplete")
        for _ in range(1000):
            time.sleep(0.01)
            if incomplete.exists():
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
        self.assertEqual(process.returncode, 130, said)
        self.assertGreater(incomplete.stat().st_size, 0)
        self.assert_nothing_kept("tiny/llama")
        self.wattle("inspect", "tiny/llama", status=2, holds="wattle pull tiny/llama")
        self.hub.requests.clear()
        self.pull("tiny/llama")
        self.assertTrue(any(headers.get("Range") for kind, _, _, headers in self.hub.requests if kind == "cdn"))

    def test_a_wrong_hash(self):
        self.serve("llama")
        self.hub.wrong.add("tiny/llama/model.safetensors")
        self.pull("tiny/llama", status=2, holds="model.safetensors has SHA-256")
        self.assert_nothing_kept("tiny/llama")
        self.hub.wrong.clear()
        self.pull("tiny/llama")
        self.wattle("inspect", "tiny/llama")

    def test_force_brings_it_again(self):
        self.serve("llama")
        self.pull("tiny/llama")
        self.weights_blob("tiny/llama").write_bytes(b"damaged")
        self.pull("tiny/llama", "--force")
        self.wattle("inspect", "tiny/llama")

    def test_gated_models(self):
        self.serve("llama")
        self.hub.gated.add("tiny/llama")
        self.pull("tiny/llama", status=2, holds=f"accept them at {self.hub.url}/tiny/llama, then set HF_TOKEN")
        self.hub.accepted = False
        self.pull("tiny/llama", status=2, holds="of the account that accepted", HF_TOKEN="hf_right")
        self.hub.accepted = True
        self.pull("tiny/llama", HF_TOKEN="hf_right\n")
        for kind, _, _, headers in self.hub.requests:
            self.assertFalse(kind == "cdn" and "Authorization" in headers, "the token went to another host")

    def test_tokens_in_files(self):
        self.serve("llama")
        self.hub.gated.add("tiny/llama")
        write(self.dir / "hf/token", b"hf_right\n")
        self.pull("tiny/llama")
        write(self.dir / "elsewhere", b"hf_wrong\n")
        self.pull("tiny/llama", "--force", status=2, HF_TOKEN_PATH=str(self.dir / "elsewhere"))

    def test_names_and_revisions(self):
        self.serve("llama")
        self.pull("tiny/lama", status=2, holds="there is no such model")
        self.pull("other/llamas", status=2, holds="names that come near are tiny/llama")
        self.pull("tiny/llama@none", status=2, holds="no branch, tag or commit 'none'")
        self.pull("tiny/llama@v1", "tiny/llama@refs/pr/1")
        self.assertEqual((self.repository("tiny/llama") / "refs/refs/pr/1").read_text(), self.hub.commit("tiny/llama"))
        self.wattle("inspect", "tiny/llama@v1")
        self.wattle("inspect", f"tiny/llama@{self.hub.commit('tiny/llama')}")
        self.wattle("inspect", "tiny/llama", status=2, holds="wattle pull tiny/llama")
        for name in ("tiny", "tiny/../x", "a/b/c", "tiny/llama@../x", "tiny/llama:../x", ".a/b", "a/b--c"):
            self.pull(name, status=2, holds="is not in the catalogue")

    def test_a_model_that_moved(self):
        self.serve("llama")
        self.hub.moved["old/llama"] = "tiny/llama"
        self.pull("old/llama")
        self.wattle("inspect", "old/llama")

    def test_a_busy_server(self):
        self.serve("llama")
        commit = self.hub.commit("tiny/llama")
        self.hub.answers = {"/api/models/tiny/llama/revision/main": [503, 429],
                            f"/tiny/llama/resolve/{commit}/config.json": [502],
                            "/blobs/tiny/llama/model.safetensors": [429]}
        self.pull("tiny/llama")
        self.wattle("inspect", "tiny/llama")
        self.hub.answers = {"/api/models/tiny/llama/revision/main": [503] * 100}
        self.pull("tiny/llama", status=2, holds="answered 503, 5 times in a row; try again later")
        self.hub.stop()
        self.pull("tiny/llama", status=2, holds="did not answer")

    def test_files_that_the_hubs_client_brought(self):
        folder = self.serve("llama")
        for file in ("config.json", "README.md", "model.safetensors"):
            data = (folder / file).read_bytes()
            etag = hashlib.sha256(data).hexdigest() if file.endswith("safetensors") else git_sha1(data)
            write(self.repository("tiny/llama") / "blobs" / etag, data)
            if file == "README.md":
                continue  # its bytes are here under another commit's name only
            link = self.snapshot("tiny/llama") / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../../blobs/{etag}")
        write(self.repository("tiny/llama") / "refs/main", self.hub.commit("tiny/llama").encode())
        self.wattle("inspect", "tiny/llama")
        self.assertEqual(self.hub.requests, [])
        self.pull("tiny/llama")
        self.assertEqual([path for path in self.hub.asked("hub") if "resolve" in path] + self.hub.asked("cdn"), [])
        self.assertEqual(self.names("tiny/llama"), ["README.md", "config.json", "model.safetensors"])

    def test_places_of_the_cache(self):
        self.serve("llama")
        self.pull("tiny/llama", HF_HUB_CACHE=str(self.dir / "own"))
        self.assertTrue((self.dir / "own/models--tiny--llama/refs/main").exists())
        del self.environment["HF_HOME"]
        self.pull("tiny/llama")
        self.assertTrue((self.dir / "cache/huggingface/hub/models--tiny--llama/refs/main").exists())
        self.pull("tiny/llama", status=2, holds="cannot be made", HF_HUB_CACHE="/proc/none")
        self.pull("tiny/llama", status=2, holds="HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
        self.pull("tiny/llama", status=2, holds="set HF_ENDPOINT", HF_ENDPOINT="huggingface.co")
        self.pull("tiny/llama", "--packages", status=2, holds="leave --packages out")

    def test_hostile_hubs(self):
        self.serve("llama")
        self.hub.etags["tiny/llama/model.safetensors"] = "../../../../outside"
        self.pull("tiny/llama")  # the list of files has its checksum: that is the blob's name
        self.assertTrue(self.weights_blob("tiny/llama").exists())
        for path in ("../outside", "/outside", "a/../../outside", "", "a//b"):
            self.hub.siblings = [{"rfilename": path}]
            self.pull("tiny/llama", status=2, holds="outside its folder")
        self.hub.siblings = [7]
        self.pull("tiny/llama", status=2)
        self.assertEqual(list(self.dir.rglob("outside*")), [])

    def test_models_without_weights(self):
        write(self.served / "tiny/adapter/adapter_model.safetensors", b"x" * 2000)
        write(self.served / "tiny/adapter/adapter_config.json", b"{}")
        self.pull("tiny/adapter", status=2, holds="adapter_model.safetensors (0.002 MB)")
        write(self.served / "tiny/nothing/README.md", b"soon")
        self.pull("tiny/nothing", status=2, holds="holds no weights")

    def test_empty_files(self):
        folder = self.serve("llama")
        write(folder / "merges.txt", b"")
        self.pull("tiny/llama")
        self.assertEqual((self.snapshot("tiny/llama") / "merges.txt").read_bytes(), b"")


if __name__ == "__main__":
    unittest.main()
