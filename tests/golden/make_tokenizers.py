#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/: small tokenizers of each kind with the ids that the reference implementations give
for hard texts, and, of the published models, one sum of hashes for each labelled data set.

Needs tokenizers==0.21.4, sentencepiece, gguf, jinja2.
  make_tokenizers.py MODELS DATA     MODELS: a directory of pulled models; DATA: the labelled data sets

References: Hugging Face's tokenizers for WordPiece and byte-level BPE (from tokenizer.json; for a GGUF file built from
its vocabulary and merges with the pre-tokenizer and normaliser that the model was published with), sentencepiece for
SentencePiece (its model put together again from the pieces, types and scores that the GGUF file keeps).
"""
import gzip
import json
import pathlib
import random
import re
import struct
import sys
import tempfile

import jinja2.sandbox
import sentencepiece
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

OUT = pathlib.Path(__file__).parent / "tokenizers"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

# ------------------------------------------------------------------ texts

HARD = [
    "", " ", "  ", "\n", "\n\n", " \n \n ", "\t\tx", "a", "Hello, World!", "don't I'M we'Ve they'LL 'tis 's",
    "The quick brown fox jumps over the lazy dog.", "unaffable undeniably antidisestablishmentarianism",
    "x" * 100, "x" * 101, "ab" * 300, "1234567890 3.14 1,000,000 2nd \u00bd \u0663\u2460", "foo   bar\t\tbaz\r\nqux\n\n\nend",
    "\u00c9t\u00e9 na\u00efve co\u00f6perate S\u00e3o", "e\u0301 n\u0303 \u0300\u0301 a\u0323\u0307 q\u0307\u0323", "\u0130stanbul \u00df \u017f '\u017f \u212b \u2126 \ufb01",
    "\u4e2d\u56fd\u4eba \u65e5\u672c\u8a9e\u30c6\u30b9\u30c8 \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e9\u05dc\u05d5\u05dd \u0939\u093f\u0928\u094d\u0926\u0940 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "\uf900 \u3400 \U00020000 \U0002f800",
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd", "zero\u200bwidth\u200dand\ufeffmark soft\u00adhyphen",
    "nul\x00bell\x07esc\x1bdel\x7fnel\x85", "\xa0nbsp\u2003em\u2028line\u3000wide\u180evowel", "a\x04b\x13c\x16d\x1de",
    "<|im_end|>", "<|im_start|>system\nyou are root<|im_end|>", "[SEP] [CLS][MASK] [UNK] [PAD]", "<s>x</s> <unk><mask>",
    "<start_of_turn>user\nhi<end_of_turn>", "a<tool_call>b</tool_call>", "<bos><eos>", "< |im_end| > <|im_end", "<0x0A> \u2581\u2581 \u2581the",
    "<table><tr>x</tr></table>", "## ##ing #hash", "$5 \u20ac6 \xa37 @user_name https://example.org/?q=1&r=2#frag", "...!!!??? -- \u2014 \u201cquoted\u201d \u2018s",
    "def f(x):\n    return x  # comment\n\n\n", "\ufffd \ufffd", "WITH CAPITALS AND MiXeD CaSe",
]
# Ill-formed UTF-8; the references get it with U+FFFD in place (Python's errors="replace").
ILL_FORMED = [b"\xff", b"ab\x80cd", b"\xc3(", b"\xe4\xb8", b"x\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80 ok", b"\xe4\xb8\xad\xe4 \xf0\x9f\x98\x80"]


def mixed_texts(count):
    """Random strings of hard pieces."""
    pieces = ["'s", "'LL", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\t\t", " the", "ing", "Hello", "\xe9", "e\u0301", "\u4e2d", "\u56fd", "\ud55c", "\u0639",
              "\U0001f469\u200d\U0001f467", "\u200d", "\x00", "\x04", "\xa0", "\u180e", "\u3000", "1", "23", "4567", "\xbd", "!", "...", "<|im_end|>", "[SEP]",
              "[MASK]", "<s>", "</s>", "<mask>", "<end_of_turn>", "<tool_call>", "<|endoftext|>", "<table>", "\u2581", "##", "_", "$", "don't"]
    draw = random.Random(3)
    return ["".join(draw.choice(pieces) for _ in range(draw.randint(1, 12))) for _ in range(count)]


def hard_texts():
    return [text.encode() for text in HARD + mixed_texts(80)] + ILL_FORMED


# ------------------------------------------------------------------ references


class HuggingFace:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()

    def ids(self, texts, parse_special, add_special):
        self.tokenizer.encode_special_tokens = not parse_special
        out = []
        for begin in range(0, len(texts), 2000):
            batch = self.tokenizer.encode_batch(texts[begin:begin + 2000], add_special_tokens=add_special)
            out += [encoding.ids for encoding in batch]
        return out


def byte_level_bpe(tokens, types, merges, pre):
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)},
                                     merges=[tuple(merge.split(" ")) for merge in merges],
                                     **({"ignore_merges": True} if pre == "llama-bpe" else {})))
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = {
        "gpt-2": whole,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole]),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), plain]),
        "llama-bpe": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), plain]),
    }[pre]
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                  for t, kind in zip(tokens, types) if kind == CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False)
                          for t, kind in zip(tokens, types) if kind == USER_DEFINED])
    assert tokenizer.get_vocab_size() == len(tokens)
    return HuggingFace(tokenizer)


class SentencePiece:
    def __init__(self, tokens, types, scores, unk, prefix):
        self.controls = {t: i for i, (t, kind) in enumerate(zip(tokens, types)) if kind in (CONTROL, UNKNOWN)}
        longest_first = sorted(self.controls, key=len, reverse=True)
        self.split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self.processor = sentencepiece.SentencePieceProcessor()
        self.processor.LoadFromSerializedProto(self.proto(tokens, types, scores, unk, prefix))

    @staticmethod
    def proto(tokens, types, scores, unk, prefix):
        """github.com/google/sentencepiece, sentencepiece_model.proto."""
        def varint(number):
            out = b""
            while number > 127:
                out += bytes([number & 127 | 128])
                number >>= 7
            return out + bytes([number])

        def string(field, value):
            return varint(field << 3 | 2) + varint(len(value)) + value

        def integer(field, value):
            return varint(field << 3) + varint(value)

        out = b""
        for i, (token, kind, score) in enumerate(zip(tokens, types, scores)):
            text = token.replace(" ", "\u2581") if kind == USER_DEFINED else token
            out += string(1, string(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score)
                          + integer(3, UNKNOWN if i == unk else kind))
        no_id = 2**64 - 1  # -1
        out += string(2, integer(3, 2) + integer(4, len(tokens)) + integer(35, int(BYTE in types)) + integer(40, unk)
                      + integer(41, no_id) + integer(42, no_id) + integer(43, no_id))
        return out + string(3, string(1, b"identity") + integer(3, int(prefix)) + integer(4, 0) + integer(5, 1))

    def ids(self, texts, parse_special, add_special=False):
        if not parse_special:
            return self.processor.encode(texts, out_type=int)
        return [[i for part in self.split.split(text) if part
                 for i in ([self.controls[part]] if part in self.controls else self.processor.encode(part))]
                for text in texts]


# ------------------------------------------------------------------ small tokenizers


def case_text(text):
    try:
        return {"text": text.decode()}
    except UnicodeDecodeError:
        return {"hex": text.hex()}


def write_small(name, metadata, references):
    """references: [(changes to the metadata, reference, whether special tokens surround a text)]"""
    texts = hard_texts()
    decoded = [text.decode(errors="replace") for text in texts]
    variants = []
    for changes, reference, add_special in references:
        plain = reference.ids(decoded, False, add_special)
        special = reference.ids(decoded, True, add_special)
        variants.append({"metadata": changes, "ids": plain, "ids_parse_special": special})
    out = {"metadata": metadata, "texts": [case_text(text) for text in texts], "variants": variants}
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")
    return out


def small_wordpiece(folder):
    """Part of bert-base-uncased's vocabulary: single characters and the first few thousand words and continuations."""
    published = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = sorted(published["model"]["vocab"], key=published["model"]["vocab"].get)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [t for t in vocabulary if t not in special and not t.startswith("[unused")]
    singles = [t for t in words if len(t.removeprefix("##")) == 1]
    frequent = [t for t in words if t not in set(singles)][:3500]
    tokens = special + singles + frequent
    published["model"]["vocab"] = {t: i for i, t in enumerate(tokens)}
    for token in published["added_tokens"]:
        token["id"] = tokens.index(token["content"])
    for token in published["post_processor"]["special_tokens"].values():
        token["ids"] = [tokens.index(t) for t in token["tokens"]]

    def reference(lowercase, strip_accents):
        published["normalizer"].update(lowercase=lowercase, strip_accents=strip_accents)
        return HuggingFace(Tokenizer.from_str(json.dumps(published)))

    def mark(token):
        return token if token in special else token[2:] if token.startswith("##") else "\u2581" + token

    metadata = {"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": [mark(t) for t in tokens],
                "tokenizer.ggml.token_type": [CONTROL if t in special else NORMAL for t in tokens],
                "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3,
                "tokenizer.ggml.unknown_token_id": 1, "tokenizer.ggml.padding_token_id": 0,
                "tokenizer.ggml.mask_token_id": 4}
    flags = [(True, True), (False, False), (True, False)]
    write_small("wordpiece", metadata,
                [({"tokenizer.wattle.lowercase": low, "tokenizer.wattle.strip_accents": strip}, reference(low, strip), True)
                 for low, strip in flags])


def small_bpe(path):
    """The first merges of SmolLM2's vocabulary (it lacks 21 of the 256 bytes) with tokens of every type."""
    published = gguf_tokenizer(path)
    merges = published["tokenizer.ggml.merges"][:2500]
    letters = [t for t in published["tokenizer.ggml.tokens"] if len(t) == 1]
    controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    added = ["<tool_call>", "</tool_call>", "\n\n\n"]
    tokens = controls + added + letters + ["".join(m.split(" ")) for m in merges]
    tokens = list(dict.fromkeys(tokens))
    types = [CONTROL] * len(controls) + [USER_DEFINED] * len(added) + [NORMAL] * (len(tokens) - len(controls) - len(added))
    # A word that no merge reaches, for models that look whole words up first.
    tokens += ["brown", "[PAD]"]
    types += [NORMAL, UNUSED]
    metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
                "tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
                "tokenizer.ggml.add_bos_token": False}
    write_small("bpe", metadata, [({"tokenizer.ggml.pre": pre}, byte_level_bpe(tokens, types, merges, pre), False)
                                  for pre in ("gpt-2", "smollm", "qwen2", "llama-bpe")])
    return metadata, byte_level_bpe(tokens, types, merges, "smollm")


def small_sentencepiece(data):
    """Trained here on news (CC BY); once as gemma uses it, once as llama does, once without byte tokens."""
    user_defined = ["\n", "\n\n", "\n\n\n", "\t", "\u2581\u2581", "\u2581\u2581\u2581", "<table>", "</table>"]
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus.txt"
        corpus.write_text("\n".join(json.loads(line)["text"] for line in open(data / "wikinews" / "eval.jsonl")))
        sentencepiece.SentencePieceTrainer.Train(
            input=str(corpus), model_prefix=f"{folder}/m", model_type="bpe", vocab_size=3000, byte_fallback=True,
            normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
            character_coverage=0.999, minloglevel=2, num_threads=1,
            control_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>"],
            user_defined_symbols=user_defined)
        trained = sentencepiece.SentencePieceProcessor(f"{folder}/m.model")
    tokens, types, scores = [], [], []
    for i in range(trained.vocab_size()):
        text = trained.id_to_piece(i)
        kind = (UNKNOWN if trained.is_unknown(i) else CONTROL if trained.is_control(i) else BYTE if trained.is_byte(i)
                else USER_DEFINED if text in user_defined else NORMAL)
        # GGUF keeps user-defined pieces with plain spaces.
        tokens.append(text.replace("\u2581", " ") if kind == USER_DEFINED else text)
        types.append(kind)
        scores.append(trained.get_score(i))
    # Pieces that only help to build others.
    unused = [i for i, kind in enumerate(types) if kind == NORMAL][40:400:7]
    with_unused = [UNUSED if i in unused else kind for i, kind in enumerate(types)]
    without_bytes = [CONTROL if kind == BYTE else kind for kind in types]
    metadata = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores,
                "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
                "tokenizer.ggml.add_bos_token": False}
    references = []
    for kinds, prefix in ((types, False), (types, True), (with_unused, False), (without_bytes, False)):
        references.append(({"tokenizer.ggml.token_type": kinds, "tokenizer.ggml.add_space_prefix": prefix},
                           SentencePiece(tokens, kinds, scores, 0, prefix), False))
    write_small("sentencepiece", metadata, references)
    metadata["tokenizer.ggml.token_type"] = types
    return metadata, references[0][1], references[1][1]


# ------------------------------------------------------------------ chat templates

CONVERSATIONS = [
    [("user", "Hello!")],
    [("system", "Answer in one word."), ("user", "What is 2 + 2?")],
    [("user", "Name a colour."), ("assistant", "Blue."), ("user", "  Another, please.\n")],
    [("user", "\n\nleading lines"), ("assistant", " spaced "), ("user", "")],
    [("user", "\u4f60\u597d \U0001f600 caf\u00e9")],
]
# Of the forms that published models use, written anew with the same output.
TEMPLATES = {
    "chatml": "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nYou are a test."
              "<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
              "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "chatml without default": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
                              "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "gemma": "{{ bos_token }}{% set first_user_prefix = '' %}{% if messages[0]['role'] == 'system' %}"
             "{% set first_user_prefix = messages[0]['content'] + '\n\n' %}{% set messages = messages[1:] %}{% endif %}"
             "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ '<start_of_turn>model\n' }}{% else %}"
             "{{ '<start_of_turn>' + m['role'] + '\n' + (first_user_prefix if loop.first else '') }}{% endif %}"
             "{{ m['content'] | trim }}{{ '<end_of_turn>\n' }}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "llama-2": "{% set system = '' %}{% if messages[0]['role'] == 'system' %}{% set system = '<<SYS>>\n' + "
               "messages[0]['content'] + '\n<</SYS>>\n\n' %}{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
               "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + ((system if loop.first else '') + m['content']).strip()"
               " + ' [/INST]' }}{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
}


def render(template, conversation, bos, eos):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": role, "content": content} for role, content in conversation]
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True, bos_token=bos,
                                                    eos_token=eos)


def chat_case(reference, template, bos, eos):
    return [{"messages": conversation, "ids": reference.ids([render(template, conversation, bos, eos)], True, False)[0]}
            for conversation in CONVERSATIONS]


def write_chat(bpe, sentencepiece_metadata, gemma, llama):
    metadata, reference = bpe
    cases = []
    for name, template in TEMPLATES.items():
        tokenizer = {"gemma": gemma, "llama-2": llama}.get(name, reference)
        kind = "sentencepiece" if name in ("gemma", "llama-2") else "bpe"
        texts = sentencepiece_metadata["tokenizer.ggml.tokens"]
        cases.append({"name": name, "tokenizer": kind, "variant": 1 if kind == "bpe" or name == "llama-2" else 0,
                      "template": template, "conversations": chat_case(tokenizer, template, texts[1], texts[2])})
    (OUT / "chat.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


# ------------------------------------------------------------------ published models


def gguf_tokenizer(path):
    fields = GGUFReader(path).fields
    return {key: fields[key].contents() for key in fields if key.startswith("tokenizer.")}


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def data_sets(data):
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        texts = []
        for path in sorted(list(folder.glob("*.jsonl")) + list(folder.glob("*.jsonl.gz"))):
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    texts += strings(json.loads(line))
        yield folder.name, texts


def fnv1a(ids):
    """64 bits of FNV-1a over the ids as little-endian 32-bit integers; a list's length is in its number of bytes."""
    value = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}i", *ids):
        value = (value ^ byte) * 0x100000001B3 & (2**64 - 1)
    return value


def published(models_dir):
    for name in ("all-minilm-l6-v2", "all-mpnet-base-v2"):
        yield name, HuggingFace(Tokenizer.from_file(str(models_dir / name / "tokenizer.json"))), True, None
    for name in ("smollm2-135m-instruct.Q4_1.gguf", "qwen2.5-coder-0.5b-instruct.Q4_K_M.gguf"):
        keys = gguf_tokenizer(models_dir / name)
        yield name, byte_level_bpe(keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"],
                                   keys["tokenizer.ggml.merges"], keys["tokenizer.ggml.pre"]), False, \
            keys["tokenizer.chat_template"]
    name = "gemma-3-270m.Q4_K_M.gguf"
    keys = gguf_tokenizer(models_dir / name)
    yield name, SentencePiece(keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"],
                              keys["tokenizer.ggml.scores"], 3, False), False, None


def write_published(models_dir, data):
    out = []
    sets = list(data_sets(data))
    for name, reference, add_special, template in published(models_dir):
        entry = {"model": name, "add_special": add_special, "hard": [], "sets": {}}
        hard = [text.decode(errors="replace") for text in hard_texts()]
        for parse_special in (False, True):
            hashes = [fnv1a(ids) for ids in reference.ids(hard, parse_special, add_special)]
            entry["hard"].append(f"{sum(hashes) & (2**64 - 1):016x}")
        for set_name, texts in sets:
            ids = reference.ids(texts, False, add_special)
            # A sum, so that the order of a row's fields does not matter.
            entry["sets"][set_name] = {"texts": len(texts), "ids": sum(map(len, ids)),
                                       "hash": f"{sum(map(fnv1a, ids)) & (2**64 - 1):016x}"}
        if template:
            entry["chat"] = chat_case(reference, template, "", "")
        print(name, sum(row["ids"] for row in entry["sets"].values()), "ids")
        out.append(entry)
    (OUT / "published.json").write_text(json.dumps(out, indent=1) + "\n")


def main():
    models_dir, data = map(pathlib.Path, sys.argv[1:3])
    OUT.mkdir(exist_ok=True)
    small_wordpiece(models_dir / "all-minilm-l6-v2")
    bpe = small_bpe(models_dir / "smollm2-135m-instruct.Q4_1.gguf")
    sentencepiece_metadata, gemma, llama = small_sentencepiece(data)
    write_chat(bpe, sentencepiece_metadata, gemma, llama)
    write_published(models_dir, data)


if __name__ == "__main__":
    main()
