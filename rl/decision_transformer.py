"""A policy for boards of tiles: transformers' decision transformer, and a variant with one token a step.

    layout=steps   a step is one token:    return + board + action before + time  -> logits of the action
    layout=triples a step is three tokens: return, board, action, time in each    -> logits at the board's token

Both are a `transformers.DecisionTransformerModel` and nothing besides, so that a checkpoint opens in transformers, and
the matrix map of its family holds for both. A board enters as the sum of a vector a cell and tile (`embed_state` on
one-hot tiles).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import DecisionTransformerConfig, DecisionTransformerModel
from transformers.cache_utils import DynamicCache

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.load import check_complete
from laser_lit.models.source import find_source
from rl.sokoban.rules import ACTIONS, TILES

Layout = Literal["steps", "triples"]
LAYOUTS = get_args(Layout)
NO_ACTION = -1
"""Stands for the action before the first."""
RETURN_SCALE = 10.0
"""Returns are divided by it, so that a solved level's is about 1."""


@dataclass(frozen=True)
class PolicyShape:
    """What a policy is made of.

    Attributes:
        height: of the boards.
        width: of the boards.
        max_steps: longest episode.
        layers: number of blocks.
        hidden: size of the hidden states.
        heads: attention heads.
        layout: "steps" or "triples".
        conditioned: whether the return to go is told; behaviour cloning is told nothing.
    """

    height: int
    width: int
    max_steps: int
    layers: int = 3
    hidden: int = 128
    heads: int = 4
    layout: Layout = "steps"
    conditioned: bool = True

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise unknown_name("layout", self.layout, LAYOUTS)
        if self.hidden % self.heads:
            raise InputError(f"hidden size {self.hidden}: must be a multiple of the {self.heads} heads")


@dataclass
class Context:
    """Episodes as far as they have come: what the policy keeps of the steps before.

    Attributes:
        cache: keys and values of the tokens before.
        steps: how many steps were taken.
        action: (batch,) the last action, NO_ACTION before the first.
    """

    cache: DynamicCache
    steps: int
    action: Tensor

    def keep(self, rows: NDArray[np.integer]) -> None:
        """Forgets the episodes that are not among the rows."""
        chosen = torch.as_tensor(rows, device=self.action.device)
        self.action = self.action[chosen]
        if self.steps:
            self.cache.batch_select_indices(chosen)


class Policy(DecisionTransformerModel):
    """A decision transformer on boards; see the module."""

    @classmethod
    def new(cls, shape: PolicyShape, seed: int) -> "Policy":
        """Returns an untrained policy; the caller's random state is left as it was.

        Args:
            shape: what it is made of.
            seed: of the initial weights.
        """
        config = DecisionTransformerConfig(
            state_dim=shape.height * shape.width * TILES,
            act_dim=len(ACTIONS),
            hidden_size=shape.hidden,
            max_ep_len=shape.max_steps,
            action_tanh=False,  # logits
            n_positions=1,  # the model adds the embedding of position 0 to every token
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=4 * shape.hidden,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            sokoban=vars(shape),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    @property
    def shape(self) -> PolicyShape:
        """What the policy is made of."""
        return PolicyShape(**self.config.sokoban)

    def logits(self, boards: Tensor, actions: Tensor, returns: Tensor) -> Tensor:
        """Returns the logits of every step of whole episodes, (batch, steps, actions).

        Padding at the end needs no mask: no step sees a later one.

        Args:
            boards: (batch, steps, cells) tiles.
            actions: (batch, steps) taken at each step; that of a step itself has no effect on its logits.
            returns: (batch, steps) rewards still to come.
        """
        times = torch.arange(boards.shape[1], device=boards.device).expand(boards.shape[:2])
        if self.shape.layout == "steps":
            before = torch.cat([torch.full_like(actions[:, :1], NO_ACTION), actions[:, :-1]], 1)
            return self.predict_action(self._hidden(self._step_tokens(boards, before, returns, times)))
        told, seen, done = self._parts(boards, actions, returns, times)
        tokens = torch.stack([told, seen, done], 2).flatten(1, 2)  # (batch, 3 * steps, hidden)
        return self.predict_action(self._hidden(tokens)[:, 1::3])

    def begin(self, episodes: int) -> Context:
        """Returns the context of episodes before their first step.

        Args:
            episodes: how many run together.
        """
        first = torch.full((episodes,), NO_ACTION, device=self.device)
        return Context(DynamicCache(), 0, first)

    def next_logits(self, context: Context, boards: Tensor, returns: Tensor) -> Tensor:
        """Returns the logits of the next step, (batch, actions), and adds the step to the context.

        Put the action that was taken into `context.action` afterwards.

        Args:
            context: of the episodes so far.
            boards: (batch, cells) tiles as they are now.
            returns: (batch,) rewards still to come.
        """
        now = torch.full((len(boards), 1), context.steps, device=boards.device)
        before, boards, returns = context.action[:, None], boards[:, None], returns[:, None]
        if self.shape.layout == "steps":
            tokens = self._step_tokens(boards, before, returns, now)
        else:
            told, seen, _ = self._parts(boards, before, returns, now)
            tokens = torch.cat([told, seen], 1)
            if context.steps:
                done = self.embed_action(_one_hot_action(before)) + self.embed_timestep(now - 1)
                tokens = torch.cat([done, tokens], 1)
        context.steps += 1
        return self.predict_action(self._hidden(tokens, context.cache)[:, -1])

    def _step_tokens(self, boards: Tensor, before: Tensor, returns: Tensor, times: Tensor) -> Tensor:
        """Returns (batch, steps, hidden): everything that is known at a step, added."""
        told, seen = self.embed_return(self._told(returns)), self.embed_state(_one_hot_boards(boards))
        return told + seen + self.embed_action(_one_hot_action(before)) + self.embed_timestep(times)

    def _parts(self, boards: Tensor, actions: Tensor, returns: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the three tokens of each step, each (batch, steps, hidden)."""
        time = self.embed_timestep(times)
        told = self.embed_return(self._told(returns)) + time
        return (
            told,
            self.embed_state(_one_hot_boards(boards)) + time,
            self.embed_action(_one_hot_action(actions)) + time,
        )

    def _told(self, returns: Tensor) -> Tensor:
        scaled = returns[..., None] / RETURN_SCALE
        return scaled if self.shape.conditioned else torch.zeros_like(scaled)

    def _hidden(self, tokens: Tensor, cache: DynamicCache | None = None) -> Tensor:
        """Returns the last hidden states (batch, tokens, hidden) of tokens that follow those in the cache."""
        past = 0 if cache is None else cache.get_seq_length()
        shape = (len(tokens), past + tokens.shape[1])
        # Without a mask transformers takes position ids that are all 0 for many packed sequences of one token each.
        return self.encoder(
            inputs_embeds=self.embed_ln(tokens),
            attention_mask=torch.ones(shape, dtype=torch.long, device=tokens.device),
            position_ids=torch.zeros(tokens.shape[:2], dtype=torch.long, device=tokens.device),
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state


def load_policy(path: str | Path) -> Policy:
    """Returns a policy in eval mode from a folder that `save_pretrained` wrote.

    Raises:
        InputError: no such folder, a model of another kind, or weights that are missing or broken.
    """
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json; give the folder of a policy that train.py task=sokoban wrote")
    source = find_source(folder)
    config: Any = source.load(DecisionTransformerConfig.from_pretrained)
    if getattr(config, "sokoban", None) is None:
        raise InputError(
            f"{folder} holds a {config.model_type} that was not trained on boards; give the folder of a policy that "
            "train.py task=sokoban wrote"
        )
    policy, info = source.load(Policy.from_pretrained, config=config, dtype=torch.float32, output_loading_info=True)
    check_complete(source.where, "policy", info)
    return policy.eval()


def _one_hot_boards(boards: Tensor) -> Tensor:
    """Returns (…, cells * TILES) of 0 and 1 for tiles (…, cells)."""
    return one_hot(boards.long(), TILES).flatten(-2).float()


def _one_hot_action(actions: Tensor) -> Tensor:
    """Returns (…, actions) of 0 and 1; NO_ACTION is all 0."""
    return one_hot(actions.long() + 1, len(ACTIONS) + 1)[..., 1:].float()


def freeze_idle(policy: Policy) -> Policy:
    """Returns the policy without gradients in what stands idle: two heads, and the embedding of words."""
    for idle in (policy.predict_state, policy.predict_return, policy.encoder.wte):
        idle.requires_grad_(False)
    return policy
