# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Small verifiers: tokenizers of the right kinds, random models of the right architectures.

The heads that transformers does not have are written again in torch, as their checkpoints' own code
does it.
"""

import json

import sentencepiece
import torch
from model.tiny_models import hf_config, randomise
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import LlamaTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM, Qwen2Model

CORPUS = [
    "Janet's ducks lay 16 eggs per day. How many eggs does she sell?",
    "Step 1: She eats 3 eggs, so 16 - 3 = 13 remain. ки",
    "Step 2: She bakes with 4 eggs: 13 - 4 = 9. ки",
    "Step 3: The answer is: $9 * 2 = \\boxed{18}$. ки",
    "So it is. What is 1 + 1?\nIt is 2.\n\nTherefore, + or - ?\n",
    "Simplify \\(x^2 - 1\\), where x > 0:\n\n\\[ x^2 - 1 = (x - 1)(x + 1) \\]\n",
    "Größe, naïve café, привет мир, точки и кирпич.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "system user assistant Cutting Knowledge Date: December 2023 Today Date: 26 Jul 2024",
] * 12
LLAMA_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_CUT = LLAMA_CUT.replace(r"\p{N}{1,3}", r"\p{N}")
LLAMA_CHAT = (
    "{{- bos_token }}"
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023\n' }}{{- 'Today Date: 26 Jul 2024\n\n' }}"
    "{{- system_message }}{{- '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
QWEN_CHAT = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\nPlease reason.<|im_end|>\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role != 'system' or not loop.first %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


def sentencepiece_tokenizer(directory, more=(), **changes):
    """A tokenizer.model in the manner of Mistral's: no token for a newline but that of its byte.

    It is trained on `more` lines too.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lines = [line for text in CORPUS for line in text.split("\n") if line]
    (directory / "corpus.txt").write_text("\n".join([*lines, *(["ки + -"] * 20), *more]))
    options = {
        "vocab_size": 430,
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 1.0,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        input=str(directory / "corpus.txt"),
        model_prefix=str(directory / "tokenizer"),
        **(options | changes),
    )
    config = {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


def pieces_tokenizer(directory):
    """The same vocabulary as a tokenizer.json, written by transformers."""
    source = sentencepiece_tokenizer(directory / "source")
    LlamaTokenizer.from_pretrained(source).save_pretrained(directory / "json")
    return directory / "json"


def byte_level_tokenizer(directory, cut, special, config, *, bos=None):
    """A tokenizer.json with byte-level BPE, cut by `cut`; `bos` begins every text."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC() if cut == QWEN_CUT else None
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(cut), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=480, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator([text.replace("ки", "") for text in CORPUS], trainer)
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    if bos is not None:
        pair = [(bos, backend.token_to_id(bos))]
        backend.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=pair)
    directory.mkdir(parents=True, exist_ok=True)
    backend.save(str(directory / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


def llama_tokenizer(directory, **changes):
    """Llama 3.1's tokenizer in small: bos in front of every text, its chat template."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
    config = {
        "bos_token": special[0],
        "eos_token": "<|eot_id|>",
        "chat_template": LLAMA_CHAT,
    } | changes
    special = [*special, "<|eot_id|>"]
    return byte_level_tokenizer(directory, LLAMA_CUT, special, config, bos=special[0])


def qwen_tokenizer(directory, **changes):
    """The tokenizer of Qwen2.5-Math-PRM in small: no bos, a token <extra_0>."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"]
    config = {"eos_token": "<|im_end|>", "pad_token": special[0], "chat_template": QWEN_CHAT}
    return byte_level_tokenizer(directory, QWEN_CUT, special, config | changes)


def skywork_tokenizer(directory):
    """The same tokenizer with the bos that Skywork's inference code asks for."""
    return qwen_tokenizer(directory, bos_token="<|endoftext|>")


def theirs(directory):
    """The tokenizer in `directory` as transformers reads it."""
    if (directory / "tokenizer.json").is_file():
        return PreTrainedTokenizerFast.from_pretrained(directory)
    return LlamaTokenizer.from_pretrained(directory)


def small(family, vocab, **changes):
    """A transformers config of `family` for texts of a few hundred tokens."""
    return hf_config(
        family, vocab_size=vocab, max_position_embeddings=1024, num_hidden_layers=2, **changes
    )


class QwenProcessReward(torch.nn.Module):
    """modeling_qwen2_rm.py of Qwen2.5-Math-PRM: two layers with a ReLU on every hidden state."""

    def __init__(self, config, classes=2):
        super().__init__()
        self.config = config
        self.model = Qwen2Model(config)
        width = config.hidden_size
        self.score = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, classes)
        )

    def forward(self, ids):
        return self.score(self.model(input_ids=ids).last_hidden_state)


class SkyworkValue(torch.nn.Module):
    """PRM_MODEL of skywork-o1-prm-inference: a language model and trl's linear value head."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.language = Qwen2ForCausalLM(config)
        self.summary = torch.nn.Linear(config.hidden_size, 1)

    def forward(self, ids):
        hidden = self.language(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        return self.summary(hidden).squeeze(-1)

    def tensors(self):
        head = {f"v_head.summary.{k}": v for k, v in self.summary.state_dict().items()}
        return self.language.state_dict() | head


def save(directory, config, tensors, architecture):
    """A checkpoint as it is published: weights, and a config.json that names an architecture."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    if config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    keys = config.to_dict() | {"architectures": [architecture]}
    (directory / "config.json").write_text(json.dumps(keys))
    return directory


def qwen_prm(directory, vocab, architecture="Qwen2ForProcessRewardModel", classes=2, **changes):
    """A random Qwen process reward model and the checkpoint it is saved in."""
    model = randomise(QwenProcessReward(small("qwen2", vocab, **changes), classes), seed=3)
    return model, save(directory, model.config, model.state_dict(), architecture)


def skywork_prm(directory, vocab, architecture="Qwen2ForPrmModel", **changes):
    """A random Skywork process reward model and the checkpoint it is saved in."""
    model = randomise(SkyworkValue(small("qwen2", vocab, **changes)), seed=4)
    return model, save(directory, model.config, model.tensors(), architecture)
