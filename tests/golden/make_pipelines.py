#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/pipelines.json and slow.json: small tokenizers of every kind with the ids, segments, byte
offsets and decoded texts that the reference implementations give for hard texts.

Needs tokenizers==0.21.4, sentencepiece, transformers==4.48.3, sacremoses, emoji.
  make_pipelines.py DATA     DATA: the labelled data sets, of which wikinews trains the vocabularies

References: Hugging Face's tokenizers for tokenizer.json; the slow classes of transformers for folders without it.
"""
import base64
import json
import pathlib
import sys
import tempfile

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make_tokenizers import HARD

OUT = pathlib.Path(__file__).parent / "tokenizers"
MORE = ["fi\ufb03 \ufb01 \u2460\u00bd \uff21\uff22 \u3392 \ufdfa", "I\u0307\u0130\u0131 \u1e9e", "\u1112\u1161\u11ab\u1100\u1161 \uac01\u11a8", "a\u0315\u0300\u05ae\u0062 \u0344",
        "  lead  and trail  ", "\u200f\u05d0\u05d1 \u202eabc\u202c", "\ud55c\uad6d\u0301", "mask <mask> and  <mask>x", "[MASK]word [MASK] , the[MASK]", "Yesterday YESTERDAY yesterdays", "<one> <ONE>a<one>",
        "don't can't ... hello . it 's", "price-list--of---things", "12 345,678.90", "a|b||c", "\u00e9e\u0301\u00e8 \u00fc\u00dc"]
TEXTS = HARD + MORE
PAIRS = [(10, 41), (18, 7), (0, 9), (9, 0), (26, 21), (37, 48)]


def corpus(data):
    return [json.loads(line)["text"] for line in open(data / "wikinews" / "eval.jsonl")][:400]


def byte_offsets(text, spans):
    """tokenizers counts characters."""
    places = [0]
    for character in text:
        places.append(places[-1] + len(character.encode()))
    return [place for begin, end in spans for place in (places[begin], places[end])]


def rows_of(tokenizer):
    rows = []
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        rows.append({"ids": encoding.ids, "offsets": byte_offsets(text, encoding.offsets)})
    pairs = []
    for a, b in PAIRS:
        encoding = tokenizer.encode(TEXTS[a], TEXTS[b])
        sequence = [-1 if s is None else s for s in encoding.sequence_ids]
        offsets = []
        for span, which in zip(encoding.offsets, sequence):
            offsets += byte_offsets(TEXTS[b] if which == 1 else TEXTS[a], [span])
        pairs.append({"texts": [a, b], "ids": encoding.ids, "type_ids": encoding.type_ids, "sequence": sequence, "offsets": offsets})
    decoded = [[tokenizer.decode(row["ids"], skip_special_tokens=skip) for skip in (True, False)] for row in rows]
    return {"rows": rows, "pairs": pairs, "decoded": decoded}


def case(name, tokenizer, config=None, compare_offsets=True):
    described = json.loads(tokenizer.to_str())
    out = {"name": name, "tokenizer": described, **rows_of(tokenizer)}
    if not compare_offsets:
        out["ids_only"] = True
    return out


# ------------------------------------------------------------------ vocabularies


def train(tokenizer, trainer, texts):
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def byte_level(texts, pre=None, size=420, **kwargs):
    tokenizer = Tokenizer(models.BPE(**kwargs))
    tokenizer.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return train(tokenizer, trainer, texts)


def small_charsmap(folder):
    """A precompiled character map of a few rules; that of nmt_nfkc has 240 KB."""
    rules = folder / "rules.tsv"
    pairs = [("\ufb01", "fi"), ("\ufb03", "ffi"), ("\u00bd", "1\u20442"), ("\u3000", " "), ("\u00a0", " "), ("\t", " "), ("\n", " "), ("\u200b", ""), ("e\u0301", "\u00e9"),
             ("\u00ad", ""), ("\uff21", "A"), ("\uff22", "B"), ("\u1112\u1161\u11ab", "\ud55c"), ("\u2126", "\u03a9"), ("\u3392", "MHz"), ("A\u030a", "\u00c5"), ("\x04", ""), ("''", '"')]
    rules.write_text("".join(" ".join(f"{ord(c):04X}" for c in a) + "\t" + " ".join(f"{ord(c):04X}" for c in b) + "\n" for a, b in pairs))
    return rules


def train_sentencepiece(folder, texts, name, **kwargs):
    path = folder / "corpus.txt"
    path.write_text("\n".join(texts[:120]))
    sentencepiece.SentencePieceTrainer.Train(input=str(path), model_prefix=str(folder / name), minloglevel=2, num_threads=1,
                                             **{"vocab_size": 300, "character_coverage": 0.98, "hard_vocab_limit": False, **kwargs})
    return (folder / f"{name}.model").read_bytes()


def charsmap_of(model):
    from sentencepiece import sentencepiece_model_pb2
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    return proto


# ------------------------------------------------------------------ tokenizer.json


def wordpiece_cases(texts):
    def make(normalizer, pre, **kwargs):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre
        train(tokenizer, trainers.WordPieceTrainer(vocab_size=400, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), texts)
        tokenizer.decoder = decoders.WordPiece(**kwargs)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        return tokenizer
    yield case("bert", make(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()))
    yield case("bert cased", make(normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False, clean_text=False), pre_tokenizers.BertPreTokenizer(), cleanup=False))
    other = make(normalizers.BertNormalizer(lowercase=True, strip_accents=False), pre_tokenizers.Whitespace())
    other.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    yield case("bert accents, whitespace", other)


def byte_cases(texts):
    roberta = byte_level(texts)
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    roberta.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    yield case("roberta", roberta)
    prefixed = byte_level(texts, pre_tokenizers.ByteLevel(add_prefix_space=True))
    prefixed.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    yield case("gpt2 with a space", prefixed)
    qwen = byte_level(texts, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    qwen.normalizer = normalizers.NFC()
    qwen.post_processor = processors.ByteLevel(trim_offsets=False)
    yield case("qwen2", qwen)
    llama = byte_level(texts, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
                       pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False)]), ignore_merges=True)
    llama.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)])])
    yield case("llama 3's processors", llama)
    bloom = byte_level(texts, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated"),
                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield case("bloom", bloom)


def character_cases(texts):
    def bpe(normalizer=None, pre=None, trainer={}, **kwargs):
        tokenizer = Tokenizer(models.BPE(**kwargs))
        tokenizer.normalizer = normalizers.Sequence([] if normalizer is None else [normalizer])
        if pre is not None:
            tokenizer.pre_tokenizer = pre
        train(tokenizer, trainers.BpeTrainer(vocab_size=350, show_progress=False, limit_alphabet=60, **trainer), texts)
        return tokenizer
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    llama = bpe(normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
                trainer={"special_tokens": ["<unk>", "<s>", "</s>"] + byte_tokens}, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    described = json.loads(llama.to_str())
    described["added_tokens"] = [t for t in described["added_tokens"] if not t["content"].startswith("<0x")]
    llama = Tokenizer.from_str(json.dumps(described))
    llama.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    llama.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    yield case("llama 2", llama)
    gemma = Tokenizer.from_str(json.dumps(described))
    gemma.normalizer = normalizers.Replace(" ", "\u2581")
    gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    gemma.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    yield case("gemma", gemma)
    metaspaced = Tokenizer.from_str(json.dumps(described))
    metaspaced.normalizer = normalizers.Sequence([])
    metaspaced.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    metaspaced.decoder = decoders.Metaspace(prepend_scheme="first")
    yield case("llama 2, new form", metaspaced)
    openai = bpe(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), {"special_tokens": ["<unk>"], "end_of_word_suffix": "</w>"},
                 unk_token="<unk>", end_of_word_suffix="</w>")
    openai.decoder = decoders.BPEDecoder()
    yield case("openai", openai)
    prefixed = bpe(normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit(), {"special_tokens": ["<unk>"], "continuing_subword_prefix": "##"},
                   unk_token="<unk>", continuing_subword_prefix="##")
    prefixed.decoder = decoders.WordPiece()
    yield case("bpe with a prefix", prefixed)
    for fuse in (False, True):
        yield case(f"bpe, unknown {'fused' if fuse else 'alone'}", bpe(pre=pre_tokenizers.Whitespace(), trainer={"special_tokens": ["<unk>"]}, unk_token="<unk>", fuse_unk=fuse))
    dropped = bpe(normalizers.ByteLevel(), pre_tokenizers.Split(Regex(r"\s+"), "removed"), {"special_tokens": ["<unk>"]}, unk_token="<unk>")
    yield case("byte-level normalizer", dropped)


def unigram_cases(texts, folder):
    model = train_sentencepiece(folder, texts, "u", model_type="unigram", normalization_rule_tsv=str(small_charsmap(folder)))
    proto = charsmap_of(model)
    vocabulary = [(piece.piece, piece.score) for piece in proto.pieces]
    charsmap = proto.normalizer_spec.precompiled_charsmap
    t5 = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    t5.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "\u2581")])
    t5.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t5.decoder = decoders.Metaspace()
    t5.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True, rstrip=True)])
    t5.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    yield case("t5", t5)
    xlm = Tokenizer.from_str(t5.to_str())
    xlm.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    xlm.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    yield case("xlm-roberta", xlm)
    deberta = Tokenizer.from_str(t5.to_str())
    deberta.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    deberta.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace(prepend_scheme="first")])
    yield case("deberta v3", deberta)
    albert = Tokenizer.from_str(t5.to_str())
    albert.normalizer = normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
                                              normalizers.Lowercase(), normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    albert.post_processor = processors.TemplateProcessing(single="$A:0 </s>:0 <s>:2", pair="$A:0 </s>:0 $B:1 </s>:1 <s>:2", special_tokens=[("<s>", 1), ("</s>", 2)])
    yield case("albert", albert)
    bytes_too = Tokenizer(models.Unigram(vocabulary + [(f"<0x{byte:02X}>", -20.0) for byte in range(256)], unk_id=0, byte_fallback=True))
    bytes_too.normalizer = normalizers.NFKC()
    bytes_too.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    bytes_too.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")])
    yield case("unigram with bytes", bytes_too)


def step_cases(texts):
    """Each normalizer and pre-tokenizer, seen by the offsets of words."""
    words = ["[UNK]"] + sorted({w for text in texts[:40] for w in text.lower().split()})[::9][:150] + list(",.-|!?'\"") + ["list", "price", "yesterday", "345", "1", "e"]

    def level(normalizer=None, pre=None):
        tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"))
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if pre is not None:
            tokenizer.pre_tokenizer = pre
        return tokenizer
    space = pre_tokenizers.WhitespaceSplit()
    steps = [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(),
             normalizers.Nmt(), normalizers.Strip(), normalizers.Strip(left=False), normalizers.Prepend(">> "), normalizers.Replace("a", "\u4e2d b"),
             normalizers.Replace(Regex(r"[aeiou]+\b|\d"), ""), normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFC()]),
             normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(r" {2,}"), " "), normalizers.Prepend("_")])]
    for step in steps:
        yield case(f"normalizer {json.dumps(json.loads(level(step).to_str())['normalizer'])[:60]}", level(step, space))
    cuts = [pre_tokenizers.Whitespace(), pre_tokenizers.CharDelimiterSplit("|"), pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits(), pre_tokenizers.Digits(True)]
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    cuts += [pre_tokenizers.Punctuation(behavior) for behavior in behaviors]
    cuts += [pre_tokenizers.Split(Regex(r"\w+|-"), behavior, invert) for behavior in behaviors for invert in (False, True)]
    cuts += [pre_tokenizers.Metaspace("_", "first", True), pre_tokenizers.Metaspace("_", "never", True), pre_tokenizers.Split("-", "contiguous"), pre_tokenizers.Split(Regex(r"(?=\d)|\s+$"), "isolated")]
    if hasattr(pre_tokenizers, "FixedLength"):
        cuts.append(pre_tokenizers.FixedLength(3))
    for step in cuts:
        yield case(f"pre-tokenizer {json.dumps(json.loads(level(None, step).to_str())['pre_tokenizer'])[:90]}", level(None, step))
    added = level(normalizers.Sequence([normalizers.Lowercase(), normalizers.NFKC()]), pre_tokenizers.Whitespace())
    added.add_tokens([AddedToken("Yesterday", normalized=True, single_word=True), AddedToken("<one>", normalized=False, rstrip=True), AddedToken("and", normalized=True, lstrip=True, rstrip=True),
                      AddedToken("\ufb01", normalized=True), AddedToken("the", normalized=False, single_word=True)])
    added.add_special_tokens([AddedToken("[MASK]", normalized=False, lstrip=True), AddedToken("<MASK>", normalized=True), AddedToken("<|im_end|>")])
    yield case("added tokens", added)
    ctc = level(None, space)
    ctc.decoder = decoders.CTC(pad_token="[UNK]", word_delimiter_token="|")
    yield case("ctc", ctc)


# ------------------------------------------------------------------ slow tokenizers


def slow_cases(texts, folder):
    import transformers
    rules = str(small_charsmap(folder))
    unigram = train_sentencepiece(folder, texts, "slow", model_type="unigram", normalization_rule_tsv=rules)
    fairseq = dict(model_type="unigram", normalization_rule_tsv=rules, unk_id=0, bos_id=1, eos_id=2)
    xlm = train_sentencepiece(folder, texts, "xlm", **fairseq)
    t5 = train_sentencepiece(folder, texts, "t5", model_type="unigram", normalization_rule_tsv=rules, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, user_defined_symbols=["<table>", "--"])
    bpe = train_sentencepiece(folder, texts, "bpe", model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                              user_defined_symbols=["<table>", "\u2581\u2581"])
    squeezed = train_sentencepiece(folder, texts, "squeezed", model_type="bpe", normalization_rule_tsv=rules, treat_whitespace_as_suffix=True)
    deberta = train_sentencepiece(folder, texts, "deberta", model_type="unigram", normalization_rule_tsv=rules, pad_id=0, bos_id=1, eos_id=2, unk_id=3, bos_piece="[CLS]", eos_piece="[SEP]",
                                  pad_piece="[PAD]", unk_piece="[UNK]", user_defined_symbols=["[MASK]"])
    albert = train_sentencepiece(folder, [t.lower() for t in texts], "albert", model_type="unigram", normalization_rule_tsv=rules, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
                                 control_symbols=["[CLS]", "[SEP]", "[MASK]"], pad_piece="<pad>", unk_piece="<unk>", split_digits=True)
    pieces = [sentencepiece.SentencePieceProcessor(model_proto=xlm).id_to_piece(i) for i in range(sentencepiece.SentencePieceProcessor(model_proto=xlm).vocab_size())]
    marian = ["</s>", "<unk>"] + pieces[3:] + ["\u2581cible", ">>fra<<", "<pad>"]
    m2m = ["<s>", "<pad>", "</s>", "<unk>"] + pieces[3:]
    byte_bpe = byte_level(texts)
    byte_model = json.loads(byte_bpe.to_str())["model"]
    merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in byte_model["merges"])
    openai = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    openai.normalizer, openai.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    train(openai, trainers.BpeTrainer(vocab_size=350, show_progress=False, special_tokens=["<unk>"], end_of_word_suffix="</w>"), texts)
    openai_model = json.loads(openai.to_str())["model"]
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer, wordpiece.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    train(wordpiece, trainers.WordPieceTrainer(vocab_size=400, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<mask>"]), texts)
    vocab_txt = "".join(t + "\n" for t in sorted(wordpiece.get_vocab(), key=wordpiece.get_vocab().get))
    codes = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    codes.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    train(codes, trainers.BpeTrainer(vocab_size=400, show_progress=False, end_of_word_suffix="</w>"), texts)
    code_model = json.loads(codes.to_str())["model"]
    bertweet_words = [t.removesuffix("</w>") if t.endswith("</w>") else t + "@@" for t in list(code_model["vocab"])[5:]]
    bertweet = {"vocab.txt": "".join(f"{t} 1\n" for t in dict.fromkeys(bertweet_words)), "bpe.codes": "".join(" ".join(m) + " 1\n" for m in code_model["merges"])}
    spm = "sentencepiece.bpe.model"
    byte_files = {"vocab.json": json.dumps(byte_model["vocab"]), "merges.txt": merges}
    classes = [
        ("XLMRobertaTokenizer", {spm: xlm}, {}), ("CamembertTokenizer", {spm: xlm}, {}), ("MBartTokenizer", {spm: xlm}, {}), ("MBart50Tokenizer", {spm: xlm}, {"src_lang": "fr_XX"}),
        ("M2M100Tokenizer", {spm: xlm, "vocab.json": json.dumps({t: i for i, t in enumerate(m2m)})}, {}),
        ("MarianTokenizer", {"source.spm": xlm, "target.spm": xlm, "vocab.json": json.dumps({t: i for i, t in enumerate(marian)})}, {"source_lang": "en", "target_lang": "fr"}),
        ("T5Tokenizer", {"spiece.model": t5}, {"legacy": True}), ("PegasusTokenizer", {"spiece.model": t5}, {}), ("AlbertTokenizer", {"spiece.model": albert}, {}),
        ("DebertaV2Tokenizer", {"spm.model": deberta}, {"do_lower_case": True}), ("LlamaTokenizer", {"tokenizer.model": bpe}, {"legacy": True}),
        ("LlamaTokenizer", {"tokenizer.model": squeezed}, {"legacy": True, "add_bos_token": False, "add_eos_token": True}), ("LlamaTokenizer", {"tokenizer.model": unigram}, {"legacy": True}),
        ("BertTokenizer", {"vocab.txt": vocab_txt}, {"do_lower_case": False}), ("MPNetTokenizer", {"vocab.txt": vocab_txt}, {}),
        ("GPT2Tokenizer", byte_files, {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}), ("RobertaTokenizer", byte_files, {}),
        ("OpenAIGPTTokenizer", {"vocab.json": json.dumps(openai_model["vocab"]), "merges.txt": "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in openai_model["merges"])}, {}),
        ("BertweetTokenizer", bertweet, {}),
    ]
    for name, files, config in classes:
        path = folder / name
        path.mkdir(exist_ok=True)
        for old in path.iterdir():
            old.unlink()
        for file, content in files.items():
            (path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        config = {"tokenizer_class": name, **config}
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = getattr(transformers, name).from_pretrained(str(path))
        rows = [tokenizer(text)["input_ids"] for text in TEXTS]
        pairs = [[a, b, tokenizer(TEXTS[a], TEXTS[b])["input_ids"]] for a, b in PAIRS[:2]] if name != "LlamaTokenizer" else []
        encoded = {file: base64.b64encode(content).decode() if isinstance(content, bytes) else content for file, content in files.items()}
        yield {"class": name, "config": config, "files": encoded, "binary": [file for file, content in files.items() if isinstance(content, bytes)], "ids": rows, "pairs": pairs}


def write(name, content):
    path = OUT / name
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def main():
    texts = corpus(pathlib.Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        cases = [*wordpiece_cases(texts), *byte_cases(texts), *character_cases(texts), *unigram_cases(texts, folder), *step_cases(texts)]
        write("pipelines.json", {"texts": TEXTS, "cases": cases})
        write("slow.json", {"texts": TEXTS, "cases": list(slow_cases(texts, folder))})


if __name__ == "__main__":
    main()
