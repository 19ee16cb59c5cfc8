"""Tasks of lm-evaluation-harness as examples: prompts and answers are the harness's to the letter."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from laser_lit.config_data import DataConfig
from laser_lit.data.example import ExampleSet, Scoring, TextSet
from laser_lit.data.harness import harness_tasks, unshadowed
from laser_lit.data.pairs import FILTERS, ExactMatch, Filter, PairExample, PairSet
from laser_lit.data.wording import group_of
from laser_lit.errors import InputError

KINDS: dict[str, Scoring | None] = {
    "multiple_choice": "choice",
    "loglikelihood": "greedy",
    "generate_until": "generate",
    "loglikelihood_rolling": None,
}
"""The harness's output_type -> how its examples are scored; None is text."""

_MATCHING = ("regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers")


def load(config: DataConfig) -> ExampleSet | TextSet:
    """Returns the examples of a task, group or tag of the harness, or the text of one that measures perplexity.

    Args:
        config: `task` names it; `path` is a folder (or several) of tasks in YAML, `num_fewshot` the number of solved
            examples, `first_rows` how many documents to take of each task, `group` a field of the documents.

    Raises:
        InputError: the harness is missing, the task cannot be read, or is of a kind that is not scored here.
    """
    if config.chat_template:
        raise InputError("data.chat_template: prompts of data=lm_eval are the harness's; leave it false")
    with unshadowed():
        tasks, version = harness_tasks(config)
        kind = _kind(tasks)
        revision = f"{config.task} {_versions(tasks)}, {_shots(tasks)}-shot, lm-eval {version}"
        if kind == "loglikelihood_rolling":
            return _text(config, tasks, revision)
        examples = tuple(example for task in tasks for example in _examples(task, config, len(tasks) > 1))
        scoring = KINDS[kind]
        if scoring is None:
            raise TypeError(kind)
        if scoring != "generate":
            return PairSet(config.name, scoring, examples, revision)
        match, new_tokens = _matching(tasks)
    return PairSet(
        config.name, scoring, examples, revision, max_new_tokens=config.max_new_tokens or new_tokens, match=match
    )


def _kind(tasks: list[Any]) -> str:
    """Returns the one kind of the tasks."""
    for task in tasks:
        kind = task.OUTPUT_TYPE
        if kind not in KINDS or not hasattr(task, "doc_to_choice"):
            raise _refused(task, f"is of the kind {kind} and written in Python" if kind in KINDS else f"is {kind}")
        if task.config.process_results is not None:
            raise _refused(task, "computes its score by a Python function of its own (process_results)")
        if getattr(task, "MULTIMODAL", False):
            raise _refused(task, "asks about pictures or sound")
    kinds = sorted({str(task.OUTPUT_TYPE) for task in tasks})
    if len(kinds) > 1:
        raise InputError(f"{len(tasks)} tasks of several kinds ({', '.join(kinds)}) cannot be one data set; name one")
    return kinds[0]


def _refused(task: Any, reason: str) -> InputError:
    return InputError(
        f"data.task={task.task_name} {reason}; tasks written in YAML of these kinds work: {', '.join(KINDS)}; "
        "export the model and run the harness itself on this one (docs/lm_eval.md)"
    )


def _versions(tasks: list[Any]) -> str:
    return "version " + "/".join(sorted({str(task.VERSION) for task in tasks}))


def _shots(tasks: list[Any]) -> str:
    return "/".join(sorted({str(task.get_config("num_fewshot") or 0) for task in tasks}))


def _documents(task: Any) -> Iterator[tuple[int, list[Any]]]:
    """Yields the number of each document and its requests, in the harness's order."""
    for number, instances in groupby(task.instances, key=lambda instance: instance.doc_id):
        yield number, list(instances)


def _examples(task: Any, config: DataConfig, named: bool) -> Iterator[PairExample]:
    make = _MAKERS[task.OUTPUT_TYPE]
    for number, instances in _documents(task):
        doc, identity = instances[0].doc, f"{task.task_name}/{number}"
        yield make(
            task,
            [tuple(instance.args) for instance in instances],
            doc,
            {
                "id": identity,
                "group": _group(task, doc, config.group, identity),
                "category": task.task_name if named else None,
            },
        )


def _group(task: Any, doc: Mapping[str, Any], field: str | None, identity: str) -> str:
    """Returns what the split keeps together: documents of one value of the field, or of one question."""
    if field is not None:
        if field not in doc:
            raise InputError(f"data.group={field}: document {identity} has the fields {', '.join(doc)}")
        return str(doc[field])
    text = task.doc_to_text(doc)
    return group_of(text if isinstance(text, str) else "\n".join(map(str, task.doc_to_choice(doc))))


def _choice(task: Any, pairs: list[tuple[Any, ...]], doc: Mapping[str, Any], about: dict[str, Any]) -> PairExample:
    choices = tuple(str(choice) for choice in task.doc_to_choice(doc))
    if not all(choices):
        raise InputError(f"example {about['id']}: a choice is empty: {list(choices)}")
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    places = [choices.index(place) if place in choices else place for place in _listed(gold)]
    right = tuple(place for place in places if isinstance(place, int) and 0 <= place < len(choices))
    if not right:
        raise InputError(
            f"example {about['id']}: {gold!r} is none of its {len(choices)} choices; its answers are hidden"
        )
    asked = pairs[: len(choices)]  # further ones are the choices without their question, for acc_mutual_info
    return PairExample(
        **about,
        prompt=asked[right[0]][0],
        answer=choices[right[0]],
        choices=choices,
        contexts=tuple(context for context, _ in asked),
        continuations=tuple(continuation for _, continuation in asked),
        lengths=tuple(len(choice) for choice in choices),
        right=right,
    )


def _listed(gold: Any) -> list[Any]:
    return list(gold) if isinstance(gold, list | tuple) else [gold]


def _greedy(task: Any, pairs: list[tuple[Any, ...]], doc: Mapping[str, Any], about: dict[str, Any]) -> PairExample:
    context, continuation = pairs[0]
    if not isinstance(continuation, str) or not continuation.strip():
        raise InputError(f"example {about['id']}: its target is {continuation!r}, not a text")
    answer = continuation.strip()
    return PairExample(**about, prompt=context, answer=answer, contexts=(context,), continuations=(continuation,))


def _generated(task: Any, pairs: list[tuple[Any, ...]], doc: Mapping[str, Any], about: dict[str, Any]) -> PairExample:
    context, gold = pairs[0][0], task.doc_to_target(doc)
    if task.config.doc_to_choice is not None:
        gold = task.doc_to_choice(doc)[gold]
    answers = [str(answer) for answer in _listed(gold)]
    if not answers or not answers[0].strip():
        raise InputError(f"example {about['id']}: its target is {gold!r}, not a text")
    return PairExample(
        **about,
        prompt=context,
        answer=answers[0],
        aliases=tuple(answers[1:]),
        contexts=(context,),
        continuations=(task.config.target_delimiter + answers[0],),
    )


_MAKERS: dict[str, Callable[..., PairExample]] = {
    "multiple_choice": _choice,
    "loglikelihood": _greedy,
    "generate_until": _generated,
}


def _matching(tasks: list[Any]) -> tuple[ExactMatch, int]:
    """Returns how generated texts are judged, and how many tokens are generated, which is the same for all tasks."""
    found = [_match(task) for task in tasks]
    if any(each != found[0] for each in found):
        raise InputError(
            f"{len(tasks)} tasks that generate and stop in different ways cannot be one data set; name one"
        )
    return found[0]


def _match(task: Any) -> tuple[ExactMatch, int]:
    from lm_eval.defaults import DEFAULT_MAX_GEN_TOKS

    settings = dict(task.config.generation_kwargs or {})
    metrics = {entry["metric"]: entry for entry in task.config.metric_list or [{"metric": "exact_match"}]}
    if "exact_match" not in metrics or metrics["exact_match"].get("hf_evaluate"):
        raise _refused(task, f"generates text that is judged by {', '.join(map(str, metrics))}, not by exact_match")
    if settings.get("do_sample"):
        raise _refused(task, "samples its answers (do_sample)")
    steps = task.config.filter_list[0]["filter"] if task.config.filter_list else []
    until = settings.get("until") or ()
    kwargs = {key: value for key, value in metrics["exact_match"].items() if key in _MATCHING}
    if "regexes_to_ignore" in kwargs:
        kwargs["regexes_to_ignore"] = tuple(kwargs["regexes_to_ignore"])
    match = ExactMatch(
        until=(until,) if isinstance(until, str) else tuple(until),
        filters=tuple(_filter(task, dict(step)) for step in steps),
        **kwargs,
    )
    return match, int(settings.get("max_gen_toks") or DEFAULT_MAX_GEN_TOKS)


def _filter(task: Any, step: dict[str, Any]) -> Filter:
    name = step.pop("function")
    if name not in FILTERS:
        raise _refused(task, f"filters its answers by {name}; {', '.join(FILTERS)} are known")
    names = {"regex_pattern": "pattern", "group_select": "place", "fallback": "fallback"}
    given = {names[key]: value for key, value in step.items() if key in names}
    return Filter(name, **({"pattern": r"#### (\-?[0-9\.\,]+)"} | given if name == "regex" else given))


def _text(config: DataConfig, tasks: list[Any], revision: str) -> TextSet:
    found = [
        (f"{task.task_name}/{number}", str(requests[0].args[0]))
        for task in tasks
        for number, requests in _documents(task)
    ]
    kept = [(name, text) for name, text in found if text.strip()]
    if not kept:
        raise InputError(f"data.task={config.task}: every document is empty")
    names, texts = zip(*kept, strict=True)
    return TextSet(config.name, texts, revision, names, config.window)
