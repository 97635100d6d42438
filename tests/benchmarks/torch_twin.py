"""EmoGAN's training step in PyTorch, eager and in channels_last; what bench_training_step.py compares with.

Needs PyTorch and numpy only. As a command it is that benchmark's worker: its one argument is the case as JSON, then it obeys
one command a line, see `serve`.

The maths is that of emogan/model.py with the losses of the generator's recipe. What had to be matched: Keras's legacy Adam adds
epsilon before the second moment's bias is taken out, so PyTorch's epsilon has to be larger in the first steps (`Gan._epsilon`).
"""

import copy
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_networks import Judge, ModulatedGenerator, Network, ProjectionDiscriminator, UNet

KINDS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "mean": "mean",
    "deviation": "deviation",
    "means": "means",
    "components": "components",
}
"""What Keras and what PyTorch call a layer's weights."""
TO_TORCH = {"kernel4": (3, 2, 0, 1), "kernel2": (1, 0), "mean4": (0, 3, 1, 2), "deviation4": (0, 3, 1, 2)}
"""The order of axes by kind and rank; the same for both directions of convolution."""
CODE_SIDE = 64
GAIN, SHARE = 0.04, 1 / 8
"""Of `emogan.perturbation.diff_augment`."""
Tensors = dict[str, torch.Tensor]


class Gan:
    """The three players, their optimizers, and the figures summed over the steps."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.loss = case["loss"]
        self.players: dict[str, Network] = self.make_players(case)
        for network in self.players.values():
            network.to(memory_format=torch.channels_last)
        self.beta_2, self.keras_epsilon, self.steps = 0.999, case["epsilon"], 0
        self.weights = {player: list(network.parameters()) for player, network in self.players.items()}
        self.optimizers = {
            player: torch.optim.Adam(weights, case["learning_rate"], (case["beta_1"], self.beta_2), fused=True)
            for player, weights in self.weights.items()
        }
        self.totals: Tensors = {}

    def make_players(self, case: dict[str, Any]) -> dict[str, Network]:
        """D, G and Q, as `d`, `g` and `q`."""
        return {"d": Judge(case, False), "g": UNet(case), "q": Judge(case, True)}

    def networks(self) -> dict[str, nn.Module]:
        """All that has weights, by name."""
        return dict(self.players)

    def step(self, batch: Tensors) -> Tensors:
        """One simultaneous update of D, G and Q from one forward of G."""
        seen = self.losses(batch)
        last = {"d": False, "g": True, "q": True}  # D's loss and G's share D's forward of what is generated
        for player, weights in self.weights.items():
            for weight in weights:
                weight.grad = None
            seen[f"{player}_loss"].backward(retain_graph=not last[player], inputs=weights)
        self.steps += 1
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["eps"] = self._epsilon()
            optimizer.step()
        for name, value in seen.items():
            self.totals[name] = self.totals.get(name, 0) + value.detach()
        return seen

    def losses(self, batch: Tensors) -> Tensors:
        """The players' losses, `d_loss`, `g_loss` and `q_loss`, and all other figures."""
        target, condition = batch["target"], batch["condition"]
        generated = self.players["g"](batch["source"], condition, batch["noise"])
        real_logits, generated_logits = self.players["d"](target), self.players["d"](generated)
        adversarial = functional.softplus(-generated_logits).mean()
        l1 = (target - generated).abs().mean()
        of_q = self._losses_of_q([target, generated], condition, condition)
        return {
            **of_q,
            "d_loss": functional.softplus(-real_logits).mean() + functional.softplus(generated_logits).mean(),
            "g_loss": adversarial + self.loss["lambda_l1"] * l1 + self.loss["lambda_q"] * of_q["g_classifier_loss"],
            "g_adversarial_loss": adversarial,
            "g_l1_loss": l1,
            **accuracies(real_logits, generated_logits),
        }

    def _losses_of_q(self, images: Sequence[torch.Tensor], condition: torch.Tensor, requested: torch.Tensor) -> Tensors:
        """Of real and of generated images; no condition is null."""
        q_logits, requested_logits = map(self.players["q"], images)
        return {
            "q_loss": functional.cross_entropy(q_logits, condition),
            "g_classifier_loss": functional.cross_entropy(requested_logits, requested),
            "q_accuracy": (q_logits.argmax(1) == condition.argmax(1)).float().mean(),
            "g_requested_accuracy": (requested_logits.argmax(1) == requested.argmax(1)).float().mean(),
        }

    def _epsilon(self) -> float:
        return self.keras_epsilon / math.sqrt(1 - self.beta_2**self.steps)

    def named(self) -> Iterator[tuple[str, torch.Tensor, tuple[int, ...] | None]]:
        """All weights by their Keras names `player/layer/kind`, with the order of axes that Keras's would be brought to."""
        for player, network in self.networks().items():
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


class ModulatedGan(Gan):
    """With the losses of the modulated generator's recipe: each part of a network is computed once for each of its inputs."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__(case)
        self.average, self.rate = copy.deepcopy(self.players["g"]).requires_grad_(False), case["g_ema"]
        self.code = Code(case)

    def make_players(self, case: dict[str, Any]) -> dict[str, Network]:
        """With the discriminator and the generator of this kind."""
        return {"d": ProjectionDiscriminator(case), "g": ModulatedGenerator(case), "q": Judge(case, True)}

    def networks(self) -> dict[str, nn.Module]:
        """With the averaged generator and the code of images."""
        return {**self.players, "average": self.average, "code": self.code}

    def step(self, batch: Tensors) -> Tensors:
        """With the update of the averaged generator."""
        seen = super().step(batch)
        rate = 1 - min(self.rate, (1 + self.steps) / (10 + self.steps))
        pairs = (list(network.state_dict().values()) for network in (self.average, self.players["g"]))
        torch._foreach_lerp_(*pairs, rate)
        return seen

    def losses(self, batch: Tensors) -> Tensors:
        """As those of emogan/model.py."""
        loss, discriminator, batch_size = self.loss, self.players["d"], len(batch["source"])
        target, condition, source = batch["target"], batch["condition"], batch["source"]
        requested, shown = self._request(batch)
        conditions = torch.cat([requested, condition])
        noises = torch.cat([batch["noise"], self.code(target, condition)])
        generated, rebuilt = self.players["g"](source, conditions, noises).split(batch_size)
        named = ((target, "real"), (generated, "generated"))
        real, fake = (augment(images, draws(batch, name, 4)) for images, name in named)
        penalised = self.steps % loss["r1_interval"] == 0
        real.requires_grad_(penalised)
        features, fake_features = discriminator.features(real), discriminator.features(fake)
        own, other = discriminator.projection(shown), discriminator.projection(batch["other_source"])
        real_logits = discriminator(features, condition, own)
        generated_logits = discriminator(fake_features, requested, own)
        mismatched_logits = discriminator(features, condition, other)
        penalty = torch.zeros(())
        if penalised:
            (slopes,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            penalty = loss["r1_interval"] * loss["r1_gamma"] / 2 * slopes.square().sum((1, 2, 3)).mean()
        of_real, of_generated = functional.softplus(-real_logits), functional.softplus(generated_logits)
        mismatch = batch["other_speaker"] * (of_real + functional.softplus(mismatched_logits))[:, 0]
        adversarial = functional.softplus(-generated_logits).mean()
        has_target = (requested == condition).all(1).float()
        l1 = ((target - generated).abs().mean((1, 2, 3)) * has_target).sum() / has_target.sum()
        code = (target - rebuilt).abs().mean()
        q_images = [augment(images, draws(batch, f"{name} to q", 4)) for images, name in named]
        of_q = self._losses_of_q(q_images, condition, requested)
        return {
            **of_q,
            "d_loss": of_real.mean() + of_generated.mean() + loss["lambda_mismatch"] * mismatch.mean() + penalty,
            "d_penalty_loss": penalty,
            "d_mismatched_accuracy": ((mismatched_logits < 0)[:, 0] * batch["other_speaker"]).sum()
            / batch["other_speaker"].sum(),
            "g_loss": adversarial + loss["lambda_code"] * code + loss["lambda_q"] * of_q["g_classifier_loss"],
            "g_adversarial_loss": adversarial,
            "g_l1_loss": l1,
            "g_code_loss": code,
            **accuracies(real_logits, generated_logits),
        }

    def _request(self, batch: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        own = batch["condition"]
        chance, position = draws(batch, "request", 2).unbind(1)
        is_random = (chance < self.loss["other_requests"]) & (own.sum(1) > 0)
        drawn = functional.one_hot((position * own.shape[1]).int().long(), own.shape[1]).float()
        return (
            torch.where(is_random[:, None], drawn, own),
            torch.where(is_random[:, None, None, None], 0.0, batch["source"]),
        )


class Code(nn.Module):
    """`emogan.codes.ImageCode`, as a network of one layer."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        pixels, layer = min(case["size"], CODE_SIDE) ** 2, nn.Module()
        layer.register_buffer("means", torch.zeros(1 + case["num_classes"], pixels))
        layer.register_buffer("components", torch.zeros(pixels, case["noise_dim"]))
        self.layers = nn.ModuleDict({"code": layer})

    def forward(self, image: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        statistics, step = self.layers["code"], max(1, image.shape[2] // CODE_SIDE)
        mean = torch.cat([torch.ones_like(condition[:, :1]), condition], 1) @ statistics.means
        pixels = functional.avg_pool2d(image, step).flatten(1)
        return torch.erf((pixels - mean) @ statistics.components / math.sqrt(2))


def accuracies(real_logits: torch.Tensor, generated_logits: torch.Tensor) -> Tensors:
    return {
        "d_real_accuracy": (real_logits > 0).float().mean(),
        "d_generated_accuracy": (generated_logits < 0).float().mean(),
    }


def draws(batch: Tensors, purpose: str, count: int) -> torch.Tensor:
    """Uniform numbers [B, count]: those of the batch, if it has some, else new ones."""
    return batch.get(f"draws of {purpose}", torch.rand(len(batch["source"]), count))


def augment(images: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """`emogan.perturbation.diff_augment` of [B, 1, S, S] with given draws, [B, 4]."""
    frames, (gain, shift, width, first) = images.shape[3], uniform.unbind(1)
    limit, columns = int(SHARE * frames), torch.arange(frames)
    scaled = (images + (GAIN * (2 * gain - 1))[:, None, None, None]).clamp(-1, 1)
    padded = functional.pad(scaled, (limit, limit), value=-1.0)
    index = (shift * (2 * limit + 1)).int().long()[:, None] + columns
    shifted = padded.gather(3, index[:, None, None].expand_as(images))
    width = (width * (limit + 1)).int()
    first = (first * (frames - width + 1).float()).int()
    silent = (columns >= first[:, None]) & (columns < (first + width)[:, None])
    return torch.where(silent[:, None, None], -1.0, shifted)


def load_batch(path: str) -> Tensors:
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
    gan, batch = {"unet": Gan, "modulated": ModulatedGan}[case["generator"]](case), load_batch(case["batch"])

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
