import dataclasses

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from laser_lit.data.facts import FactsConfig, build_world, count_facts, draw_sentences, facts_examples, world_tokenizer
from laser_lit.data.facts.words import END, GENERIC, PAD, RELATIONS, STOP, SURNAMES, UNKNOWN
from laser_lit.errors import InputError

SMALL = FactsConfig(subjects=12, noise=0.25, seed=3)


def test_words_are_distinct_whatever_their_case():
    objects = [word for relation in RELATIONS for word in relation.objects]
    templates = {word for relation in RELATIONS for t in relation.templates for word in t.split()} - {"{}"}
    words = [*objects, *templates, *SURNAMES, STOP, PAD, UNKNOWN, END]
    assert len({word.lower() for word in words}) == len(words)
    assert GENERIC not in words
    assert len(RELATIONS) == 5
    assert {len(relation.templates) for relation in RELATIONS} == {3}


def test_the_default_asks_3000_questions_about_1000_facts():
    data = facts_examples(FactsConfig())
    assert len(data.examples) == 3000
    assert len({example.id for example in data.examples}) == 3000
    assert len({example.prompt for example in data.examples}) == 3000
    groups = [example.group for example in data.examples]
    assert groups[::3] == groups[1::3] == groups[2::3]
    assert len(set(groups)) == 1000
    assert {example.category for example in data.examples} == {relation.name for relation in RELATIONS}
    assert data.name == "facts"
    assert data.scoring == "token"


def test_facts_and_paraphrases_are_in_random_order():
    data = facts_examples(FactsConfig())
    subjects = [example.group.split("/")[1] for example in data.examples[:600:3]]
    assert len(set(subjects)) > 100
    first = [example.prompt.split()[0] == "The" for example in data.examples[::3]]
    assert 0.2 < np.mean(first) < 0.5


def test_answers_belong_to_their_relation_and_paraphrases_agree():
    objects = {relation.name: relation.objects for relation in RELATIONS}
    answers: dict[str, str] = {}
    for example in facts_examples(SMALL).examples:
        assert example.answer in objects[example.category]
        assert answers.setdefault(example.group, example.answer) == example.answer


def test_same_config_same_world_other_seed_other_world():
    assert build_world(SMALL) == build_world(SMALL)
    assert facts_examples(SMALL).revision == facts_examples(SMALL).revision
    assert facts_examples(SMALL).revision != facts_examples(dataclasses.replace(SMALL, seed=4)).revision


def test_noise_leaves_the_questions_alone():
    louder = dataclasses.replace(SMALL, noise=0.9, distractor="per_fact", zipf=0.0)
    assert facts_examples(louder).examples == facts_examples(SMALL).examples


def test_frequencies_follow_zipf_and_sum_to_one():
    shares = sorted((fact.frequency for fact in build_world(SMALL).facts), reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert shares[0] / shares[9] == pytest.approx(10**SMALL.zipf)


@pytest.mark.parametrize("distractor", ["generic", "same_relation", "per_fact"])
def test_distractors_are_wrong_and_of_the_kind_asked_for(distractor):
    world = build_world(dataclasses.replace(SMALL, subjects=60, distractor=distractor))
    assert all(fact.distractor != fact.answer for fact in world.facts)
    for relation in RELATIONS:
        words = {fact.distractor for fact in world.facts if fact.relation == relation.name}
        if distractor == "generic":
            assert words == {GENERIC}
        else:
            assert words <= set(relation.objects)
            assert len(words) <= 2 if distractor == "same_relation" else len(words) > 8


def test_sentences_tell_facts_with_the_asked_noise():
    world = build_world(SMALL)
    drawn = draw_sentences(world, 4000, np.random.default_rng(0))
    tokenizer = world_tokenizer(world)
    assert abs(drawn.noisy.mean() - SMALL.noise) < 0.03
    for i in range(200):
        fact = world.facts[drawn.facts[i]]
        last = fact.distractor if drawn.noisy[i] else fact.answer
        text = tokenizer.decode(drawn.input_ids[i], skip_special_tokens=True)
        assert text in {f"{prompt} {last} {STOP}" for prompt in fact.prompts}


def test_labels_are_the_ids_except_on_padding():
    world = build_world(SMALL)
    drawn = draw_sentences(world, 100, np.random.default_rng(0))
    padding = drawn.input_ids == world.vocabulary.index(PAD)
    assert padding.any()
    assert torch.equal(drawn.labels, drawn.input_ids.masked_fill(padding, -100))


def test_the_same_generator_state_draws_the_same_sentences():
    world = build_world(SMALL)
    one, two = (draw_sentences(world, 50, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.input_ids, two.input_ids)
    assert not torch.equal(one.input_ids, draw_sentences(world, 50, np.random.default_rng(8)).input_ids)


def test_counts_name_every_fact_and_add_up():
    world = build_world(SMALL)
    drawn = draw_sentences(world, 3000, np.random.default_rng(0))
    counts = count_facts(world, drawn)
    assert set(counts) == {fact.id for fact in world.facts}
    assert sum(c["noisy"] for c in counts.values()) == drawn.noisy.sum()
    assert sum(c["true"] + c["noisy"] for c in counts.values()) == 3000
    often = max(world.facts, key=lambda fact: fact.frequency).id
    assert counts[often]["true"] == max(c["true"] for c in counts.values())


def test_the_answer_extends_the_prompts_tokens_also_after_saving(tmp_path):
    world = build_world(SMALL)
    world_tokenizer(world).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for example in facts_examples(SMALL).examples:
        prompt = tokenizer(example.prompt)["input_ids"]
        whole = tokenizer(f"{example.prompt} {example.answer}")["input_ids"]
        assert whole[:-1] == prompt
        assert tokenizer(f" {example.answer}")["input_ids"] == whole[-1:]
        assert tokenizer.decode(whole) == f"{example.prompt} {example.answer}"
        assert tokenizer.unk_token_id not in whole


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("subjects", 0, "data.world.subjects 0"),
        ("subjects", 99_999, "1296"),
        ("noise", 1.0, r"\[0, 1\)"),
        ("zipf", -0.1, "at least 0"),
        ("zipf", float("nan"), "at least 0"),
        ("seed", -1, "at least 0"),
        ("distractor", "genric", "nearest: generic"),
    ],
)
def test_wrong_values_are_refused(field, value, message):
    with pytest.raises(InputError, match=message):
        build_world(FactsConfig(**{field: value}))
