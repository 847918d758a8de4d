"""Real transformers of two layers with random weights: what the code for models does, without a pretrained one.

Words are pieces of a small vocabulary, so that some words have several. Weights are large, so that words matter.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    Gemma2Config,
    Gemma2Model,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from analysis.catalogue import ModelFolder
from analysis.model.encoder import TransformerEncoder

WORDS = ["the", "bank", "river", "water", "fish", "money", "loan", "cash", "by", "my", "of"]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@cache
def tiny(kind: str, seed: int = 5) -> TransformerEncoder:
    """Of the kind "bert", "bert without positions", "mpnet", "roberta", "distilbert", "deberta", or the causal "llama",
    "gemma2" and "gpt2", which have no mask token and no special tokens."""
    tokenizer = _tokenizer(bidirectional=kind not in ("llama", "gemma2", "gpt2"))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _model(kind, len(tokenizer))
    if kind != "deberta":  # which has no other, and says so
        model.set_attn_implementation("eager")
    folder = ModelFolder(kind, Path(), "none", "made in a test", "1", "0" * 64)
    return TransformerEncoder(model.eval().requires_grad_(False), tokenizer, folder)


def model_of(encoder: TransformerEncoder) -> Any:
    """The model inside, for a test that asks it the same by other means."""
    return encoder._model


def _model(kind: str, vocab: int) -> Any:
    common = {"vocab_size": vocab, "initializer_range": 0.4, "pad_token_id": 0}
    if kind == "gpt2":
        return GPT2Model(
            GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=64, bos_token_id=None, eos_token_id=None, **common)
        )
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
    common |= sizes | {"max_position_embeddings": 64}
    if kind == "llama":
        return LlamaModel(LlamaConfig(num_key_value_heads=1, **common))
    if kind == "gemma2":
        return Gemma2Model(Gemma2Config(num_key_value_heads=1, head_dim=8, **common))
    if kind == "distilbert":
        inner = {"n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 24, "max_position_embeddings": 64}
        return DistilBertModel(DistilBertConfig(vocab_size=vocab, initializer_range=0.4, pad_token_id=0, **inner))
    if kind == "deberta":
        return DebertaV2Model(DebertaV2Config(**common))
    if kind == "roberta":
        return RobertaModel(RobertaConfig(**common), add_pooling_layer=False)
    if kind == "mpnet":
        return MPNetModel(MPNetConfig(**common), add_pooling_layer=False)
    bert = BertModel(BertConfig(**common), add_pooling_layer=False)
    if kind == "bert without positions":
        bert.embeddings.position_embeddings.weight.data.zero_()
    return bert


def _tokenizer(*, bidirectional: bool) -> PreTrainedTokenizerFast:
    letters = [*ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    vocabulary = {piece: i for i, piece in enumerate([*SPECIALS, *WORDS, ",", ".", *letters])}
    pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.normalizer = normalizers.Lowercase()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if bidirectional:
        pieces.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        named |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=pieces, model_max_length=64, **named)
