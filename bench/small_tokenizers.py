"""Tokenizers without a language for models of random weights: a vocabulary of the right size and kind, so that other programs'
converters, which insist on one, take the folder. Ids go into the models directly; no text is ever split by these.

A folder gets tokenizer.json and tokenizer_config.json, and beside them vocab.txt (WordPiece) or a SentencePiece model.
Needs sentencepiece and protobuf for the latter.
"""
import json
import pathlib

# What each model_type's published tokenizers are; byte-level BPE where nothing is said.
WORDPIECE = {"bert", "distilbert", "electra", "mpnet"}
UNIGRAM = {"t5", "mt5", "pegasus", "albert", "deberta-v2", "mbart", "m2m_100", "marian", "xlm-roberta", "camembert"}
SENTENCEPIECE_BPE = {"llama", "mistral", "gemma", "gemma2", "gemma3", "gemma3_text", "phi3"}
SENTENCEPIECE_FILE = {"t5": "spiece.model", "mt5": "spiece.model", "pegasus": "spiece.model", "albert": "spiece.model",
                      "xlm-roberta": "sentencepiece.bpe.model", "mbart": "sentencepiece.bpe.model",
                      "camembert": "sentencepiece.bpe.model"}
SPECIALS = {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "[CLS]", "sep": "[SEP]"}
BERT_SPECIALS = {"pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]", "bos": "[BOS]", "eos": "[EOS]"}


def byte_letters():
    """The letter that stands for each byte in byte-level BPE: printable ones for themselves, the others from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def special_ids(config, size):
    """Role -> id, by the configuration's keys; the unknown token, which SentencePiece needs, at the first free place."""
    text = config.get("text_config", config)
    ids = {}
    for role in ("pad", "bos", "eos", "unk", "mask", "cls", "sep"):
        value = text.get(role + "_token_id", config.get(role + "_token_id"))
        value = value[0] if isinstance(value, list) else value
        if isinstance(value, int) and 0 <= value < size:
            ids[role] = value
    if "unk" not in ids:
        ids["unk"] = next(i for i in range(size) if i not in ids.values())
    return ids


def pieces_of(kind, size, specials):
    """The vocabulary by id: specials where they belong, then what the kind builds on, then numbered fillers."""
    start = {"bpe": ["a", "b", "ab", *byte_letters()], "wordpiece": ["a", "##a", "b", "##b"],
             "unigram": ["\u2581", "a", "b"], "sentencepiece-bpe": [f"<0x{byte:02X}>" for byte in range(256)] + ["a", "b", "ab"]}[kind]
    taken = {}
    names = SPECIALS | BERT_SPECIALS if kind == "wordpiece" else SPECIALS
    for role, i in specials.items():
        taken.setdefault(i, names[role])  # GPT-2 begins and ends with one token
    wanted = iter(dict.fromkeys(start))
    return [taken[i] if i in taken else next(wanted, f"w{i}") for i in range(size)]


def tokenizer_json(kind, pieces, specials):
    unknown = pieces[specials["unk"]]
    ids = {piece: i for i, piece in enumerate(pieces)}
    space = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model, pre, decoder = {
        "bpe": lambda: ({"type": "BPE", "vocab": ids, "merges": [["a", "b"]] if "ab" in ids else []}, byte_level, byte_level),
        "wordpiece": lambda: ({"type": "WordPiece", "vocab": ids, "unk_token": unknown, "continuing_subword_prefix": "##",
                               "max_input_chars_per_word": 100}, {"type": "BertPreTokenizer"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}),
        "unigram": lambda: ({"type": "Unigram", "unk_id": ids[unknown], "vocab": [[piece, -float(i) / len(pieces)] for i, piece in enumerate(pieces)]},
                            space, space),
        "sentencepiece-bpe": lambda: ({"type": "BPE", "vocab": ids, "merges": [["a", "b"]] if "ab" in ids else [], "unk_token": unknown,
                                       "byte_fallback": True}, space, space),
    }[kind]()
    added = [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i in sorted(set(specials.values()))]
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": bert if kind == "wordpiece" else None, "pre_tokenizer": pre,
            "post_processor": None, "decoder": decoder, "model": model}


def sentencepiece_model(kind, pieces, specials):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = 1 if kind == "unigram" else 2
    model.trainer_spec.vocab_size = len(pieces)
    model.trainer_spec.byte_fallback = kind == "sentencepiece-bpe"
    for role in ("unk", "bos", "eos", "pad"):
        setattr(model.trainer_spec, role + "_id", specials.get(role, -1))
        if role in specials:
            setattr(model.trainer_spec, role + "_piece", pieces[specials[role]])
    model.normalizer_spec.name = "identity"
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    control = {i for role, i in specials.items() if role != "unk"}
    for i, piece in enumerate(pieces):
        entry = model.pieces.add()
        entry.piece, entry.score = piece, -float(i) / len(pieces)
        is_byte = kind == "sentencepiece-bpe" and piece.startswith("<0x")
        entry.type = (kinds.UNKNOWN if i == specials["unk"] else kinds.CONTROL if i in control else kinds.BYTE if is_byte
                      else kinds.NORMAL)
    if kind == "sentencepiece-bpe" and sum(piece.startswith("<0x") for piece in pieces) < 256:
        model.trainer_spec.byte_fallback = False  # all 256 or none
        for entry in model.pieces:
            if entry.type == kinds.BYTE:
                entry.type = kinds.NORMAL
    return model.SerializeToString()


def kind_of(model_type):
    for kind, types in (("wordpiece", WORDPIECE), ("unigram", UNIGRAM), ("sentencepiece-bpe", SENTENCEPIECE_BPE)):
        if model_type in types:
            return kind
    return "bpe"


def write_tokenizer(folder):
    """A tokenizer for the folder's config.json; True when one was written, False when the folder has its own."""
    folder = pathlib.Path(folder)
    if any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model")):
        return False
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model_type = config["model_type"]
    kind, size = kind_of(model_type), config.get("text_config", config)["vocab_size"]
    specials = special_ids(config, size)
    pieces = pieces_of(kind, size, specials)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(kind, pieces, specials), ensure_ascii=False), encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    settings |= {f"{role}_token": pieces[i] for role, i in specials.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    if kind == "wordpiece":
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    if kind in ("unigram", "sentencepiece-bpe"):
        name = SENTENCEPIECE_FILE.get(model_type, "tokenizer.model")
        (folder / name).write_bytes(sentencepiece_model(kind, pieces, specials))
    return True
