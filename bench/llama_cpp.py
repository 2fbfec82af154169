"""llama.cpp's C interface by ctypes, from the shared library of the package xllamacpp: tokens, logits, greedy text.

Only what the comparisons here need. Parameter structs are opaque blocks of bytes, longer than any version's, of which the
leading fields (stable for years) are set: a callee reads and writes no more than its own size of them.
"""
import ctypes
import pathlib
import time

import numpy as np


class _Block(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_ubyte * 1024)]


class _ContextParams(ctypes.Structure):
    _fields_ = [("n_ctx", ctypes.c_uint32), ("n_batch", ctypes.c_uint32), ("n_ubatch", ctypes.c_uint32),
                ("n_seq_max", ctypes.c_uint32), ("rest", ctypes.c_ubyte * 1008)]


class _Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def _library():
    import xllamacpp
    folder = pathlib.Path(xllamacpp.__file__).parent
    lib = ctypes.CDLL(str(next(folder.glob("*.so"))))
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in [
        ("llama_backend_init", None, []),
        ("llama_model_default_params", _Block, []),
        ("llama_context_default_params", _ContextParams, []),
        ("llama_model_load_from_file", pointer, [text, _Block]),
        ("llama_init_from_model", pointer, [pointer, _ContextParams]),
        ("llama_set_n_threads", None, [pointer, ctypes.c_int32, ctypes.c_int32]),
        ("llama_model_get_vocab", pointer, [pointer]),
        ("llama_vocab_n_tokens", ctypes.c_int32, [pointer]),
        ("llama_vocab_get_add_bos", ctypes.c_bool, [pointer]),
        ("llama_vocab_bos", ctypes.c_int32, [pointer]),
        ("llama_vocab_is_eog", ctypes.c_bool, [pointer, ctypes.c_int32]),
        ("llama_tokenize", ctypes.c_int32, [pointer, text, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32),
                                            ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]),
        ("llama_detokenize", ctypes.c_int32, [pointer, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32, text,
                                              ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]),
        ("llama_batch_init", _Batch, [ctypes.c_int32, ctypes.c_int32, ctypes.c_int32]),
        ("llama_decode", ctypes.c_int32, [pointer, _Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
        ("llama_get_memory", pointer, [pointer]),
        ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
        ("llama_log_set", None, [pointer, pointer]),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def _set_flash_attention(params, on):
    """Rope scaling, pooling, attention and flash attention are four neighbours with -1, "as the model says"."""
    fields = (ctypes.c_int32 * 64).from_buffer(params)
    first = next(i for i in range(60) if list(fields[i:i + 4]) == [-1] * 4)
    fields[first + 3] = int(on)


class LlamaCpp:
    """A model with a context of `context` tokens, run by `threads` threads; key-value cache F16, its default.
    flash_attention None: as llama.cpp chooses."""

    def __init__(self, path, context=512, threads=2, flash_attention=None):
        self.lib = lib = _library()
        self._quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(ctypes.cast(self._quiet, ctypes.c_void_p), None)
        lib.llama_backend_init()
        started = time.perf_counter()
        self.model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        self.load_seconds = time.perf_counter() - started
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, context, min(context, 512)
        if flash_attention is not None:
            _set_flash_attention(params, flash_attention)
        self.context = lib.llama_init_from_model(self.model, params)
        lib.llama_set_n_threads(self.context, threads, threads)
        vocab = lib.llama_model_get_vocab(self.model)
        self.vocab, self.size = vocab, lib.llama_vocab_n_tokens(vocab)
        self.bos = lib.llama_vocab_bos(vocab) if lib.llama_vocab_get_add_bos(vocab) else None
        self.batch = lib.llama_batch_init(context, 0, 1)
        self.position = 0

    def tokenize(self, text, add_special=False):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), add_special, False)
        return list(ids[:count])

    def detokenize(self, ids):
        out = ctypes.create_string_buffer(32 * len(ids) + 64)
        size = self.lib.llama_detokenize(self.vocab, (ctypes.c_int32 * len(ids))(*ids), len(ids), out, len(out), True,
                                         False)
        return out.raw[:size].decode(errors="replace")

    def clear(self):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        self.position = 0

    def run(self, tokens, all_logits=False):
        """Continues with `tokens`; logits [tokens or 1, vocabulary]."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, self.position + i, 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = all_logits or i + 1 == len(tokens)
        status = self.lib.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode: {status}")
        self.position += len(tokens)
        rows = range(len(tokens)) if all_logits else [len(tokens) - 1]
        return np.stack([np.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, i), (self.size,)).copy()
                         for i in rows])

    def greedy(self, prompt, count):
        """Up to `count` tokens, without the one that ends the text."""
        self.clear()
        logits, out = self.run(prompt), []
        while len(out) < count:
            token = int(logits[0].argmax())
            if self.lib.llama_vocab_is_eog(self.vocab, token):
                break
            out.append(token)
            if len(out) < count:
                logits = self.run([token])
        return out
