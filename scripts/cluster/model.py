"""A tiny model made on the spot: a real Llama with random weights (3 MB), a tokenizer and a chat template.

It answers with words in random order, always the same for the same question at temperature 0. What it is for is
everything around the answer: loading, batching, streaming, metrics.
"""

import hashlib
import json
import random
import re
import shutil
import struct
from pathlib import Path
from typing import Any

from scripts.locks import locked
from scripts.paths import CACHE

RECIPE = 2
"""Raise it when what this module writes changes: the model is made anew."""

SEED = 20240601
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "torch_dtype": "bfloat16",
}
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
TEXT = """The scheduler places a pod on a node with a free GPU and the kubelet starts the engine.
The engine loads the weights, captures the graphs and answers the first request after a minute.
When the queue grows, the autoscaler adds a replica; when it is empty for a while, it takes one away.
A service sends requests to every replica that is ready, and a replica that leaves finishes its streams first.
The gateway holds a request while the model wakes, and the client sees the tokens one after another.
Charts describe models, models need memory, memory limits the number of requests that run together.
"""


def ensure() -> Path:
    """The folder of the model, made first if need be."""
    home = CACHE / "models" / f"tiny-{RECIPE}"
    if not home.exists():
        with locked("model"):
            if not home.exists():
                make(home)
    return home


def make(home: Path) -> None:
    """Writes the model into a temporary folder and moves it into place."""
    temporary = home.with_name(f".{home.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    words = write_tokenizer(temporary)
    (temporary / "config.json").write_text(json.dumps(CONFIG, indent=2))
    write_weights(temporary / "model.safetensors", words)
    temporary.rename(home)


def write_tokenizer(folder: Path) -> list[int]:
    """A byte-level BPE tokenizer trained on a few sentences.

    Returns:
        the ids of the tokens that are whole words.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # heavy: only when it is needed

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "model_max_length": CONFIG["max_position_embeddings"],
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    space = "Ġ"  # how a byte-level tokenizer writes the blank before a word
    words = {f"{space}{word}" for word in re.findall(r"\w+", TEXT)}
    return sorted(number for token, number in vocabulary.items() if token in words)


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a Llama of that configuration."""
    hidden, inner, vocabulary = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    queries = CONFIG["num_attention_heads"] * CONFIG["head_dim"]
    keys = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for number in range(CONFIG["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        found |= {
            f"{layer}.input_layernorm.weight": (hidden,),
            f"{layer}.self_attn.q_proj.weight": (queries, hidden),
            f"{layer}.self_attn.k_proj.weight": (keys, hidden),
            f"{layer}.self_attn.v_proj.weight": (keys, hidden),
            f"{layer}.self_attn.o_proj.weight": (hidden, queries),
            f"{layer}.post_attention_layernorm.weight": (hidden,),
            f"{layer}.mlp.gate_proj.weight": (inner, hidden),
            f"{layer}.mlp.up_proj.weight": (inner, hidden),
            f"{layer}.mlp.down_proj.weight": (hidden, inner),
        }
    return found | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def bfloat16(values: list[float]) -> bytes:
    """The upper half of each 32-bit float."""
    return b"".join(struct.pack("<f", value)[2:] for value in values)


def weights(name: str, shape: tuple[int, ...], words: list[int]) -> bytes:
    """Random weights; norms are one.

    Only words get an output weight: the logit of all other tokens is 0, far below the best of the words, so that the
    answer is readable and never ends before ``max_tokens``.
    """
    if len(shape) == 1:
        return bfloat16([1.0] * shape[0])
    seed = int.from_bytes(hashlib.sha256(f"{SEED}{name}".encode()).digest()[:8])
    chance, (rows, columns) = random.Random(seed), shape
    if name != "lm_head.weight":
        return bfloat16([chance.gauss(0, 0.2) for _ in range(rows * columns)])
    known = set(words)
    return b"".join(
        bfloat16([chance.gauss(0, 0.5) if row in known else 0.0 for _ in range(columns)]) for row in range(rows)
    )


def write_weights(path: Path, words: list[int]) -> None:
    """A safetensors file: length of the header, header in JSON, the tensors one after another."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    tensors, offset = [], 0
    for name, shape in shapes().items():
        data = weights(name, shape, words)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        tensors.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors))
