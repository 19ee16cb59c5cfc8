"""Factors on disk: one factorization a matrix, whatever happens to the files meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

import laser_lit.linalg.cache as cache_module
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache, content_hash
from laser_lit.linalg.svd import Factors, Svd


@pytest.fixture(name="W")
def one_matrix() -> Tensor:
    return torch.randn(12, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the methods that were computed, one entry a factorization."""
    methods: list[str] = []
    original = cache_module.factorize

    def counted(W: Tensor, method: str, **arguments: object) -> Factors:
        factors = original(W, method, **arguments)
        methods.append(method)
        return factors

    monkeypatch.setattr(cache_module, "factorize", counted)
    return methods


def same(first: Factors, second: Factors) -> bool:
    tensors = zip((first.U, first.S, first.Vh), (second.U, second.S, second.Vh), strict=True)
    return all(torch.equal(*pair) for pair in tensors) and (first.method, first.error) == (second.method, second.error)


@pytest.mark.parametrize("options", [Svd(), Svd("exact"), Svd("randomized", seed=3)])
def test_factors_come_back_the_same_from_memory_and_disk(
    tmp_path: Path, W: Tensor, computed: list[str], options: Svd
) -> None:
    cache = FactorCache(tmp_path)
    first = cache.get(W, options=options, rank=3)
    assert same(first, cache.get(W.clone(), options=options, rank=3))
    assert same(first, FactorCache(tmp_path).get(W, options=options, rank=3))
    assert len(computed) == 1


def test_what_decides_the_factors_decides_the_key(tmp_path: Path, W: Tensor, computed: list[str]) -> None:
    cache = FactorCache(tmp_path)
    changed = W.clone()
    changed[3, 4] = torch.nextafter(changed[3, 4], torch.tensor(9.0))
    for other in (W, changed, W.reshape(8, 12), W.double(), W.T.contiguous()):
        cache.get(other)
    cache.get(W, "exact")
    cache.get(W, rank=2)
    for options in (Svd("randomized"), Svd("randomized", seed=1), Svd("randomized", n_iter=1)):
        cache.get(W, options=options, rank=2)
    assert len(computed) == 10
    cache.get(W, options=Svd("auto", seed=7))  # the seed is the randomized method's alone
    cache.get(W.T.contiguous().T)
    assert len(computed) == 10


def test_equal_bits_are_equal_content(W: Tensor) -> None:
    assert content_hash(W) == content_hash(W.T.contiguous().T)
    assert content_hash(W.bfloat16()) != content_hash(W.half())
    assert content_hash(torch.zeros(2, 2)) != content_hash(-torch.zeros(2, 2))
    assert len(content_hash(W.bfloat16())) == 32


def test_the_default_folder_is_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, W: Tensor) -> None:
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path / "cache"))
    cache = FactorCache()
    assert cache.folder == tmp_path / "cache" / "factors"
    assert not cache.folder.exists()
    cache.get(W)
    assert len(list(cache.folder.glob("*.safetensors"))) == 1


@pytest.mark.parametrize("damage", ["empty", "half", "flipped byte", "flipped header", "text"])
def test_damaged_files_are_replaced(tmp_path: Path, W: Tensor, computed: list[str], damage: str) -> None:
    factors = FactorCache(tmp_path).get(W)
    (path,) = tmp_path.glob("*.safetensors")
    whole = path.read_bytes()
    flip = {"flipped byte": len(whole) - 9, "flipped header": whole.index(b"gram")}.get(damage, 0)
    content = {"empty": b"", "half": whole[: len(whole) // 2], "text": b"factors"}
    path.write_bytes(content.get(damage, whole[:flip] + bytes([whole[flip] ^ 1]) + whole[flip + 1 :]))
    assert same(factors, FactorCache(tmp_path).get(W))
    assert same(factors, FactorCache(tmp_path).get(W))
    assert len(computed) == 2


def matrices(count: int) -> list[Tensor]:
    return [torch.full((10, 10), float(i + 1)) for i in range(count)]


def test_the_least_recently_used_are_removed(tmp_path: Path, computed: list[str]) -> None:
    first, second, third, fourth = matrices(4)
    FactorCache(tmp_path).get(first)
    size = next(tmp_path.iterdir()).stat().st_size
    FactorCache(tmp_path).get(second)
    FactorCache(tmp_path).get(third)
    for age, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: -path.stat().st_mtime_ns)):
        os.utime(path, (time.time() - 100 * (age + 1),) * 2)
    FactorCache(tmp_path).get(first)  # used now
    FactorCache(tmp_path, max_bytes=int(2.5 * size)).get(fourth)
    assert len(list(tmp_path.iterdir())) == 2
    before = len(computed)
    for W in (first, fourth):
        FactorCache(tmp_path).get(W)
    assert len(computed) == before


def test_factors_larger_than_the_bound_are_not_kept(tmp_path: Path, W: Tensor, computed: list[str]) -> None:
    cache = FactorCache(tmp_path, max_bytes=100, max_memory_bytes=100)
    cache.get(W)
    cache.get(W)
    assert len(computed) == 2
    assert list(tmp_path.iterdir()) == []


def test_memory_holds_the_latest_within_its_bound(tmp_path: Path) -> None:
    cache = FactorCache(tmp_path, max_memory_bytes=2 * 4 * (100 + 10 + 100))
    for W in matrices(4):
        cache.get(W)
    for path in tmp_path.iterdir():
        path.unlink()
    first, _, third, fourth = matrices(4)
    for W in (third, fourth):
        cache.get(W)
    assert list(tmp_path.iterdir()) == []
    cache.get(first)
    assert len(list(tmp_path.iterdir())) == 1


def test_remains_of_killed_writers_are_swept(tmp_path: Path, W: Tensor) -> None:
    old, new = tmp_path / ".old.1.safetensors", tmp_path / ".new.2.safetensors"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    FactorCache(tmp_path).get(W)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, W: Tensor, computed: list[str]) -> None:
    (tmp_path / "file").write_text("")
    cache = FactorCache(tmp_path / "file", max_memory_bytes=0)
    with pytest.warns(UserWarning, match="factors are not kept"):
        factors = cache.get(W)
    assert factors.rank_max == 8


def test_a_full_disk_costs_only_time(
    tmp_path: Path, W: Tensor, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(cache_module, "save_file", full)
    cache = FactorCache(tmp_path)
    with pytest.warns(UserWarning, match="factors are not kept in .*No space left"):
        cache.get(W)
    cache.get(W)
    assert len(computed) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_that_cannot_be_removed_is_computed_anew(
    tmp_path: Path, W: Tensor, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    FactorCache(tmp_path).get(W)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"factors")

    def forbidden(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", forbidden)
    with pytest.warns(UserWarning, match="factors are not kept"):
        assert FactorCache(tmp_path).get(W).rank_max == 8
    assert len(computed) == 2


def test_refusals_name_the_matrix_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layer 3 fc_in has 9 NaN"):
        FactorCache(tmp_path / "new").get(torch.full((3, 3), float("nan")), name="layer 3 fc_in")
    assert not (tmp_path / "new").exists()


def test_factors_read_in_inference_mode_can_be_used_outside(tmp_path: Path, W: Tensor) -> None:
    FactorCache(tmp_path).get(W)
    with torch.inference_mode():
        factors = FactorCache(tmp_path).get(W)
    assert not factors.U.is_inference()


@pytest.mark.slow
def test_processes_share_a_folder_that_is_too_small_for_all(tmp_path: Path) -> None:
    program = """
import sys, torch
from laser_lit.linalg.cache import FactorCache
torch.set_num_threads(1)
for turn in range(40):
    W = torch.full((16, 16), 1.0 + turn % 5)
    cache = FactorCache(sys.argv[1], max_bytes=3 * 2700, max_memory_bytes=0)
    torch.testing.assert_close(cache.get(W).low_rank(1), W)
"""
    workers = [subprocess.Popen([sys.executable, "-W", "error", "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0, 0]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * 2700


@pytest.mark.parametrize(("given", "expected"), [("", 10 * 2**30), ("40", 40_000_000_000), ("0", 0)])
def test_the_size_of_the_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: int):
    monkeypatch.setenv("LASER_LIT_CACHE_GB", given)
    assert FactorCache(tmp_path).max_bytes == expected


@pytest.mark.parametrize("given", ["ten", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str):
    monkeypatch.setenv("LASER_LIT_CACHE_GB", given)
    with pytest.raises(InputError, match=f"LASER_LIT_CACHE_GB={given}"):
        FactorCache(tmp_path)
