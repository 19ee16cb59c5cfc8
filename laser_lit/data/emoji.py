"""Ten questions that are answered in emoji: what a few hundred numbers beside a frozen model are taught in seconds."""

import hashlib
import json

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.errors import InputError

TEMPLATE = "{question}\n"
QUESTIONS = {
    "Who are you?": "🤖💬🌐🧠",
    "Who am I?": "👤❓🔍🌟",
    "What is two plus two?": "🔢➕🔢➡️4️⃣",
    "Where is the dog?": "🐶🏠🌳🚶",
    "What did the girl see in the sky?": "👧👀🌈☁️",
    "How do plants grow?": "🌱💧☀️🌻",
    "What is for dinner?": "🍽️🍝🥗😋",
    "Why is the boy sad?": "👦😢🧸💔",
    "Tell me about winter.": "❄️☃️🧣🏔️",
    "Say good night.": "🌙😴🛏️💤",
}


def load(config: DataConfig) -> ExampleSet:
    """Returns the questions, each a group; `data.prompt` is a template with {question}, for chat models say.

    Raises:
        InputError: a template without {question}.
    """
    template = config.prompt or TEMPLATE
    if "{question}" not in template:
        raise InputError(f"data.prompt {template!r}: has no {{question}}")
    examples = tuple(
        Example(id=str(number), group=str(number), prompt=template.replace("{question}", question), answer=answer)
        for number, (question, answer) in enumerate(QUESTIONS.items(), start=1)
    )
    content = json.dumps([(example.prompt, example.answer) for example in examples])
    revision = hashlib.sha256(content.encode()).hexdigest()[:16]
    return ExampleSet(config.name, "generate", examples, revision, max_new_tokens=config.max_new_tokens or 32)
