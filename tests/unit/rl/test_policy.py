"""The policy against transformers' own forward pass, its matrices, its folder, and its rollouts."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import one_hot
from transformers import DecisionTransformerModel

from laser_lit import Edit, Stack, find_matrices
from laser_lit.errors import InputError
from rl.decision_transformer import Policy, PolicyShape, freeze_idle, load_policy
from rl.rollout import rollout
from rl.sokoban.rules import ACTIONS, TILES, from_text, step

BOARDS = [
    from_text(text)
    for text in (
        "######\n#@$ .#\n#    #\n######",
        "######\n#.$@ #\n#    #\n######",
        "######\n# @  #\n# $ .#\n######",
        "######\n#@  .#\n#  $ #\n######",
        "######\n#.  @#\n#  $ #\n######",
    )
]
LAYOUTS = ("steps", "triples")


def policy_of(layout="steps", conditioned=True, seed=0, max_steps=12):
    policy = Policy.new(PolicyShape(4, 6, max_steps, 2, 32, 2, layout, conditioned), seed).eval()
    with torch.no_grad():  # decisions far apart, so that rounding decides none
        for parameter in policy.parameters():
            parameter.mul_(3)
    return policy


def random_episodes(n=3, steps=5):
    boards = torch.from_numpy(np.random.default_rng(0).integers(0, TILES, (n, steps, 24)))
    actions = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (n, steps)))
    return boards, actions, torch.linspace(-3, 12, n * steps).reshape(n, steps)


def test_the_triples_are_transformers_own_decision_transformer():
    policy = policy_of("triples")
    boards, actions, returns = random_episodes()
    theirs = DecisionTransformerModel.forward(
        policy,
        states=one_hot(boards, TILES).flatten(2).float(),
        actions=one_hot(actions, 4).float(),
        returns_to_go=returns[..., None] / 10,
        timesteps=torch.arange(5).expand(3, 5),
        attention_mask=torch.ones(3, 5),
    ).action_preds
    torch.testing.assert_close(policy.logits(boards, actions, returns), theirs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_step_sees_the_past_and_not_the_future(layout):
    policy = policy_of(layout)
    boards, actions, returns = random_episodes()
    before = policy.logits(boards, actions, returns)
    later = boards.clone(), actions.clone(), returns.clone()
    for part in later:
        part[:, 3] = (part[:, 3] + 1) % 4
    after = policy.logits(*later)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])
    own = actions.clone()
    own[:, 3] = (own[:, 3] + 1) % 4
    after = policy.logits(boards, own, returns)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_one_by_one_are_the_whole_episode(layout):
    policy = policy_of(layout)
    boards, actions, returns = random_episodes()
    context, found = policy.begin(3), []
    for at in range(5):
        found.append(policy.next_logits(context, boards[:, at], returns[:, at]))
        context.action = actions[:, at]
    torch.testing.assert_close(torch.stack(found, 1), policy.logits(boards, actions, returns), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_behaviour_cloning_is_told_no_return(layout):
    boards, actions, returns = random_episodes()
    for conditioned in (True, False):
        policy = policy_of(layout, conditioned)
        same = torch.equal(policy.logits(boards, actions, returns), policy.logits(boards, actions, returns + 5))
        assert same is not conditioned


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rollouts_are_the_same_however_they_are_computed(layout):
    policy = policy_of(layout, seed=3)
    plain = rollout(policy, BOARDS, target_return=10, cached=False, drop_finished=False)
    ways = [(True, True, 256), (True, False, 256), (False, True, 256), (True, True, 1), (True, True, 2)]
    for cached, drop, size in ways:
        found = rollout(policy, BOARDS, target_return=10, cached=cached, drop_finished=drop, batch_size=size)
        assert found.actions == plain.actions
        assert np.array_equal(found.solved, plain.solved)
        np.testing.assert_allclose(found.returns, plain.returns)
        assert np.array_equal(found.steps, plain.steps)


@pytest.mark.parametrize("seed", range(4))
def test_episodes_say_what_the_rules_say(seed):
    episodes = rollout(policy_of(seed=seed), BOARDS, target_return=10)
    for board, solved, total, steps, letters in zip(
        BOARDS, episodes.solved, episodes.returns, episodes.steps, episodes.actions, strict=True
    ):
        rewards = []
        for number, letter in enumerate(letters):
            done = step(board, ACTIONS.index(letter))
            board = done.board
            rewards.append(done.reward)
            assert done.solved == (solved and number == len(letters) - 1)
        assert total == pytest.approx(sum(rewards))
        assert steps == len(letters) == (steps if solved else 12)


def test_a_solved_level_ends_its_episode():
    policy = policy_of()
    with torch.no_grad():
        policy.predict_action[0].weight.zero_()
        policy.predict_action[0].bias.copy_(torch.tensor([0.0, 0, 0, 1]))  # to the right, always
    episodes = rollout(policy, BOARDS, target_return=10)
    assert episodes.actions == ("RR", *(["R" * 12] * 4))
    assert episodes.solved.tolist() == [True, False, False, False, False]
    assert episodes.returns[0] == pytest.approx(10.8)


def test_the_matrices_are_read_and_written_as_they_are_used():
    policy = policy_of()
    matrices = find_matrices(policy)
    assert len(matrices) == 2 * 6
    boards, actions, returns = random_episodes()
    before = policy.logits(boards, actions, returns)
    for id, handle in matrices.items():
        rank = min(handle.shape)
        with Stack([Edit(layer=id.layer, matrix=id.matrix, rank=rank)]).applied(policy):
            torch.testing.assert_close(policy.logits(boards, actions, returns), before, atol=1e-3, rtol=1e-3)
        with Stack([Edit(layer=id.layer, matrix=id.matrix, rank=1)]).applied(policy):
            assert not torch.allclose(policy.logits(boards, actions, returns), before, atol=1e-3)
    assert torch.equal(policy.logits(boards, actions, returns), before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_policy_comes_back_from_its_folder(layout, tmp_path):
    policy = policy_of(layout, conditioned=False)
    policy.save_pretrained(tmp_path)
    loaded = load_policy(tmp_path)
    assert loaded.shape == policy.shape
    assert torch.equal(loaded.logits(*random_episodes()), policy.logits(*random_episodes()))
    assert DecisionTransformerModel.from_pretrained(tmp_path).config.act_dim == 4


def test_a_folder_whose_weights_are_not_all_there_is_refused(tmp_path):
    policy_of().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.h.1.mlp.c_fc.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks weights, which would be random.*: encoder\.h\.1\.mlp\.c_fc\.weight"):
        load_policy(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"a weight file of .* is broken"):
        load_policy(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot load"):
        load_policy(tmp_path)


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn():
    state = torch.get_rng_state()
    one, same, other = (policy_of(seed=seed).state_dict()["embed_state.weight"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_inputs_are_named(tmp_path):
    policy = policy_of()
    with pytest.raises(InputError, match="boards of 4 × 6; given 3 × 5"):
        rollout(policy, [from_text("#####\n#@$.#\n#####")], target_return=10)
    with pytest.raises(InputError, match="at most 12"):
        rollout(policy, BOARDS, target_return=10, max_steps=13)
    with pytest.raises(InputError, match=r"no config\.json"):
        load_policy(tmp_path)
    with pytest.raises(InputError, match="layout"):
        PolicyShape(4, 6, 12, layout="step")
    with pytest.raises(InputError, match="multiple of the 3 heads"):
        PolicyShape(4, 6, 12, hidden=32, heads=3)
    policy.config.sokoban = None
    policy.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not trained on boards"):
        load_policy(tmp_path)


@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_trains_is_what_the_logits_depend_on(layout, conditioned):
    policy = freeze_idle(policy_of(layout, conditioned))
    policy.logits(*random_episodes()).square().sum().backward()
    for name, parameter in policy.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
