"""The peers' environment: a directory with a Python environment of their wheels, and llama.cpp and ik_llama.cpp built from the
source packages of their Python bindings for the processor at hand.

    DIR/venv         the environment; the bindings llama_cpp and ik_llama_cpp lie in it with the libraries built here
    DIR/venv-genai   openvino-genai and onnxruntime-genai, whose converters want another transformers; the rest from DIR/venv
    DIR/source       the source packages; llama.cpp's has convert_hf_to_gguf.py
    DIR/native       the build trees
    DIR/native.json  what was built: version, compiler, flags, processor; on another kind of processor it is built again
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import venv

# transformers of the release that llama.cpp's converter names.
PACKAGES = ["numpy", "torch", "transformers==4.57.6", "safetensors", "tokenizers", "sentencepiece", "protobuf", "onnx", "onnxscript",
            "onnxruntime", "sympy", "openvino", "nncf", "ctranslate2", "diskcache", "jinja2", "typing-extensions", "pyyaml", "pillow"]
# The builder of onnxruntime-genai wants transformers of at least 5.3, optimum-intel less than 5.6.
GENAI = ["openvino-genai", "onnxruntime-genai", "optimum-intel", "transformers>=5.3,<5.6", "accelerate", "gguf"]
GENAI_ENGINES = ("openvino-genai", "onnxruntime-genai")
COMMON = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++",
          "-DCMAKE_INSTALL_RPATH=$ORIGIN", "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",  # libraries find each other beside them
          "-DGGML_NATIVE=ON", "-DGGML_OPENMP=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
          "-DLLAMA_BUILD_SERVER=OFF"]
# Source package, its module of bindings, where the library's tree is in it, what is set beside COMMON.
NATIVE = {
    "llama.cpp": ("llama-cpp-python", "llama_cpp", "vendor/llama.cpp",
                  ["-DGGML_LLAMAFILE=ON", "-DGGML_CPU_REPACK=ON", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_COMMON=OFF",
                   "-DLLAMA_BUILD_TOOLS=OFF"]),
    "ik_llama.cpp": ("ik-llama-cpp-python", "ik_llama_cpp", "vendor/ik_llama.cpp",
                     ["-DGGML_IQK_MUL_MAT=ON", "-DGGML_IQK_FLASH_ATTENTION=ON", "-DGGML_IQK_FA_ALL_QUANTS=OFF"]),
    "stable-diffusion.cpp": ("stable-diffusion-cpp-python", "stable_diffusion_cpp", "vendor/stable-diffusion.cpp",
                             ["-DSD_BUILD_SHARED_LIBS=ON", "-DSD_BUILD_EXAMPLES=OFF", "-DSD_WEBP=OFF", "-DSD_WEBM=OFF"]),
}
TARGETS = {"stable-diffusion.cpp": "stable-diffusion"}  # else llama
PICTURES = "stable-diffusion.cpp"  # built when everything is prepared; no case runs it
TABLE = "#define GGML_GELU_FP16"
# Families and models of the processors met; others are told by their numbers.
PROCESSORS = {("GenuineIntel", 6, 106): "Intel Xeon, Ice Lake", ("GenuineIntel", 6, 143): "Intel Xeon, Sapphire Rapids",
              ("GenuineIntel", 6, 207): "Intel Xeon, Emerald Rapids", ("GenuineIntel", 6, 173): "Intel Xeon, Granite Rapids"}
ZEN = {("AuthenticAMD", 25): lambda model: "Zen 4" if 0x10 <= model < 0x20 or model >= 0x60 else "Zen 3",
       ("AuthenticAMD", 26): lambda model: "Zen 5"}


def processor_kind():
    """Its name by vendor, family and model, since a virtual machine's own name for it is vague."""
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^(vendor_id|cpu family|model|model name)\s*:\s*(.+)$", text, re.MULTILINE))
    if "vendor_id" not in fields:
        return os.uname().machine
    vendor, family, model = fields["vendor_id"], int(fields["cpu family"]), int(fields["model"])
    if (vendor, family) in ZEN:
        return f"AMD EPYC, {ZEN[vendor, family](model)}"
    return PROCESSORS.get((vendor, family, model), f"{fields.get('model name', vendor)} (family {family}, model {model})")


class Environment:
    def __init__(self, folder, jobs=2):
        self.folder, self.jobs = pathlib.Path(folder).absolute(), jobs
        self.python = self.folder / "venv" / "bin" / "python"
        self.genai_python = self.folder / "venv-genai" / "bin" / "python"
        self.record = self.folder / "native.json"

    @property
    def tree(self):
        """llama.cpp's source tree."""
        return self.folder / "source" / "llama.cpp" / "vendor" / "llama.cpp"

    @property
    def packages(self):
        return next((self.folder / "venv" / "lib").glob("python*/site-packages"))

    @property
    def exact(self):
        """Directory of llama.cpp's library without tables, for LLAMA_CPP_LIB_PATH."""
        return self.packages / "llama_cpp" / "lib-exact"

    def python_of(self, engine):
        return self.genai_python if engine in GENAI_ENGINES else self.python

    def pip(self, *words, python=None):
        subprocess.run([python or self.python, "-m", "pip", "--quiet", *words], check=True)

    def built(self):
        return json.loads(self.record.read_text(encoding="utf-8")) if self.record.exists() else {}

    def install(self, pictures=False):
        """Makes what is missing, with `pictures` stable-diffusion.cpp too; versions of the wheels, and what was built."""
        if not self.python.exists():
            venv.create(self.folder / "venv", with_pip=True)
        absent = [package for package in PACKAGES if package.partition("==")[0] not in self.versions()]
        if absent:
            print(f"installing {', '.join(absent)} into {self.folder}", file=sys.stderr)
            self.pip("install", *absent)
        self.install_genai()
        for engine in NATIVE:
            if engine == PICTURES and not pictures:
                continue
            if self.built().get(engine, {}).get("processor") == processor_kind():
                continue
            try:
                self.build(engine)
            except SystemExit as reason:
                if engine != PICTURES:
                    raise
                print(f"{reason}; no case needs it yet, so the others go on", file=sys.stderr)
        if not self.exact.exists():
            self.build_exact()
        return self.versions() | {name: self.versions(self.genai_python)[name] for name in GENAI_ENGINES}, self.built()

    def install_genai(self):
        if not self.genai_python.exists():
            venv.create(self.folder / "venv-genai", with_pip=True)
            mine = next((self.folder / "venv-genai" / "lib").glob("python*/site-packages"))
            (mine / "zz-peers.pth").write_text(str(self.packages) + "\n", encoding="utf-8")  # searched after its own
        run = subprocess.run([self.genai_python, "-c", "import importlib.metadata as m; m.version('optimum-intel'), "
                              "m.version('openvino-genai'), m.version('onnxruntime-genai')"], capture_output=True)
        if run.returncode != 0:
            print(f"installing {', '.join(GENAI)} into {self.folder}", file=sys.stderr)
            self.pip("install", *GENAI, python=self.genai_python)

    def versions(self, python=None):
        run = subprocess.run([python or self.python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
        return {entry["name"].lower().replace("_", "-"): entry["version"] for entry in json.loads(run.stdout)}

    def source(self, engine):
        """The unpacked source package; its version."""
        package, folder = NATIVE[engine][0], self.folder / "source" / engine
        if not folder.exists():
            packed = self.folder / "source" / "packed"
            self.pip("download", "--no-deps", "--no-binary", package, "--dest", str(packed), package)
            archive = max(packed.glob(package.replace("-", "_") + "-*.tar.gz"))
            with tarfile.open(archive) as file:
                file.extractall(packed, filter="data")
            (packed / archive.name.removesuffix(".tar.gz")).rename(folder)
        text = (folder / "PKG-INFO").read_text(encoding="utf-8")
        return folder, re.search(r"^Version: (.+)$", text, re.MULTILINE).group(1)

    def build(self, engine):
        _, module, tree, flags = NATIVE[engine]
        folder, version = self.source(engine)
        out = self.folder / "native" / engine
        print(f"building {engine} {version}, some minutes", file=sys.stderr)
        log = self.folder / f"build-{module}.log"
        with open(log, "w", encoding="utf-8") as file:
            self.compile(folder / tree, out, TARGETS.get(engine, "llama"), flags, file)
        self.put(folder / module, out)
        compiler = subprocess.run(["g++", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
        record = self.built()
        record[engine] = {"version": version, "processor": processor_kind(), "compiler": f"GCC {compiler}",
                          "flags": " ".join(["-O3 -march=native", *(flag for flag in flags if flag.endswith("=ON"))])}
        if engine == PICTURES:
            record[engine]["isa"] = self.smoke_of_pictures()
        self.record.write_text(json.dumps(record, indent=1), encoding="utf-8")

    def smoke_of_pictures(self):
        """That the library loads and what it says of its kernels."""
        script = ("from stable_diffusion_cpp import stable_diffusion_cpp as library; "
                  "print(library.sd_get_system_info().decode())")
        run = subprocess.run([self.python, "-c", script], capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"stable-diffusion.cpp does not load: {run.stderr.strip().splitlines()[-1]}")
        words = [word.partition("=") for word in re.split(r"[|\n]", run.stdout)]
        return " ".join(name.strip() for name, _, value in words if value.strip() == "1")

    def compile(self, source, out, target, flags, log):
        """Goes on with a build that was stopped, unless it was for another kind of processor."""
        stamp = out / "processor"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != processor_kind():
            shutil.rmtree(out, ignore_errors=True)
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        for command in (["cmake", *generator, "-S", source, "-B", out, *COMMON, *flags],
                        ["nice", "-n", "19", "cmake", "--build", out, "--target", target, "--parallel", str(self.jobs)]):
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode != 0:
                raise SystemExit(f"{source} does not build: {log.name}")
            stamp.write_text(processor_kind(), encoding="utf-8")

    def build_exact(self):
        """llama.cpp once more for comparing numbers: with GELU computed, not read from a table of half-precision values."""
        source, out = self.folder / "native" / "exact-source", self.folder / "native" / "exact"
        print("building llama.cpp without its table of GELU, a minute or two", file=sys.stderr)
        if not source.exists():
            scratch = source.with_name("making-exact-source")
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(self.tree / "ggml", scratch)
            (scratch / "ggml.pc.in").touch()  # the source package leaves it out
            header = scratch / "src" / "ggml-cpu" / "vec.h"
            text = header.read_text(encoding="utf-8")
            if TABLE not in text:
                raise SystemExit(f"{header}: has no line {TABLE!r}; say anew how GELU is computed exactly")
            header.write_text(text.replace(TABLE, "", 1), encoding="utf-8")
            scratch.rename(source)
        flags = [*NATIVE["llama.cpp"][3], "-DGGML_BUILD_TESTS=OFF", "-DGGML_BUILD_EXAMPLES=OFF"]
        with open(self.folder / "build-exact.log", "w", encoding="utf-8") as file:
            self.compile(source, out, "ggml-cpu", flags, file)
        scratch = self.exact.with_name("making-lib-exact")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(self.packages / "llama_cpp" / "lib", scratch, symlinks=True)
        for library in out.rglob("libggml*.so*"):
            (scratch / library.name).unlink(missing_ok=True)
            shutil.copy(library, scratch / library.name, follow_symlinks=False)
        scratch.rename(self.exact)

    def put(self, bindings, out):
        """The bindings into the environment, the libraries beside them."""
        target = self.packages / bindings.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(bindings, target)
        (target / "lib").mkdir(exist_ok=True)
        for library in out.rglob("lib*.so*"):
            shutil.copy(library, target / "lib" / library.name, follow_symlinks=False)
