"""Golden values of every family: tiny random models of the reference libraries, stored without their weights."""
from . import bert_like, encoders, gemma_phi, gpt_like, llama_like, seq2seq

FAMILIES = (bert_like.FAMILIES | encoders.FAMILIES | gpt_like.FAMILIES | llama_like.FAMILIES | gemma_phi.FAMILIES
            | seq2seq.FAMILIES)
