"""What the training of a policy was and came to: its record, and the tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from laser_lit.jobs.training_record import Record, print_losses, print_notes, training_record
from rl.data import SolvedLevels
from rl.decision_transformer import Policy
from rl.target_return import TunedReturn
from rl.trajectories.trajectories import NO_TARGET, Trajectories


def policy_record(
    policy: Policy,
    learned: Trajectories,
    validation: SolvedLevels,
    curve: Sequence[Mapping[str, float]],
    tuned: TunedReturn,
    config: DictConfig,
) -> Record:
    """Returns everything about a training as plain values.

    Args:
        policy: as trained.
        learned: what it was trained on.
        validation: what it was watched and tuned on.
        curve: a row a step, as `LearningCurve` keeps it.
        tuned: the target return.
        config: the whole training config.
    """
    about: dict[str, Any] = {
        "model": config.model.name,
        "parameters": sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad),
        "data": {
            "name": config.data.name,
            "trajectories": len(learned),
            "steps": int((learned.targets != NO_TARGET).sum()),
            "solved": float(learned.solved.mean()),
            "validation_levels": len(validation),
            "notes": learned.about.get("notes", []),
        },
        "target_return": tuned.chosen,
        "validation_solved": {str(target): share for target, share in tuned.solved.items()},
    }
    return training_record(about, config.policy.steps, curve, config)


def print_policy(record: Record, *notes: str) -> None:
    """Prints a short table and where the policy is.

    Args:
        record: as from `policy_record`.
        notes: lines to end with.
    """
    data = record["data"]
    print_losses(record, f"[bold]{record['model']}[/bold] trained on {data['name']}", "nats an action")
    told = ", ".join(f"{target}: {share:.1%}" for target, share in record["validation_solved"].items())
    if len(record["validation_solved"]) > 1:
        solved = f", by target return: {told} (of {data['validation_levels']:,}; {record['target_return']} is kept)"
    else:  # told no return
        solved = f": {told.partition(': ')[2]} (of {data['validation_levels']:,})"
    print_notes(
        f"{record['steps']:,} optimizer steps on {data['trajectories']:,} trajectories with {data['steps']:,} steps to "
        f"learn from; {data['solved']:.1%} of them end solved",
        f"validation levels solved{solved}",
        *data["notes"],
        f"policy: {record['path']}",
        *notes,
    )
