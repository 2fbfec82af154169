#!/usr/bin/env python3
"""Golden values of the tasks of models' own heads: transformers' pipelines on tiny models with drawn weights.

Makes tests/golden/tasks/TASK.json: the tokenizer, the case of tests/golden/families whose model was run, the questions,
and what the pipeline answers (places in code points). Weights are drawn again, by families/make/drawing.py.

Needs torch, transformers 4.57.1, tokenizers, safetensors, numpy.
"""
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from families.make.case import fill  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
WORDS = ["anna", "paris", "works", "in", "the", "##ing", "##ed", "who", "where", "lives", ".", ",", "?", "ü",
         "日", "本", "is", "of", "berlin", "and", "-"]


def wordpiece(size):
    """[CLS] A [SEP] B [SEP] over letters and a few words."""
    tokens = (SPECIAL + LETTERS + ["##" + letter for letter in LETTERS] + WORDS)
    tokens += [f"[unused{i}]" for i in range(size - len(tokens))]
    assert len(tokens) == size, (len(tokens), size)
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
             "mask_token": "[MASK]"}
    return tokenizer, names


def byte_bpe(size, special=("<s>", "<pad>", "</s>", "<unk>"), template=None, added=()):
    """RoBERTa's: bytes and a few merges, <s> A </s></s> B </s>, a mask that takes the space before it; `added` tokens
    that are not special."""
    special = list(special)
    tokens = special + list(added) + ["Ġ", "a", "n", "p", "r", "i", "s", "w", "o", "k", "e", "t", "h", "l", "v", "d", "b", "u", ".",
                        ",", "?", "A", "P", "Ã", "¼", "W"]
    merges = [("a", "n"), ("Ġ", "a"), ("i", "s"), ("Ġ", "w"), ("e", "r"), ("Ġ", "i"), ("Ġi", "n"), ("t", "h"),
              ("Ġ", "P"), ("Ġ", "th"), ("Ġth", "e"), ("r", "k"), ("Ġw", "o"), ("Ġwo", "rk")]
    tokens += ["".join(pair) for pair in merges]
    tokens += [f"unused{i}" for i in range(size - len(tokens) - 1)] + ["<mask>"]
    assert len(tokens) == size
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[(token, special.index(token)) for token in special if token in template])
    else:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True,
                                                                add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special] +
                                 [AddedToken("<mask>", special=True, lstrip=True)])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in added])
    names = {} if "<s>" in special else {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    if names:
        return tokenizer, names
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>",
             "sep_token": "</s>", "mask_token": AddedToken("<mask>", special=True, lstrip=True)}
    return tokenizer, names


class Folder:
    """A case's model with a tokenizer, for a class of heads."""

    def __init__(self, name, auto, make_tokenizer, config=None, limit=None):
        stored = json.loads((HERE / "families" / f"{name}.json").read_text())
        keys = stored["config"] | (config or {})
        tokenizer, names = make_tokenizer(keys["vocab_size"])
        self.about = {"case": name, "config": config or {}, "tokenizer": json.loads(tokenizer.to_str()),
                      "tokenizer_config": {key: str(value) for key, value in names.items()}}
        if limit:
            self.about["tokenizer_config"]["model_max_length"] = limit
        with tempfile.TemporaryDirectory() as path:
            folder = pathlib.Path(path)
            (folder / "config.json").write_text(json.dumps(keys))
            tensors = {tensor["name"]: fill(tensor).contiguous() for tensor in stored["tensors"]
                       if "same_as" not in tensor}
            save_file(tensors, folder / "model.safetensors", {"format": "pt"})
            if "generation_config" in stored:
                (folder / "generation_config.json").write_text(json.dumps(stored["generation_config"]))
            self.model = auto.from_pretrained(folder, attn_implementation="eager").eval()
        more = {} if "token_type_ids" in str(self.model.forward.__code__.co_varnames) and keys.get("type_vocab_size", 0) > 1 \
            else {"model_input_names": ["input_ids", "attention_mask"]}
        self.tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=limit or 10**6,
                                                              **names, **more)

    def pipeline(self, task, **options):
        return transformers.pipeline(task, model=self.model, tokenizer=self.tokenizer, **options)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return round(float(value), 7) if hasattr(value, "dtype") or isinstance(value, float) else value


def write(task, cases):
    (HERE / "tasks" / f"{task}.json").write_text(
        "[\n" + ",\n".join(json.dumps(rounded(case), ensure_ascii=False) for case in cases) + "\n]\n")
    print(task, sum(len(case["rows"]) for case in cases), "rows")


TEXTS = ["Anna works in Paris.", "Ünder the 日本 is a wörd, Anna-Berlin!", "zzz", "who lives in the Paris of Berlin? Anna.",
         "  Paris,  Paris  and Berlin ", "Anna, Anna\nand the working ☃ lives"]
PAIRS = [("Where is Anna?", "Anna lives in Paris."), ("日本", "the 日本 works"), ("who", "the " * 80 + "end"),
         ("who lives " * 30, "in the " * 60), ("who lives " * 30, "Paris")]
LONG = ("Anna works in Paris, and Berlin is the place of the working ü. " * 9).strip()


def classify():
    auto = transformers.AutoModelForSequenceClassification
    cases = []
    for name, make, config in [("bert/sequence_classification", wordpiece, None), ("bert/multi_label", wordpiece, None),
                               ("bert/sequence_classification", wordpiece, {"problem_type": "regression"}),
                               ("roberta/sequence_classification", byte_bpe, None)]:
        positions = json.loads((HERE / "families" / f"{name}.json").read_text())["config"]["max_position_embeddings"]
        folder = Folder(name, auto, make, config, limit=positions - 8)
        run = folder.pipeline("text-classification")
        rows = []
        for text in TEXTS:
            rows.append({"text": text, "labels": run(text, top_k=None, truncation=True)})
        for text, pair in PAIRS:
            rows.append({"text": text, "text_pair": pair,
                         "labels": run({"text": text, "text_pair": pair}, top_k=None, truncation=True)})
        cases.append(folder.about | {"rows": rows})
    write("classify", cases)


def fill_masks():
    cases = []
    for name, make, mask in [("bert/masked_lm", wordpiece, "[MASK]"), ("roberta/masked_lm", byte_bpe, "<mask>")]:
        folder = Folder(name, transformers.AutoModelForMaskedLM, make)
        run = folder.pipeline("fill-mask")
        rows = []
        for text in ["Anna @ in the Paris.", "@", "The@ is a w@d", "Anna @ @ Paris"]:
            text = text.replace("@", mask)
            found = run(text, top_k=7)
            rows.append({"text": text, "masks": found if isinstance(found[0], list) else [found]})
        cases.append(folder.about | {"rows": rows})
    write("fill", cases)


def tag():
    cases = []
    auto = transformers.AutoModelForTokenClassification
    for name, make in [("bert/token_classification", wordpiece), ("roberta/token_classification", byte_bpe)]:
        positions = json.loads((HERE / "families" / f"{name}.json").read_text())["config"]["max_position_embeddings"]
        folder = Folder(name, auto, make, limit=positions - 8)
        rows = []
        for strategy in ["none", "simple", "first", "average", "max"]:
            run = folder.pipeline("token-classification", aggregation_strategy=strategy)
            for text in TEXTS + [LONG]:
                spans = [{"label": s.get("entity_group", s.get("entity")), "score": s["score"], "start": s["start"],
                          "end": s["end"], "text": text[s["start"]:s["end"]]} for s in run(text)]
                rows.append({"text": text, "join": strategy, "spans": spans})
        for stride in [5, 20]:
            run = folder.pipeline("token-classification", aggregation_strategy="simple", stride=stride)
            spans = [{"label": s["entity_group"], "score": s["score"], "start": s["start"], "end": s["end"],
                      "text": LONG[s["start"]:s["end"]]} for s in run(LONG)]
            rows.append({"text": LONG, "join": "simple", "overlap": stride, "spans": spans})
        cases.append(folder.about | {"rows": rows})
    write("tag", cases)


def answer():
    cases = []
    for name, make in [("bert/question_answering", wordpiece), ("roberta/question_answering", byte_bpe)]:
        positions = json.loads((HERE / "families" / f"{name}.json").read_text())["config"]["max_position_embeddings"]
        folder = Folder(name, transformers.AutoModelForQuestionAnswering, make, limit=positions - 8)
        run = folder.pipeline("question-answering")
        rows = []
        for question, context in [("Who is in Paris?", "Anna works in Paris, the Berlin of ü and 日本."), ("who", LONG),
                                  ("Where is Anna?", LONG)]:
            for options in [{}, {"top_k": 4}, {"handle_impossible_answer": True, "top_k": 3}, {"max_answer_len": 2},
                            {"max_seq_len": 40, "doc_stride": 8, "top_k": 2}]:
                found = run(question=question, context=context, **options)
                found = found if isinstance(found, list) else [found]
                rows.append({"question": question, "context": context, "options": options, "answers": found})
        cases.append(folder.about | {"rows": rows})
    write("answer", cases)


def pseudo_perplexity():
    cases = []
    for name, make in [("bert/masked_lm", wordpiece), ("roberta/masked_lm", byte_bpe)]:
        folder = Folder(name, transformers.AutoModelForMaskedLM, make)
        rows = []
        for text in TEXTS[:4]:
            encoded = folder.tokenizer(text, return_special_tokens_mask=True)
            ids, nats = torch.tensor(encoded["input_ids"]), []
            for place, special in enumerate(encoded["special_tokens_mask"]):
                if special:
                    continue
                masked = ids.clone()
                masked[place] = folder.tokenizer.mask_token_id
                with torch.no_grad():
                    logits = folder.model(masked[None]).logits[0, place].double()
                nats.append(-logits.log_softmax(-1)[ids[place]].item())
            rows.append({"text": text, "perplexity": float(torch.tensor(nats, dtype=torch.float64).mean().exp()),
                         "tokens": len(nats)})
        cases.append(folder.about | {"rows": rows})
    write("pseudo_perplexity", cases)


T5_TASKS = {"task_specific_params": {
    "summarization": {"prefix": "is: ", "num_beams": 3, "max_length": 14, "min_length": 6, "no_repeat_ngram_size": 2,
                      "length_penalty": 2.0, "early_stopping": True},
    "translation_en_to_de": {"prefix": "the: ", "max_length": 12, "num_beams": 2}}}
SOURCES = ["Anna works in the Paris.", "who, is", "the the a ü"]


# What `summarise` and `translate` say to a decoder.
SUMMARISE = "Summarise the following text in a few sentences.\n\n{text}\n\nSummary:"
TRANSLATE = ("Translate the following text from German to French. Answer with the translation alone.\n\n{text}\n\n"
             "Translation:")
CHAT = ("{% for message in messages %}<s>{{ message['role'] }} {{ message['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>a {% endif %}")


def text_to_text():
    """Summaries and translations by the model's generate, with what the folder says of the task."""
    auto = transformers.AutoModelForSeq2SeqLM

    def written(folder, ids, **settings):
        out = folder.model.generate(torch.tensor([ids]), **settings)[0]
        return folder.tokenizer.decode(out, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def t5_tokens(size):
        return byte_bpe(size, ("<pad>", "</s>", "<unk>"), "$A </s>")

    cases = []
    bart = Folder("bart/base", auto, lambda size: byte_bpe(size, template="<s> $A </s>"))
    cases.append(bart.about | {"task": "summarise", "rows": [
        # The folder's max_length is said again: the library takes one of 20 for none.
        {"text": text, "out": written(bart, bart.tokenizer(text)["input_ids"], max_length=20)} for text in SOURCES]})
    t5 = Folder("t5/base", auto, t5_tokens, T5_TASKS)
    for task, name, more in [("summarise", "summarization", {}),
                             ("translate", "translation_en_to_de", {"from": "en", "to": "de"})]:
        settings = dict(T5_TASKS["task_specific_params"][name])
        prefix = settings.pop("prefix")
        cases.append(t5.about | {"task": task, **more, "rows": [
            {"text": text, "out": written(t5, t5.tokenizer(prefix + text)["input_ids"], **settings)}
            for text in SOURCES]})
    bases = ["<s>", "<pad>", "</s>", "<unk>"]
    for name, codes, template, source, target in [
            ("m2m_100/base", ["__de__", "__en__", "__fr__"], "__en__ $A </s>", "__de__", "__fr__"),
            ("mbart/base", ["de_DE", "en_XX", "fr_XX"], "$A </s> en_XX", "de_DE", "fr_XX")]:
        folder = Folder(name, auto, lambda size: byte_bpe(size, bases + codes, template))
        tokens = bases + codes
        rows = []
        for text in SOURCES:
            ids = folder.tokenizer(text)["input_ids"]
            ids[0 if template.startswith("__") else -1] = tokens.index(source)
            first = {"forced_bos_token_id": tokens.index(target)} if template.startswith("__") else \
                {"decoder_start_token_id": tokens.index(target)}
            rows.append({"text": text, "out": written(folder, ids, max_new_tokens=9, **first)})
        cases.append(folder.about | {"task": "translate", "from": "de", "to": "fr", "max_tokens": 9, "rows": rows})
    # NLLB is m2m_100 with codes of languages and scripts.
    codes = ["deu_Latn", "eng_Latn", "fra_Latn"]
    nllb = Folder("m2m_100/gelu", auto, lambda size: byte_bpe(size, bases + codes, "eng_Latn $A </s>"))
    outs = {}
    for target in ("eng_Latn", "fra_Latn"):
        rows = []
        for text in SOURCES:
            ids = [(bases + codes).index("deu_Latn")] + nllb.tokenizer(text)["input_ids"][1:]
            rows.append({"text": text, "out": written(nllb, ids, max_new_tokens=9, no_repeat_ngram_size=1,
                                                      forced_bos_token_id=(bases + codes).index(target))})
        outs[target] = [row["out"] for row in rows]
        cases.append(nllb.about | {"task": "translate", "from": "deu", "to": target, "max_tokens": 9, "no_repeat_ngram": 1,
                                   "rows": rows})
    assert outs["eng_Latn"] != outs["fra_Latn"]
    # Marian's languages are words of the text.
    marian = Folder("marian/base", auto, lambda size: byte_bpe(size, ("</s>", "<unk>", "<pad>"), "$A </s>",
                                                               (">>deu<<", ">>fra<<")))
    outs = {}
    for target in ("deu", "fra"):
        rows = [{"text": text, "out": written(marian, marian.tokenizer(f">>{target}<< {text}")["input_ids"],
                                              max_new_tokens=9)} for text in SOURCES]
        outs[target] = [row["out"] for row in rows]
        cases.append(marian.about | {"task": "translate", "to": target, "max_tokens": 9, "rows": rows})
    assert outs["deu"] != outs["fra"]
    # LED: whoever summarises makes the first token global (the model's documentation).
    led = Folder("led/window", auto, lambda size: byte_bpe(size, template="<s> $A </s>"))
    texts = SOURCES + [" ".join(SOURCES)]
    rows, alone = [], []
    for text in texts:
        ids = led.tokenizer(text)["input_ids"]
        first = torch.tensor([[1] + [0] * (len(ids) - 1)])
        rows.append({"text": text, "out": written(led, ids, max_new_tokens=9, global_attention_mask=first)})
        alone.append(written(led, ids, max_new_tokens=9))
    assert [row["out"] for row in rows] != alone
    cases.append(led.about | {"task": "summarise", "max_tokens": 9, "rows": rows})
    # A decoder is asked in words, through its chat template.
    llama = Folder("llama/base", transformers.AutoModelForCausalLM, byte_bpe, {"max_position_embeddings": 256})
    llama.about["tokenizer_config"]["chat_template"] = llama.tokenizer.chat_template = CHAT
    for task, more, wording in [("summarise", {}, SUMMARISE), ("translate", {"from": "German", "to": "French"}, TRANSLATE)]:
        rows = []
        for text in SOURCES:
            prompt = llama.tokenizer.apply_chat_template([{"role": "user", "content": wording.replace("{text}", text)}],
                                                         tokenize=True, add_generation_prompt=True)
            out = llama.model.generate(torch.tensor([prompt]), max_new_tokens=9)[0][len(prompt):]
            rows.append({"text": text, "out": llama.tokenizer.decode(out, skip_special_tokens=True,
                                                                     clean_up_tokenization_spaces=False)})
        cases.append(llama.about | {"task": task, **more, "max_tokens": 9, "context": 256, "rows": rows})
    write("text_to_text", cases)


transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
TASKS = {"classify": classify, "fill": fill_masks, "tag": tag, "answer": answer,
         "pseudo_perplexity": pseudo_perplexity, "text_to_text": text_to_text}
for chosen in sys.argv[1:] or TASKS:
    TASKS[chosen]()
