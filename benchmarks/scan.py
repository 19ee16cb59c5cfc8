"""A scan of spectra beside laserRMT's and WeightWatcher's arithmetic, and how much memory a scan of files takes.

    pip install 'laser_lit[bench]'
    python benchmarks/scan.py [--gb 2]

ours          `measure`: all columns of a scan, from the matrix in float32
laserrmt      laserRMT's SNR and nothing else: svdvals in float64 in the stored (wide) orientation, quartiles, two sums
weightwatcher analyze of weightwatcher 0.7.7 on the same matrix as a Linear, randomize off on both sides

One 1024 x 4096 matrix, whose singular values fall off, one thread, CPU seconds, best of ROUNDS, in turn. What
both sides compute is checked to be equal: to a relative 1e-6 with laserRMT; with WeightWatcher, which factorizes in
float32, to 1e-4. speedup_vs_weightwatcher is null where weightwatcher is not installed.

peak_mb is the largest resident memory (VmHWM) of a fresh process that scans a generated sharded Llama checkpoint in
float32 with its defaults, peak_mb_command that of `evaluate.py task=scan logger=none` on it; both list the heavy
libraries that were loaded, which must be none. The last line is a JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from laser_lit.spectral.measures import measure

OUT, IN, ROUNDS = 1024, 4096, 3
HEAVY = ("lightning", "transformers", "datasets", "accelerate", "wandb")
ROOT = Path(__file__).resolve().parents[1]

CHILD = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
{{work}}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("measured", int(peak.split()[1]) * 1024 / 1e6, *[name for name in {HEAVY!r} if name in sys.modules])
"""
API = "from laser_lit import scan\nscan({model!r}, folder={out!r})"
COMMAND = (
    "sys.argv[1:] = ['task=scan', 'model=local', 'model.path={model}', 'logger=none', 'paths.results={out}/rows', "
    "'hydra.run.dir={out}']\nfrom laser_lit.main import evaluate\nevaluate()"
)


def matrix() -> Tensor:
    """Returns the matrix, (out, in), in float32: its singular values fall off by a power law, as trained ones do."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(OUT, OUT, generator=generator), torch.randn(OUT, IN, generator=generator)
    strength = torch.arange(1, OUT + 1) ** -0.5 / sqrt(OUT)
    return 0.02 * (left * strength) @ right  # (out, in)


def laserrmt(W: Tensor) -> dict[str, float]:
    """Returns laserRMT's sigma, threshold, rank and SNR, computed as its code does."""
    S = torch.linalg.svdvals(W.double())
    sigma = float(torch.quantile(S, 0.75) - torch.quantile(S, 0.25)) / 1.349
    threshold = sigma * (1 + sqrt(min(W.shape) / max(W.shape)))
    above = torch.gt(S, threshold)
    return {
        "laser_rmt_sigma": sigma,
        "laser_rmt_threshold": threshold,
        "laser_rmt_rank": int(above.sum()),
        "snr": float(S[above].sum() / S[~above].sum()),
    }


def weightwatcher(W: Tensor) -> dict[str, float]:
    """Returns WeightWatcher's row of the matrix, by our names."""
    import weightwatcher as ww

    layer = nn.Linear(IN, OUT, bias=False)
    layer.weight.data.copy_(W)
    row = ww.WeightWatcher(model=nn.Sequential(layer)).analyze(randomize=False).iloc[0]
    names = ("alpha", "alpha_weighted", "D", "xmin", "log_norm", "spectral_norm", "stable_rank", "num_pl_spikes")
    return {name: float(row[name]) for name in names}


def best(work: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Returns the least CPU seconds of each piece of work, taken in turn."""
    found = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, call in work.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], time.process_time() - start)
    return found


def check(ours: dict[str, Any], theirs: dict[str, float], tolerance: float, name: str) -> None:
    """Raises an error where two sides disagree."""
    for column, value in theirs.items():
        if not abs(ours[column] - value) <= tolerance * abs(value):
            raise RuntimeError(f"{column}: ours {ours[column]!r}, {name} {value!r}")


def speed() -> dict[str, float | None]:
    """Returns the ratios, after checking that results agree."""
    torch.set_num_threads(1)
    W = matrix()
    ours = measure(W).as_dict()
    check(ours, laserrmt(W), 1e-6, "laserRMT")
    work: dict[str, Callable[[], Any]] = {"ours": lambda: measure(W), "laserrmt": lambda: laserrmt(W)}
    if find_spec("weightwatcher"):
        check(ours, weightwatcher(W), 1e-4, "WeightWatcher")
        work["weightwatcher"] = lambda: weightwatcher(W)
    seconds = best(work)
    print(f"{OUT}x{IN}, one thread, CPU s: " + ", ".join(f"{name} {value:.3f}" for name, value in seconds.items()))
    watcher = seconds.get("weightwatcher")
    return {
        "speedup_vs_laserrmt": round(seconds["laserrmt"] / seconds["ours"], 2),
        "speedup_vs_weightwatcher": None if watcher is None else round(watcher / seconds["ours"], 2),
    }


def save_llama(folder: Path, gigabytes: float) -> None:
    """Writes a sharded checkpoint of Llama's shape, random weights in float32, a shard a layer."""
    block = {f"self_attn.{name}_proj": (OUT, OUT) for name in "qkvo"}
    block |= {"mlp.gate_proj": (IN, OUT), "mlp.up_proj": (IN, OUT), "mlp.down_proj": (OUT, IN)}
    layers = max(1, round(gigabytes * 1e9 / 4 / sum(out * inn for out, inn in block.values())))
    generator = torch.Generator().manual_seed(1)
    where: dict[str, str] = {}
    shards: list[dict[str, tuple[int, int]]] = [{"model.embed_tokens": (IN, OUT), "lm_head": (IN, OUT)}]
    shards += [{f"model.layers.{layer}.{name}": shape for name, shape in block.items()} for layer in range(layers)]
    for number, shapes in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {f"{name}.weight": 0.02 * torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, file)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def peak(work: str) -> float:
    """Returns the largest resident memory of a fresh process that does the work, in 1e6 bytes."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(work=work)], capture_output=True, text=True, check=False, env=environment
    )
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("measured")]
    if not said:
        raise RuntimeError(done.stderr)
    _, megabytes, *loaded = said[0]
    if loaded:
        raise RuntimeError(f"a scan loaded {loaded}")
    return round(float(megabytes))


def memory(gigabytes: float) -> dict[str, float]:
    """Returns the peaks of both ways to scan."""
    with tempfile.TemporaryDirectory(prefix="laser_lit-scan-") as name:
        model = Path(name) / "model"
        model.mkdir()
        save_llama(model, gigabytes)
        size = sum(file.stat().st_size for file in model.iterdir()) / 1e9
        start = time.perf_counter()
        peaks = {"peak_mb": peak(API.format(model=str(model), out=f"{name}/api"))}
        seconds = time.perf_counter() - start
        peaks["peak_mb_command"] = peak(COMMAND.format(model=model, out=f"{name}/command"))
        print(f"{size:.2f} GB in {len(list(model.glob('*.safetensors')))} shards: scanned in {seconds:.0f} s")
    return peaks


def main() -> None:
    """Measures, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=2.0, help="size of the generated checkpoint, in 1e9 bytes")
    arguments = parser.parse_args()
    print(json.dumps({**speed(), **memory(arguments.gb)}))


if __name__ == "__main__":
    main()
