"""llama.cpp and ik_llama.cpp from Python: logits, hidden states, greedy ids. Both by the bindings of their packages (llama-cpp-python,
ik-llama-cpp-python), whose structs fit the library that bench/peers builds from the same source package.
"""
import ctypes
import importlib
import time

import numpy as np

PACKAGES = {"llama.cpp": "llama_cpp", "ik_llama.cpp": "ik_llama_cpp._ctypes_api"}
F32, F16 = 0, 1  # ggml's types of a cache
# What ik_llama.cpp's library has and the bindings of its package do not.
IK_FUNCTIONS = [("llama_print_system_info", ctypes.c_char_p, []), ("llama_log_set", None, [ctypes.c_void_p, ctypes.c_void_p]),
                ("llama_get_embeddings_ith", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]),
                ("llama_model_has_encoder", ctypes.c_bool, [ctypes.c_void_p]),
                ("llama_model_decoder_start_token", ctypes.c_int32, [ctypes.c_void_p])]


class Library:
    """The functions and structs of one package, by their names in llama.h."""

    def __init__(self, engine):
        self.engine, self.is_ik = engine, engine == "ik_llama.cpp"
        self.bindings = importlib.import_module(PACKAGES[engine])
        if self.is_ik:
            library = self.bindings._lib
            for name, result, arguments in [*IK_FUNCTIONS, ("llama_encode", ctypes.c_int32,
                                                            [ctypes.c_void_p, self.bindings.llama_batch])]:
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
                setattr(self.bindings, name, function)
        self.said = []  # errors that it logs; the rest is dropped
        self._log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(self._keep)
        self.llama_log_set(ctypes.cast(self._log, ctypes.c_void_p) if self.is_ik else self._log, None)
        self.llama_backend_init()

    def _keep(self, level, text, _):
        if level == 4:  # GGML_LOG_LEVEL_ERROR
            self.said.append(text.decode(errors="replace").strip())

    def __getattr__(self, name):
        return getattr(self.bindings, name)

    def system_info(self):
        """The instruction sets and options that the library was built with, those that are on."""
        words = self.llama_print_system_info().decode().replace("CPU :", "").split("|")
        return [name.strip() for name, _, value in (word.partition("=") for word in words) if value.strip() == "1"]


class GgmlModel:
    """A model with a context of `context` tokens, run by `threads` threads. exact: products, attention and cache as near to
    single precision as the library goes; else its usual cache (F16), flash attention as asked, and repacked weights."""

    def __init__(self, path, context=512, threads=2, engine="llama.cpp", flash_attention=True, exact=False, hidden=False, repack=True):
        self.lib = lib = Library(engine)
        params = lib.llama_model_default_params()
        if lib.is_ik:
            repack = repack and not exact
            params.repack_tensors, params.use_mmap, params.flash_attn = repack, not repack, flash_attention and not exact
        elif exact:
            params.use_extra_bufts = False
        started = time.perf_counter()
        self.model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise SystemExit(f"{path}: {engine} cannot load it: {'; '.join(lib.said)}")
        self.load_seconds = time.perf_counter() - started
        self.threads, self.exact, self.hidden, self.length = threads, exact, hidden, context
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocab)
        self.width = lib.llama_model_n_embd(self.model)
        self.has_encoder = lib.llama_model_has_encoder(self.model)
        self.batch = lib.llama_batch_init(context, 0, 1)
        self.context = None
        self.new_context(flash_attention)

    def new_context(self, flash_attention, sequences=1, length=0):
        """An empty context, of `sequences` texts with `length` tokens each, or `context`."""
        lib, length = self.lib, length or self.length
        if self.context:
            lib.llama_free(self.context)
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_seq_max = length * sequences, max(length, sequences), sequences
        # An encoder reads its whole input in one step.
        params.n_ubatch = length if self.has_encoder or self.hidden else min(length, 512)
        params.n_threads = params.n_threads_batch = self.threads
        flash = bool(flash_attention) and not self.exact
        if lib.is_ik:
            params.flash_attn = flash
        else:
            params.flash_attn_type = int(flash)
        if self.exact:
            params.type_k = params.type_v = F32
        if self.hidden:
            params.embeddings, params.pooling_type = True, lib.LLAMA_POOLING_TYPE_NONE
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"{lib.engine} makes no context of {length} tokens: {'; '.join(lib.said)}")
        self.position = 0

    @property
    def bos(self):
        lib = self.lib
        return lib.llama_vocab_bos(self.vocab) if lib.llama_vocab_get_add_bos(self.vocab) else None

    def tokenize(self, text, add_special=False):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), add_special, False)
        return list(ids[:count])

    def detokenize(self, ids):
        out = ctypes.create_string_buffer(32 * len(ids) + 64)
        size = self.lib.llama_detokenize(self.vocab, (ctypes.c_int32 * len(ids))(*ids), len(ids), out, len(out), True, False)
        return out.raw[:size].decode(errors="replace")

    def clear(self):
        lib = self.lib
        if lib.is_ik:
            lib.llama_kv_cache_clear(self.context)
        else:
            memory = lib.llama_get_memory(self.context)
            if memory:  # pure encoders have none
                lib.llama_memory_clear(memory, True)
        self.position = 0

    def _fill(self, tokens, all_outputs, start, sequence=0):
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(token), start + i, 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = all_outputs or i + 1 == len(tokens)
        return batch

    def _decode(self, batch):
        status = self.lib.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode: {status}")

    def _likeliest(self, row):
        logits = ctypes.cast(self.lib.llama_get_logits_ith(self.context, row), ctypes.POINTER(ctypes.c_float))
        return int(np.ctypeslib.as_array(logits, (self.size,)).argmax())

    def read_together(self, prompts):
        """The likeliest next token of each prompt; the prompts have one length, and the context as many sequences or more."""
        self.clear()
        tokens = []
        for sequence, prompt in enumerate(prompts):
            self._decode(self._fill(prompt, False, 0, sequence))
            tokens.append(self._likeliest(len(prompt) - 1))
        self.position = len(prompts[0])
        return tokens

    def continue_together(self, tokens):
        """The likeliest next token of every sequence after one more token each, all in one call."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(token), self.position, 1
            batch.seq_id[i][0] = i
            batch.logits[i] = True
        self._decode(batch)
        self.position += 1
        return [self._likeliest(i) for i in range(len(tokens))]

    def _rows(self, read, rows, width):
        return np.stack([np.ctypeslib.as_array(ctypes.cast(read(self.context, i), ctypes.POINTER(ctypes.c_float)),
                                               (width,)).copy() for i in rows])

    def encode(self, tokens):
        """Reads the source of an encoder-decoder; the decoder's cache is empty afterwards."""
        self.clear()
        status = self.lib.llama_encode(self.context, self._fill(tokens, True, 0))
        if status != 0:
            raise SystemExit(f"llama_encode: {status}")

    def run(self, tokens, all_logits=False):
        """Continues with `tokens`; logits [tokens or 1, vocabulary]."""
        self._decode(self._fill(tokens, all_logits, self.position))
        self.position += len(tokens)
        rows = range(len(tokens)) if all_logits else [len(tokens) - 1]
        return self._rows(self.lib.llama_get_logits_ith, rows, self.size)

    def hidden_states(self, tokens):
        """[tokens, width] of an encoder opened with hidden=True."""
        self.clear()
        status = self.lib.llama_encode(self.context, self._fill(tokens, True, 0))
        if status != 0:
            raise SystemExit(f"llama_encode: {status}")
        return self._rows(self.lib.llama_get_embeddings_ith, range(len(tokens)), self.width)

    def greedy(self, prompt, count, ignore_end=False):
        """Up to `count` ids after `prompt` (of an encoder-decoder: what its decoder starts with), without the one that ends."""
        logits, out = self.run(prompt), []
        while len(out) < count:
            token = int(logits[0].argmax())
            if not ignore_end and self.lib.llama_vocab_is_eog(self.vocab, token):
                break
            out.append(token)
            if len(out) < count:
                logits = self.run([token])
        return out
