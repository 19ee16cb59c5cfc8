"""Layer-selective rank reduction of decision transformers on gymnasium tasks.

Importing it registers the environments; `gymnasium.make("rl:laser_lit/Sokoban-v0")` imports it by itself.
"""

import gymnasium

from rl.sokoban.rules import MAX_STEPS

_SOKOBANS = {
    "laser_lit/Sokoban-small-v0": {"size": 6, "boxes": 1},
    "laser_lit/Sokoban-v0": {"size": 7, "boxes": 2},
    "laser_lit/Boxoban-v0": {"size": 10, "boxes": 4},
}

for _id, _kwargs in _SOKOBANS.items():
    gymnasium.register(
        _id,
        entry_point="rl.sokoban.env:SokobanEnv",
        vector_entry_point="rl.sokoban.vector_env:SokobanVectorEnv",
        max_episode_steps=MAX_STEPS,
        kwargs=_kwargs,
    )
