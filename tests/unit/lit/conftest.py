"""Tokenizers with a begin token and without one."""

import pytest
from checkpoints import save_checkpoint
from tokenizers import processors
from transformers import PreTrainedTokenizerBase

from laser_lit.models.load import load_tokenizer


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """Returns a tokenizer that adds no token of its own."""
    return load_tokenizer(save_checkpoint(tmp_path_factory.mktemp("model") / "small"))


@pytest.fixture(scope="module")
def llama_like(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """Returns a tokenizer that puts a begin token before every text."""
    tokenizer = load_tokenizer(save_checkpoint(tmp_path_factory.mktemp("model") / "small"))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A", special_tokens=[("[BOS]", 1)]
    )
    return tokenizer
