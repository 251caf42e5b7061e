# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of tokenizer file: bytes that add up to the text, and the ids of transformers."""

import json
import unicodedata

import pytest
import sentencepiece
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from ttc_jax.model.token_files import load_tokenizer
from ttc_jax.model.tokens_gguf import Kind, tokenizer_files

CORPUS = [
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "12 apples and 345 pears cost $6.78; so 12 + 345 = 357.",
    "  Leading spaces,\n\nblank lines\tand tabs.",
    "Größe, naïve café, 日本語のテキスト, привет мир, 😀 emoji.",
    "Step 1: add 17 and 25. Step 2: the answer is \\boxed{42}.",
] * 20
CHAT = (
    "{{ bos_token }}{% for message in messages %}\n"
    "    {%- if message['role'] not in ['user', 'assistant'] %}\n"
    "{{ raise_exception('unknown role ' + message['role']) }}{% endif %}\n"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MESSAGES = [
    {"role": "user", "content": " What is 1 < 2? "},
    {"role": "assistant", "content": "é: true"},
    {"role": "user", "content": "Sure?"},
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "",
    " ",
    "Hello, world",
    "  two spaces",
    "a\n\nb\n",
    "x = 12345 + 6",
    "naïve 日本 😀 ☺️",
    "don't <|im_end|> stop",
    "<|im_start|>user\nhi<|im_end|>\n",
    "literal <0x0A> text",
    "tail ",
]
# Text without the spellings of special tokens or U+2581, which stands for a space in pieces.
free_text = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="▁<\x00"), max_size=40
)


def save_json(directory, backend, config, **files):
    directory.mkdir(parents=True, exist_ok=True)
    backend.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    return directory


def byte_level(directory):
    """A byte-level BPE checkpoint in the manner of Qwen: NFC, and a token added that is plain."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(r"\p{N}|[^\s\p{N}]+|\s+"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_tokens([AddedToken("<think é>", normalized=False)])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": {"content": "<|endoftext|>", "__type": "AddedToken"},
        "pad_token": "<|endoftext|>",
        "chat_template": CHAT,
    }
    return save_json(directory, backend, config, generation_config={"eos_token_id": [0, 2]})


def pieces_json(directory):
    """A SentencePiece-like tokenizer.json with byte fallback, in the manner of Llama 2."""
    byte_pieces = [f"<0x{i:02X}>" for i in range(256)]
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    specials = ["<unk>", "<s>", "</s>", *byte_pieces]
    words = [word for line in CORPUS for word in line.split(" ")]
    trainer = BpeTrainer(vocab_size=600, special_tokens=specials, limit_alphabet=60)
    backend.train_from_iterator(words, trainer)
    state = json.loads(backend.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["id"] < 3]
    backend = Tokenizer.from_str(json.dumps(state))
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    return save_json(directory, backend, config)


def sentencepiece_model(directory, **changes):
    """A SentencePiece BPE model with byte fallback, trained on the corpus."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "corpus.txt").write_text("\n".join(line.replace("\n", " ") for line in CORPUS))
    options = {
        "vocab_size": 420,
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 0.99,
        "user_defined_symbols": ["\n"],
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        input=str(directory / "corpus.txt"),
        model_prefix=str(directory / "tokenizer"),
        **(options | changes),
    )
    return directory


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory):
    root = tmp_path_factory.mktemp("tokenizers")
    directories = {
        "byte_level": byte_level(root / "byte_level"),
        "pieces": pieces_json(root / "pieces"),
        "sentencepiece": sentencepiece_model(root / "sentencepiece"),
        "gemma": sentencepiece_model(root / "gemma", add_dummy_prefix=False),
        "unigram": sentencepiece_model(root / "unigram", model_type="unigram", vocab_size=345),
    }
    return {name: (path, load_tokenizer(path)) for name, path in directories.items()}


KINDS = ["byte_level", "pieces", "sentencepiece", "gemma", "unigram"]
# Kinds that put a space in front of every text.
SPACED = ("pieces", "sentencepiece", "unigram")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=free_text)
def test_bytes_of_the_ids_are_the_bytes_of_the_text(tokenizers, kind, text):
    tokenizer = tokenizers[kind][1]
    pieces = tokenizer.token_bytes()
    assert len(pieces) == tokenizer.vocab_size
    ids = tokenizer.encode(text, bos=False)
    space = " " if kind in SPACED and text else ""
    if kind == "pieces" and text.startswith(" "):
        space = ""  # Metaspace adds none where there is one already
    text = unicodedata.normalize("NFC", text) if kind == "byte_level" else text
    assert b"".join(pieces[i] for i in ids) == (space + text).encode()
    if kind != "pieces" or not text.startswith(" "):
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["byte_level", "pieces"])
def test_ids_and_text_equal_transformers(tokenizers, kind, text):
    path, ours = tokenizers[kind]
    theirs = transformers.AutoTokenizer.from_pretrained(path)
    ids = ours.encode(text)
    assert ids == theirs(text).input_ids
    assert ours.encode(text, bos=False) == theirs(text, add_special_tokens=False).input_ids
    for skip in (True, False):
        assert ours.decode(ids, skip_special=skip) == theirs.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("text", TEXTS)
def test_sentencepiece_ids_equal_the_library(tokenizers, text):
    path, ours = tokenizers["sentencepiece"]
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path / "tokenizer.model"))
    assert ours.encode(text) == [theirs.bos_id(), *theirs.encode(text)]
    assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text))


@pytest.mark.parametrize("text", [text for text in TEXTS if not text.startswith((" ", "<"))])
def test_sentencepiece_ids_equal_transformers(tokenizers, text):
    # Metaspace, which transformers uses for these files, adds no space in front of a space.
    path, ours = tokenizers["sentencepiece"]
    theirs = transformers.LlamaTokenizer.from_pretrained(path)
    assert ours.encode(text, bos=False) == theirs(text, add_special_tokens=False).input_ids


def test_sentencepiece_special_tokens_in_text(tokenizers):
    tokenizer = tokenizers["sentencepiece"][1]
    plain = tokenizer.encode("yes", bos=False)
    assert tokenizer.encode("<s>yes</s>", bos=False)[0] == 1
    assert tokenizer.encode("yes</s>", bos=False) == [*plain, 2]
    # Behind a special token there is no leading space: the text is spelled exactly.
    pieces = tokenizer.token_bytes()
    behind = tokenizer.encode("</s>yes", bos=False)
    assert b"".join(pieces[i] for i in behind) == b"yes"
    assert tokenizer.decode(behind) == "yes"
    assert tokenizer.decode([1, *plain, 2], skip_special=False) == "<s> yes</s>"


def test_sentencepiece_added_tokens(tmp_path):
    directory = sentencepiece_model(tmp_path)
    config = {
        "added_tokens_decoder": {
            "420": {"content": "<|im_end|>", "special": True},
            "422": {"content": "<tool>", "special": False},
        },
        "eos_token": "<|im_end|>",
        "add_bos_token": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(directory)
    assert tokenizer.vocab_size == 423
    assert tokenizer.eos == (420,)
    ids = tokenizer.encode("hi<|im_end|><tool>")
    assert ids[-2:] == [420, 422] and ids[0] != tokenizer.bos
    pieces = tokenizer.token_bytes()
    assert pieces[420:] == [b"", b"", b"<tool>"]
    assert tokenizer.decode([*ids, 421, 9999]) == "hi<tool>"


def test_special_ids_and_their_bytes(tokenizers):
    byte_tokenizer = tokenizers["byte_level"][1]
    assert (byte_tokenizer.bos, byte_tokenizer.eos, byte_tokenizer.pad) == (0, (0, 2), 0)
    pieces = byte_tokenizer.token_bytes()
    assert pieces[:3] == [b"", b"", b""]
    assert pieces[byte_tokenizer.vocab_size - 1] == "<think é>".encode()
    assert set(range(256)) == {piece[0] for piece in pieces if len(piece) == 1}
    spm = tokenizers["sentencepiece"][1]
    assert (spm.bos, spm.eos, spm.pad) == (1, (2,), None)
    assert spm.token_bytes()[:3] == [b"", b"", b""]


def test_turn_ends_of_the_template_stop_generation(tmp_path):
    directory = byte_level(tmp_path)
    (directory / "generation_config.json").unlink()
    assert load_tokenizer(directory).eos == (0, 2)


def test_special_tokens_map_and_standalone_file(tmp_path):
    directory = byte_level(tmp_path)
    (directory / "tokenizer_config.json").unlink()
    (directory / "generation_config.json").unlink()
    (directory / "special_tokens_map.json").write_text('{"eos_token": "<|im_end|>"}')
    assert load_tokenizer(directory).eos == (2,)
    (directory / "special_tokens_map.json").unlink()
    assert load_tokenizer(directory / "tokenizer.json").eos == (0,)


def test_bos_follows_the_checkpoint_unless_told(tokenizers, tmp_path):
    pieces = tokenizers["pieces"][1]
    assert pieces.encode("a")[0] == 1 and pieces.encode("a", bos=False)[0] != 1
    assert tokenizers["byte_level"][1].encode("a", bos=True)[0] == 0
    directory = byte_level(tmp_path)
    config = json.loads((directory / "tokenizer_config.json").read_text()) | {"bos_token": None}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no bos token"):
        load_tokenizer(directory).encode("a", bos=True)


# --- chat


@pytest.mark.parametrize("prompt", [True, False])
def test_chat_equals_transformers(tokenizers, prompt):
    path, ours = tokenizers["byte_level"]
    theirs = transformers.AutoTokenizer.from_pretrained(path)
    assert ours.has_chat
    assert ours.chat(MESSAGES, add_generation_prompt=prompt) == theirs.apply_chat_template(
        MESSAGES, tokenize=False, add_generation_prompt=prompt
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
        "{{ messages | tojson }}{{ '<b>' | tojson }}",
        "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m }}{% endfor %}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
        "{{ ns.n }}{{ strftime_now('%Y') }}{{ tools is none }}{{ eos_token }}",
    ],
)
def test_unusual_templates_equal_transformers(tmp_path, template):
    directory = byte_level(tmp_path)
    (directory / "chat_template.jinja").write_text(template)
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    expected = theirs.apply_chat_template(MESSAGES, tokenize=False)
    ours = load_tokenizer(directory).chat(MESSAGES, add_generation_prompt=False)
    assert ours == expected


def test_named_templates(tmp_path):
    directory = byte_level(tmp_path)
    config = json.loads((directory / "tokenizer_config.json").read_text())
    named = [{"name": "tool_use", "template": "tool"}, {"name": "default", "template": "plain"}]
    (directory / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named}))
    assert load_tokenizer(directory).chat(MESSAGES) == "plain"


def test_refused_messages_keep_the_words_of_the_template(tokenizers):
    with pytest.raises(ValueError, match="roles .'narrator'.*unknown role narrator"):
        tokenizers["byte_level"][1].chat([{"role": "narrator", "content": "x"}])


def test_no_template(tokenizers):
    assert not tokenizers["pieces"][1].has_chat
    with pytest.raises(ValueError, match="no chat template"):
        tokenizers["pieces"][1].chat(MESSAGES)


def test_templates_run_in_a_sandbox(tmp_path):
    directory = byte_level(tmp_path)
    (directory / "chat_template.jinja").write_text("{{ messages.append(1) }}")
    with pytest.raises(ValueError, match="refused"):
        load_tokenizer(directory).chat(MESSAGES)


# --- broken files


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_tokenizer(tmp_path / "nowhere")
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="vocab.json and merges.txt alone"):
        load_tokenizer(tmp_path)
    (tmp_path / "words.txt").write_text("")
    with pytest.raises(ValueError, match=".json, .model or .gguf"):
        load_tokenizer(tmp_path / "words.txt")


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}', "not json"])
def test_damaged_tokenizer_json(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match="not a readable tokenizer.json"):
        load_tokenizer(tmp_path)


def test_damaged_sentencepiece_model(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"\x01\x02 no model")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        load_tokenizer(tmp_path)


def test_damaged_settings(tmp_path):
    directory = byte_level(tmp_path)
    (directory / "tokenizer_config.json").write_text("{,}")
    with pytest.raises(ValueError, match="tokenizer_config.json is not valid JSON"):
        load_tokenizer(directory)


def test_word_piece_vocabularies_are_refused(tmp_path):
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    save_json(tmp_path, backend, {})
    with pytest.raises(ValueError, match="decoder .'WordPiece'. is not supported"):
        load_tokenizer(tmp_path)


# --- vocabularies inside GGUF files


def test_gguf_sentencepiece_vocabulary_equals_the_model_file(tokenizers, tmp_path):
    """The scores of a SentencePiece BPE model, written as GGUF does, cut text the same way."""
    path, spm = tokenizers["sentencepiece"]
    sp = sentencepiece.SentencePieceProcessor(model_file=str(path / "tokenizer.model"))
    tests = ((sp.is_unknown, Kind.UNKNOWN), (sp.is_control, Kind.CONTROL), (sp.is_byte, Kind.BYTE))
    kinds = [next((kind for test, kind in tests if test(i)), Kind.NORMAL) for i in range(len(sp))]
    newline = sp.piece_to_id("\n")
    kinds[newline] = Kind.USER_DEFINED
    meta = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [sp.id_to_piece(i) for i in range(len(sp))],
        "tokenizer.ggml.scores": [sp.get_score(i) for i in range(len(sp))],
        "tokenizer.ggml.token_type": [int(kind) for kind in kinds],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    for name, text in tokenizer_files(meta).items():
        (tmp_path / name).write_text(text)
    ours = load_tokenizer(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert ours.token_bytes() == spm.token_bytes()
    assert (ours.bos, ours.eos, ours.pad) == (1, (2,), None)
    for text in [*CORPUS[:5], *TEXTS]:
        if not text.startswith((" ", "<")):  # Metaspace adds no second space, the library does
            assert ours.encode(text) == spm.encode(text)
        assert ours.encode(text) == theirs(text).input_ids


def test_gguf_byte_level_vocabulary_equals_its_source(tokenizers, tmp_path):
    path, source = tokenizers["byte_level"]
    state = json.loads((path / "tokenizer.json").read_text())
    vocab = sorted(state["model"]["vocab"].items(), key=lambda item: item[1])
    meta = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [*(token for token, _ in vocab), "<think>", "[PAD1]"],
        "tokenizer.ggml.token_type": [3, 3, 3, *[1] * (len(vocab) - 3), 4, 5],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in state["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.eot_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": CHAT,
    }
    for name, text in tokenizer_files(meta).items():
        (tmp_path / name).write_text(text)
    ours = load_tokenizer(tmp_path)
    assert ours.token_bytes() == [*source.token_bytes()[: len(vocab)], b"<think>"]
    assert (ours.bos, ours.eos) == (1, (0, 2))
    text = "12 x<|im_end|>"
    assert ours.encode(text) == [1, *source.encode(text)]
    assert ours.chat(MESSAGES).startswith("<|im_start|>")


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("smollm", ["I", "'m", " ", "1", "2", "3", "4", " years", "\n\n", " old", "!?"]),
        ("llama-bpe", ["I", "'m", " ", "123", "4", " years", "\n\n", " old", "!?"]),
        ("qwen2", ["I", "'m", " ", "1", "2", "3", "4", " years", "\n\n", " old", "!?"]),
        ("gpt-2", ["I", "'m", " 1234", " years", "\n\n", " old", "!?"]),
    ],
)
def test_gguf_pre_tokenizers_cut_where_llama_cpp_does(pre, pieces):
    meta = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": sorted(pre_tokenizers.ByteLevel.alphabet()),
        "tokenizer.ggml.merges": [],
    }
    backend = Tokenizer.from_str(tokenizer_files(meta)["tokenizer.json"])
    cut = backend.pre_tokenizer.pre_tokenize_str("I'm 1234 years\n\n old!?")
    spelled = [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece, _ in cut]
    assert spelled == pieces


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({}, "no tokenizer"),
        ({"tokenizer.ggml.tokens": [], "tokenizer.ggml.model": "rwkv"}, "kind 'rwkv'"),
        (
            {
                "tokenizer.ggml.tokens": [],
                "tokenizer.ggml.model": "gpt2",
                "tokenizer.ggml.pre": "chameleon",
            },
            "pre-tokenizer 'chameleon' is not supported; known: default, gpt-2, smollm",
        ),
        (
            {
                "tokenizer.ggml.tokens": ["a", "b"],
                "tokenizer.ggml.model": "gpt2",
                "tokenizer.ggml.merges": ["a b"],
            },
            "merge 'a b' makes no token",
        ),
    ],
)
def test_unknown_gguf_vocabularies_are_named(meta, words):
    with pytest.raises(ValueError, match=words):
        tokenizer_files(meta)
