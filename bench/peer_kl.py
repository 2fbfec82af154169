"""The Kullback-Leibler divergence of a decoder's answers from those of the same weights in single precision: the mean over the
positions of a sequence of the sum over the vocabulary of p (log p - log q), in nats.

Usage: bench/peer_kl.py TRUTH.f32 OTHER.f32 IDS.txt           prints the divergence of two files of logits [ids, vocabulary]
       bench/peer_kl.py --folder FOLDER IDS.txt TRUTH.f32     writes the logits of a Hugging Face folder by transformers
"""
import pathlib
import sys

import numpy as np

AT_ONCE = 32  # positions


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    most = logits.max(1, keepdims=True)
    return logits - most - np.log(np.exp(logits - most).sum(1, keepdims=True))


def divergence(truth_path, logits):
    """truth_path: a file of floats; logits [positions, vocabulary], of which the vocabulary may be padded further."""
    truth = np.memmap(truth_path, np.float32, "r").reshape(len(logits), -1)
    if logits.shape[1] < truth.shape[1]:
        raise ValueError(f"{logits.shape[1]} logits a position, the model in single precision has {truth.shape[1]}")
    total = 0.0
    for begin in range(0, len(logits), AT_ONCE):
        p = log_probabilities(truth[begin:begin + AT_ONCE])
        q = log_probabilities(logits[begin:begin + AT_ONCE, :truth.shape[1]])
        total += float((np.exp(p) * (p - q)).sum())
    return total / len(logits)


def ids_of(path):
    return [int(word) for word in pathlib.Path(path).read_text(encoding="utf-8").split()]


def write_truth(folder, ids, out):
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    logits.numpy().astype(np.float32).tofile(out)


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--folder":
        write_truth(sys.argv[2], ids_of(sys.argv[3]), sys.argv[4])
        return 0
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    print(divergence(sys.argv[1], np.memmap(sys.argv[2], np.float32, "r").reshape(len(ids_of(sys.argv[3])), -1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
