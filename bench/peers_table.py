"""The tables of docs/performance.md from the results of bench/peers: one block a kind of processor, between two marks."""
import pathlib
import statistics
import textwrap

TITLES = {"wattle": "Wattle", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ctranslate2": "CTranslate2",
          "llama.cpp": "llama.cpp", "ik_llama.cpp": "ik_llama.cpp", "openvino-genai": "OpenVINO GenAI",
          "onnxruntime-genai": "ONNX Runtime GenAI", "stable-diffusion.cpp": "stable-diffusion.cpp (loads; no case runs it yet)"}
# Arithmetic of the peers that a precision of ours is compared with.
KINDS = {"F32": "fp32", "BF16": "bf16", "Q8_0": "int8", "Q4_0": "int8", "W8A8": "int8"}
PHASES = {"decoder": (("prompt", "prompt of {prompt}", "percent_of_peak", "peak"),
                      ("prompt_2048", "prompt of 2,048", "percent_of_peak", "peak"),
                      ("generate", "generation", "percent_of_read_loop", "read loop"),
                      ("sequences_4", "4 sequences together", "percent_of_read_loop", "read loop"),
                      ("sequences_16", "16 sequences together", "percent_of_peak", "peak"),
                      ("beams", "beam {beams}", "percent_of_peak", "peak")),
          "translator": (("prompt", "encoder, {prompt} tokens", "percent_of_peak", "peak"),
                         ("generate", "generation", "percent_of_read_loop", "read loop"),
                         ("beams", "beam {beams}", "percent_of_peak", "peak"))}
TEXT_PEERS = ("llama.cpp", "ik_llama.cpp", "ctranslate2", "openvino-genai", "onnxruntime-genai")
WORSE = "†"
NEW = "<!-- bench/peers: tables of other processors come here -->"


def median(entry, figure):
    return statistics.median(one[figure] for one in entry["rounds"] if figure in one)


def ratio(ours, theirs, figure):
    """Median of each round's ratio."""
    return statistics.median(a[figure] / b[figure] for a, b in zip(ours["rounds"], theirs["rounds"]) if figure in a and figure in b)


def has(entry, figure):
    return any(figure in one for one in entry.get("rounds", []))


def best(entries, figure):
    """The fastest entry of the named ones; its name and entry."""
    able = {name: entry for name, entry in entries.items() if has(entry, figure)}
    return max(able.items(), key=lambda item: median(item[1], figure), default=(None, None))


def split(contender):
    engine, _, precision = contender.partition(" ")
    return engine, precision


def peers_lines(results):
    lines = ["| peer | version | built | what its kernels use here |", "|---|---|---|---|"]
    for engine in (*TEXT_PEERS, "onnxruntime", "openvino", "stable-diffusion.cpp"):
        native = results["native"].get(engine)
        version = native["version"] if native else results["versions"].get(engine, "")
        used = sorted({entry["isa"] for case in results["cases"].values() for name, entry in case.items()
                       if split(name)[0] == engine and "isa" in entry} | ({native["isa"]} if native and "isa" in native else set()))
        if used:
            built = f"{native['compiler']}, {native['flags']}" if native else "wheel, which chooses at run time"
            lines.append(f"| {TITLES[engine]} | {version} | {built} | {'; '.join(used)} |")
    return lines if len(lines) > 2 else []


def refusal(entry):
    # Some libraries list everything that they do know.
    return "refuses: " + entry["refused"].partition(": ")[2].partition(" (")[0].replace("|", "/") if "refused" in entry else "–"


def title_of(contender):
    engine, precision = split(contender)
    return f"{TITLES[engine]} {precision}".strip()


def cell_of(theirs, column, told):
    """told(entry) of a column's contenders, with their precisions where the column's head has none, or a dash."""
    engine, common = column
    those = {split(name)[1]: told(entry) for name, entry in theirs.items() if split(name)[0] == engine}
    those = {"" if precision == common else precision: text for precision, text in those.items() if text}
    return " / ".join(f"{text} {precision}".strip() for precision, text in those.items()) or "–"


def over_best(ours, theirs, phase):
    """The ratio to the fastest peer, marked where that one's answers are nearer to single precision than ours."""
    peer, fastest = best(theirs, phase)
    if peer is None:
        return "–"
    nearer = "kl" in ours and "kl" in fastest and fastest["kl"] < ours["kl"]
    return f"{ratio(ours, fastest, phase):.2f} ({title_of(peer)}{WORSE if nearer else ''})"


def cases_of_kind(results, kind):
    return [case for case in results["order"] if results["kinds"].get(case) == kind and case in results["cases"]]


def peers_of(results, cases, figures):
    """Columns: the engines that have one of the figures in some case, each with the precision that all its contenders have."""
    found = {}
    for case in cases:
        for name, entry in results["cases"][case].items():
            if "kl" in entry or any(has(entry, figure) for figure in figures):
                found.setdefault(split(name)[0], set()).add(split(name)[1])
    return [(engine, next(iter(found[engine])) if len(found[engine]) == 1 else "") for engine in TEXT_PEERS if engine in found]


def heads_of(columns):
    return " | ".join(f"{TITLES[engine]} {precision}".strip() for engine, precision in columns)


def text_lines(results, kind):
    """One row a model, precision and phase: ours, its share of the limit, each peer, and the ratio to the best of them."""
    sizes = {"prompt": results["prompt"], "beams": results["beams"]}
    cases, lines = cases_of_kind(results, kind), []
    peers = peers_of(results, cases, [phase for phase, *_ in PHASES[kind]])
    for case in cases:
        entries = results["cases"][case]
        theirs = {name: entry for name, entry in entries.items() if split(name)[0] != "wattle"}
        for phase, title, share, limit in PHASES[kind]:
            for name, entry in entries.items():
                engine, precision = split(name)
                if engine != "wattle" or not has(entry, phase):
                    continue
                cells = [cell_of(theirs, peer, lambda one: f"{median(one, phase):,.1f}" if has(one, phase) else "") for peer in peers]
                part = f"{median(entry, phase + '_' + share):.0f} % of the {limit}"
                lines.append(f"| {case} {precision} | {title.format(**sizes)} | {median(entry, phase):,.1f} | {part} | "
                             f"{' | '.join(cells)} | {over_best(entry, theirs, phase)} |")
    if not lines:
        return []
    name = kind if kind == "decoder" else "encoder-decoder"
    head = f"| {name} | phase | Wattle | share of the limit | {heads_of(peers)} | over the best |"
    if any(WORSE in line for line in lines):
        lines += ["", f"{WORSE} That peer's answers are nearer to single precision than Wattle's, by the next table."]
    return [head, "|---" * (5 + len(peers)) + "|", *lines, "", *divergence_lines(results, cases, peers), *left_out(results, cases)]


def divergence_lines(results, cases, peers):
    """One row a model and precision: how far the next tokens' probabilities are from those in single precision."""
    lines = []
    for case in cases:
        entries = results["cases"][case]
        theirs = {name: entry for name, entry in entries.items() if split(name)[0] != "wattle"}
        for name, entry in entries.items():
            engine, precision = split(name)
            if engine == "wattle" and "kl" in entry:
                cells = [cell_of(theirs, peer, lambda one: f"{one['kl']:.2g}" if "kl" in one else "") for peer in peers]
                lines.append(f"| {case} {precision} | {entry['kl']:.2g} | {' | '.join(cells)} |")
    if not lines:
        return []
    return ["KL divergence of the next token's probabilities from single precision, mean of 256 positions, nats:", "",
            f"| decoder | Wattle | {heads_of(peers)} |", "|---" * (2 + len(peers)) + "|", *lines, ""]


def wrapped(text):
    """Prose within the columns of the documents."""
    return textwrap.fill(text, 119, subsequent_indent="  " if text.startswith("- ") else "", break_long_words=False, break_on_hyphens=False)


def left_out(results, cases):
    lines = [wrapped(f"- {title_of(name)}, {case}: {entry['refused']}")
             for case in cases for name, entry in results["cases"][case].items() if "refused" in entry]
    return ["Left out, for the reason that they give:", "", *lines, ""] if lines else []


def encoder_lines(results):
    """One table a model: sentences a second one at a time and in batches."""
    lines = []
    models = list(dict.fromkeys(case.rpartition("-")[0] for case in results["order"] if results["kinds"].get(case) == "encoder"))
    for model in models:
        alone, together = (results["cases"].get(f"{model}-{batch}", {}) for batch in (1, 32))
        names = [name for name in alone if any(has(part.get(name, {}), "rows_per_s") or "refused" in part.get(name, {})
                                               for part in (alone, together))]
        if not any(has(entry, "rows_per_s") for entry in alone.values()):
            continue
        lines += [f"{model}, sentences of SST-2 a second:", "",
                  "| | one at a time | share of the peak | over the best peer | in 32s by length | share of the peak | over the best peer | "
                  "smallest cosine to F32 |", "|---|---|---|---|---|---|---|---|"]
        for name in names:
            engine, precision = split(name)
            cells = []
            for part in (alone, together):
                entry = part.get(name, {})
                if not has(entry, "rows_per_s"):
                    cells += [refusal(entry), "", ""]
                    continue
                cells.append(f"{median(entry, 'rows_per_s'):,.0f}")
                if engine != "wattle":
                    cells += ["", ""]
                    continue
                peers = {other: one for other, one in part.items() if split(other)[0] != "wattle" and split(other)[1] == KINDS[precision]}
                peer, fastest = best(peers, "rows_per_s")
                cells += [f"{median(entry, 'percent_of_peak'):.0f} %",
                          f"{ratio(entry, fastest, 'rows_per_s'):.2f} ({TITLES[split(peer)[0]]})" if peer else "–"]
            cosines = [part[name]["cosine"] for part in (alone, together) if "cosine" in part.get(name, {})]
            label = f"{TITLES[engine]} {precision}"
            lines.append(f"| {'**' + label + '**' if engine == 'wattle' else label} | {' | '.join(cells)} | "
                         f"{f'{min(cosines):.4f}' if cosines else '–'} |")
        lines.append("")
    return lines


def page(results):
    peaks = [one["peaks"] for case in results["cases"].values() for entry in case.values() for one in entry["rounds"]
             if "peaks" in one]
    if not peaks:
        return "Nothing measured yet."
    limit = {key: statistics.median(one[key] for one in peaks) for key in peaks[0]}
    rounds = sorted({len(entry["rounds"]) for case in results["cases"].values() for entry in case.values() if entry["rounds"]})
    several = f"{rounds[0]} rounds" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]} rounds"
    lines = [f"### {results['processor']}, {results['date']}",
             wrapped(f"{results['processors']} processors, {results['threads']} threads; medians of {several}, everything in turn. "
                     f"Peaks in the same rounds: int8 {limit['int8_gops']:,.0f} GOP/s, bf16 {limit['bf16_gflops']:,.0f} and fp32 "
                     f"{limit['fp32_gflops']:,.0f} GFLOP/s, read loop {limit['read_gbs']:.1f} GB/s. Tokens a second; shapes have random "
                     "weights."), ""]
    return "\n".join([*lines, *peers_lines(results), "", *text_lines(results, "decoder"), *text_lines(results, "translator"),
                      *encoder_lines(results)]).rstrip()


def write_docs(path, processor, text):
    """Puts the block of that kind of processor in place of its old one, or as the first of the file's."""
    path = pathlib.Path(path)
    begin, end = (f"<!-- bench/peers: {processor}: {mark} -->" for mark in ("begin", "end"))
    old = path.read_text(encoding="utf-8")
    block = f"{begin}\n{text}\n{end}"
    if begin in old and end in old:
        head, _, rest = old.partition(begin)
        new = head + block + rest.partition(end)[2]
    elif NEW in old:
        new = old.replace(NEW, f"{NEW}\n\n{block}", 1)
    else:
        raise SystemExit(f"{path}: has neither a table of {processor} nor the line {NEW}")
    scratch = path.with_suffix(".new")
    scratch.write_text(new, encoding="utf-8")
    scratch.rename(path)
