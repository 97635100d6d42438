"""EmoGAN's networks and its training step in PyTorch, eager and in channels_last; what bench_training_step.py compares with.

Needs PyTorch and numpy only. As a command it is that benchmark's worker: its one argument is the case as JSON, then it obeys
one command a line, see `serve`.

The maths is that of emogan/model.py with `LossConfig()`. What had to be matched: Keras pads a 4 x 4 convolution of stride 2
"same" by one pixel on every side where the side is even, and cuts as much off a transposed one, so `padding=1` is the same;
Keras's group normalisation adds 1e-3 to the variance, not 1e-5; its legacy Adam adds epsilon before the second moment's bias is
taken out, so PyTorch's epsilon has to be larger in the first steps (`Game._epsilon`).
"""

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

KINDS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "mean": "mean",
    "deviation": "deviation",
}
"""What Keras and what PyTorch call a layer's weights."""
TO_TORCH = {"kernel4": (3, 2, 0, 1), "kernel2": (1, 0), "mean4": (0, 3, 1, 2), "deviation4": (0, 3, 1, 2)}
"""The order of axes by kind and rank; the same for both directions of convolution."""


class Standardise(nn.Module):
    """Subtracts the mean and divides by the deviation along one axis of [B, C, H, W]."""

    def __init__(self, axis: int, length: int) -> None:
        super().__init__()
        shape = [length if i == axis else 1 for i in range(4)]
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.deviation


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels // 4), channels, eps=1e-3)


def filters(case: dict[str, Any], level: int) -> int:
    return case["base_filters"] * min(2**level, 8)


class Network(nn.Module):
    """Layers by their Keras names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()

    def add_down(self, name: str, inputs: int, outputs: int, normalise: bool) -> None:
        self.layers[f"{name}_conv"] = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normalise)
        if normalise:
            self.layers[f"{name}_norm"] = group_norm(outputs)

    def down(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = self.layers[f"{name}_conv"](x)
        if f"{name}_norm" in self.layers:
            x = self.layers[f"{name}_norm"](x)
        return functional.leaky_relu(x, 0.2, inplace=True)


class Generator(Network):
    """`emogan.networks.build_generator`, from faces to spectrograms."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        self.depth = case["size"].bit_length() - 1
        self.layers["standardise_face"] = Standardise(1, 3)
        channels = 3
        for level in range(self.depth):
            self.add_down(f"encoder_{level}", channels, filters(case, level), level > 0)
            channels = filters(case, level)
        channels += case["num_classes"] + case["noise_dim"]
        for level in reversed(range(self.depth - 1)):
            outputs = filters(case, level)
            self.layers[f"decoder_{level + 1}_conv"] = nn.ConvTranspose2d(channels, outputs, 4, 2, 1, bias=False)
            self.layers[f"decoder_{level + 1}_norm"] = group_norm(outputs)
            channels = 2 * outputs
        self.layers["decoder_0_conv"] = nn.ConvTranspose2d(channels, 1, 4, 2, 1)

    def forward(self, source: torch.Tensor, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        x, skips = self.layers["standardise_face"](source), []
        for level in range(self.depth):
            x = self.down(x, f"encoder_{level}")
            skips.append(x)
        x = torch.cat([x, torch.cat([condition, noise], 1)[:, :, None, None]], 1)
        for level in reversed(range(self.depth - 1)):
            x = self.layers[f"decoder_{level + 1}_norm"](self.layers[f"decoder_{level + 1}_conv"](x))
            x = torch.cat([functional.relu(x, inplace=True), skips[level]], 1)
        return torch.tanh(self.layers["decoder_0_conv"](x))


class Judge(Network):
    """`build_discriminator`, or with `classify` `build_classifier`."""

    def __init__(self, case: dict[str, Any], classify: bool) -> None:
        super().__init__()
        self.levels, self.classify = case["size"].bit_length() - 3, classify
        self.layers["standardise_spectrogram"] = Standardise(2, case["size"])
        for level in range(self.levels):
            inputs = filters(case, level - 1) if level else 1
            self.add_down(f"trunk_{level}", inputs, filters(case, level), level > 0)
        channels = filters(case, self.levels - 1)
        if classify:
            self.layers["logits"] = nn.Linear(channels, case["num_classes"])
        else:
            self.layers["region_logits"] = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.layers["standardise_spectrogram"](image)
        for level in range(self.levels):
            x = self.down(x, f"trunk_{level}")
        return self.layers["logits"](x.mean((2, 3))) if self.classify else self.layers["region_logits"](x)


class Gan:
    """The three players, their optimizers, and the figures summed over the steps."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.players: dict[str, Network] = {"d": Judge(case, False), "g": Generator(case), "q": Judge(case, True)}
        for network in self.players.values():
            network.to(memory_format=torch.channels_last)
        self.beta_2, self.keras_epsilon, self.steps = 0.999, case["epsilon"], 0
        self.weights = {player: list(network.parameters()) for player, network in self.players.items()}
        self.optimizers = {
            player: torch.optim.Adam(weights, case["learning_rate"], (case["beta_1"], self.beta_2), fused=True)
            for player, weights in self.weights.items()
        }
        self.totals: dict[str, torch.Tensor] = {}

    def step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """One simultaneous update of D, G and Q from one forward of G."""
        seen = self._losses(batch)
        last = {"d": False, "g": True, "q": True}  # D's loss and G's share D's forward of what is generated
        gradients = {
            player: torch.autograd.grad(seen[f"{player}_loss"], weights, retain_graph=not last[player])
            for player, weights in self.weights.items()
        }
        self.steps += 1
        for player, optimizer in self.optimizers.items():
            for weight, gradient in zip(self.weights[player], gradients[player], strict=True):
                weight.grad = gradient
            optimizer.param_groups[0]["eps"] = self._epsilon()
            optimizer.step()
        for name, value in seen.items():
            self.totals[name] = self.totals.get(name, 0) + value.detach()
        return seen

    def _losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        target, condition = batch["target"], batch["condition"]
        generated = self.players["g"](batch["source"], condition, batch["noise"])
        real_logits, generated_logits = self.players["d"](target), self.players["d"](generated)
        q_logits, requested_logits = self.players["q"](target), self.players["q"](generated)
        adversarial = functional.softplus(-generated_logits).mean()
        l1 = (target - generated).abs().mean()
        classifier = functional.cross_entropy(requested_logits, condition)
        asked = condition.argmax(1)
        return {
            "d_loss": functional.softplus(-real_logits).mean() + functional.softplus(generated_logits).mean(),
            "g_loss": adversarial + 100.0 * l1 + classifier,
            "q_loss": functional.cross_entropy(q_logits, condition),
            "g_adversarial_loss": adversarial,
            "g_l1_loss": l1,
            "g_classifier_loss": classifier,
            "d_real_accuracy": (real_logits > 0).float().mean(),
            "d_generated_accuracy": (generated_logits < 0).float().mean(),
            "q_accuracy": (q_logits.argmax(1) == asked).float().mean(),
            "g_requested_accuracy": (requested_logits.argmax(1) == asked).float().mean(),
        }

    def _epsilon(self) -> float:
        return self.keras_epsilon / math.sqrt(1 - self.beta_2**self.steps)

    def named(self) -> Iterator[tuple[str, torch.Tensor, tuple[int, ...] | None]]:
        """All weights by their Keras names `player/layer/kind`, with the order of axes that Keras's would be brought to."""
        for player, network in self.players.items():
            for layer, module in network.layers.items():
                for kind, attribute in KINDS.items():
                    value = getattr(module, attribute, None)
                    if value is not None and (kind in ("gamma", "beta")) == isinstance(module, nn.GroupNorm):
                        yield f"{player}/{layer}/{kind}", value, TO_TORCH.get(f"{kind}{value.ndim}")

    @torch.no_grad()
    def load(self, path: str) -> None:
        """Takes the weights of an .npz file; all of them, and no others."""
        with np.load(path) as arrays:
            missing = set(arrays.files)
            for name, value, order in self.named():
                array = arrays[name]
                value.copy_(torch.from_numpy(array.transpose(order) if order else array))
                missing.remove(name)
        assert not missing, missing

    def save(self, path: str) -> None:
        """Writes them, in Keras's layout."""
        arrays = {n: (v.detach().permute(*np.argsort(o)) if o else v.detach()).numpy() for n, v, o in self.named()}
        np.savez(path, **arrays)


def load_batch(path: str) -> dict[str, torch.Tensor]:
    """Images become [B, C, H, W] in channels_last."""
    with np.load(path) as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return {name: value.permute(0, 3, 1, 2) if value.ndim == 4 else value for name, value in tensors.items()}


def serve(commands: dict[str, Callable[..., Any]]) -> None:
    """Does what each line of the standard input says, `name argument ...`, and answers with a line of JSON."""
    for line in sys.stdin:
        name, *arguments = line.split()
        print(json.dumps(commands[name](*arguments)), flush=True)


def main() -> None:
    """Makes the players, does a first step unless they are to be compared, and obeys."""
    case = json.loads(sys.argv[1])
    gan, batch = Gan(case), load_batch(case["batch"])

    def steps(count: str) -> float:
        start = time.perf_counter()
        for _ in range(int(count)):
            losses = gan.step(batch)
        losses["g_loss"].item()
        return 1e3 * (time.perf_counter() - start) / int(count)

    def losses() -> dict[str, float]:
        return {name: value.item() for name, value in gan.step(batch).items()}

    memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # noqa: E731
    print(json.dumps({"first_step": steps("1")} if case["start"] else {}), flush=True)
    serve({"go": steps, "losses": losses, "memory": memory, "load": gan.load, "save": gan.save})


if __name__ == "__main__":
    main()
