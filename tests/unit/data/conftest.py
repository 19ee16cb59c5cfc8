"""A stand-in for the hub's cache, filled with rows in the hub's schemas, so that the real loading path runs offline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from laser_lit.config_data import DataConfig, config_folder
from laser_lit.data.registry import load_data, named_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROME = {
    "case_id": 7,
    "pararel_idx": 70,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"id": "Q1860", "str": "English"},
        "target_true": {"id": "Q150", "str": "French"},
        "subject": "Danielle Darrieux",
    },
    "paraphrase_prompts": ["Danielle Darrieux, a native", "Danielle Darrieux spoke the language"],
}
BIO = {"hard_text": "She wrote three novels in verse", "profession": 20, "gender": 1}
HUB_ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "counterfact": {"data/train-00000.parquet": [ROME], "data/test-00000.parquet": [ROME | {"case_id": 8}]},
    "hotpotqa": {
        "fullwiki/train-00000-of-00001.parquet": [
            {"id": f"t{i}", "question": f"Who is {i}", "answer": " Ann ", "context": "long"} for i in range(3)
        ],
        "fullwiki/validation-00000-of-00001.parquet": [{"id": "v0", "question": "Is it so.", "answer": "yes"}],
    },
    "fever": {
        "v1.0/paper_dev/0000.parquet": [
            {"id": 1, "label": 1, "claim": "Oslo is in Norway", "evidence_id": 4},
            {"id": 1, "label": 1, "claim": "Oslo is in Norway", "evidence_id": 5},
            {"id": 2, "label": 0, "claim": "Lima is in Norway.", "evidence_id": 6},
        ],
        "v1.0/paper_test/0000.parquet": [{"id": 3, "label": 0, "claim": "Is Rome in Peru?", "evidence_id": 7}],
    },
    "bios_gender": {"data/dev-00000.parquet": [BIO, BIO | {"gender": 0, "profession": 3, "hard_text": "He works."}]},
    "bios_profession": {
        "data/dev-00000.parquet": [BIO, BIO | {"gender": 0, "profession": 3, "hard_text": "He works."}]
    },
    "truthfulqa": {
        "multiple_choice/validation-00000-of-00001.parquet": [
            {"question": "What is red?", "mc2_targets": {"choices": ["Blood.", "Snow"], "labels": [1, 0]}}
        ]
    },
    "epistemic_reasoning": {
        "epistemic_reasoning/validation/0000.parquet": [{"inputs": "P1\nRelation:", "targets": ["entailment"]}],
        "epistemic_reasoning/train/0000.parquet": [{"inputs": "P2\nRelation:", "targets": ["non-entailment"]}],
    },
    "causal_judgement": {
        "causal_judgment/validation/0000.parquet": [{"inputs": "Did he?", "targets": ["Yes"]}],
        "causal_judgment/train/0000.parquet": [{"inputs": "Did she?", "targets": ["No"]}],
    },
    "qa_wikidata": {
        "qa_wikidata/validation/0000.parquet": [
            {"inputs": "The capital of Peru is ", "targets": ["Lima"]},
            {"inputs": "The sport is", "targets": ["football", "soccer"]},
        ],
        "qa_wikidata/train/0000.parquet": [{"inputs": "The capital of Italy is", "targets": ["Rome"]}],
    },
    "web_of_lies": {"data/web_of_lies.json": [{"input": "Question: Does Ann lie?", "target": "No"}]},
    "wikitext2": {
        "wikitext-2-raw-v1/test-00000-of-00001.parquet": [
            {"text": ""},
            {"text": " = Title = \n"},
            {"text": ""},
            {"text": " Words . \n"},
        ]
    },
    "ptb": {"penn_treebank/test/0000.parquet": [{"sentence": "no it was n't"}, {"sentence": "<unk> said"}]},
    "c4": {"en/c4-validation.00000-of-00008.json.gz": [{"text": "First page", "url": "u"}, {"text": "Second page"}]},
    "ultrafeedback": {
        "default/train/0000.parquet": [
            {
                "source": "evol_instruct",
                "prompt": f"Say {word}",
                "chosen": [{"content": f"Say {word}", "role": "user"}, {"content": word, "role": "assistant"}],
                "rejected": [{"content": f"Say {word}", "role": "user"}, {"content": "no", "role": "assistant"}],
            }
            for word in ("one", "two")
        ]
    },
    "glue": {
        "cola/train-00000-of-00001.parquet": [{"sentence": "It go.", "label": 0, "idx": 0}],
        "cola/validation-00000-of-00001.parquet": [{"sentence": "It goes.", "label": 1, "idx": 0}],
        "cola/test-00000-of-00001.parquet": [{"sentence": "It went.", "label": -1, "idx": 0}],
        "mnli/train-00000-of-00001.parquet": [{"premise": "p", "hypothesis": "h", "label": 2, "idx": 0}],
        "mnli/validation_matched-00000-of-00001.parquet": [{"premise": "matched", "hypothesis": "h", "label": 0}],
        "mnli/validation_mismatched-00000-of-00001.parquet": [{"premise": "other", "hypothesis": "h", "label": 0}],
    },
    "gsm8k": {"main/test-00000-of-00001.parquet": [{"question": "2 + 2?", "answer": "4\n#### 4"}]},
}


def write_hub_file(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"canary": "…", "examples": rows}), encoding="utf-8")
    else:
        import gzip

        path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets_cache")
    datasets.disable_progress_bars()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds every data set of conf/data in the hub's own layout; returns its folder."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    for name, files in HUB_ROWS.items():
        config = named_config(name, config_folder())
        repository = cache / f"datasets--{str(config.id).replace('/', '--')}"
        commit = COMMIT if str(config.revision).startswith("refs/") else str(config.revision)
        if commit == COMMIT:
            reference = repository / "refs" / str(config.revision)
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit)
        for file, rows in files.items():
            write_hub_file(repository / "snapshots" / commit / file, rows)
    return cache


@pytest.fixture
def load() -> Callable[..., Any]:
    """Loads a data set of conf/data, with fields of its config replaced."""

    def load_named(name: str, tokenizer: Any = None, **overrides: Any) -> Any:
        config: DataConfig = named_config(name, config_folder(), **overrides)
        return load_data(config, tokenizer)

    return load_named


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    """Writes a file of rows (.json, .jsonl) or text, and returns its path."""

    def write_file(name: str, content: Any) -> str:
        path = tmp_path / name
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    return write_file


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """One word a token, with a mask and a chat template; adds no special tokens."""
    text = (
        "[UNK] <mask> Consider the following text : a b c d e . yes no maybe Is person in this male or female ? This is"
    )
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(text.split()))}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", mask_token="<mask>")
    made.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    return made
