"""EmoGAN's networks in PyTorch: those of the U-Net, and those of the modulated generator. Needs PyTorch only.

Layers have their Keras names. What had to be matched: Keras pads a 4 x 4 convolution of stride 2 "same" by one pixel on every
side where the side is even, and cuts as much off a transposed one, so `padding=1` is the same; Keras's group normalisation adds
1e-3 to the variance, not 1e-5; Keras flattens maps as [H, W, C].
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SLOPE = 0.2


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


def leaky(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, SLOPE, inplace=True)


class Network(nn.Module):
    """Layers by their Keras names."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        self.case, self.layers = case, nn.ModuleDict()
        self.depth = case["size"].bit_length() - 1

    def add_down(self, name: str, inputs: int, outputs: int, normalise: bool) -> None:
        self.layers[f"{name}_conv"] = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normalise)
        if normalise:
            self.layers[f"{name}_norm"] = group_norm(outputs)

    def down(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = self.layers[f"{name}_conv"](x)
        if f"{name}_norm" in self.layers:
            x = self.layers[f"{name}_norm"](x)
        return leaky(x)

    def add_trunk(self, name: str, inputs: int, normalise: bool) -> int:
        """Convolutions down to a 4 x 4 map; returns its channels."""
        for level in range(self.depth - 2):
            self.add_down(f"{name}_{level}", inputs, filters(self.case, level), normalise and level > 0)
            inputs = filters(self.case, level)
        return inputs

    def trunk(self, x: torch.Tensor, name: str) -> torch.Tensor:
        for level in range(self.depth - 2):
            x = self.down(x, f"{name}_{level}")
        return x

    def add_source_vector(self, name: str) -> None:
        self.layers["standardise_face"] = Standardise(1, 3)
        channels = self.add_trunk(name, 3, False)
        self.layers[f"{name}_vector"] = nn.Linear(16 * channels, 2 * self.case["base_filters"])

    def source_vector(self, source: torch.Tensor, name: str) -> torch.Tensor:
        x = self.trunk(self.layers["standardise_face"](source), name)
        return self.layers[f"{name}_vector"](flat(x))


def flat(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).flatten(1)


class UNet(Network):
    """`emogan.networks.build_generator` of the U-Net, from faces to spectrograms."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__(case)
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
    """`build_discriminator` of the U-Net, or with `classify` `build_classifier`."""

    def __init__(self, case: dict[str, Any], classify: bool) -> None:
        super().__init__(case)
        self.classify = classify
        self.layers["standardise_spectrogram"] = Standardise(2, case["size"])
        channels = self.add_trunk("trunk", 1, True)
        if classify:
            self.layers["logits"] = nn.Linear(channels, case["num_classes"])
        else:
            self.layers["region_logits"] = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.trunk(self.layers["standardise_spectrogram"](image), "trunk")
        return self.layers["logits"](x.mean((2, 3))) if self.classify else self.layers["region_logits"](x)


class ModulatedGenerator(Network):
    """`build_generator` of the modulated generator, from faces to spectrograms."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__(case)
        width, channels = filters(case, 3), filters(case, self.depth - 2)
        self.add_source_vector("encoder")
        inputs = 2 * case["base_filters"] + case["num_classes"] + case["noise_dim"]
        self.layers["mapping_0"], self.layers["mapping_1"] = nn.Linear(inputs, width), nn.Linear(width, width)
        self.layers["decoder_map"] = nn.Linear(width, 16 * channels)
        for level in reversed(range(self.depth - 1)):
            outputs, name = filters(case, level), f"decoder_{level}"
            self.layers[f"{name}_conv"] = nn.Conv2d(channels, outputs, 3, padding=1)
            self.layers[f"{name}_style"] = nn.Linear(width, 2 * outputs)
            self.layers[f"{name}_image"] = nn.Conv2d(outputs, 1, 1)
            channels = outputs

    def forward(self, source: torch.Tensor, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The sources [B] are repeated for n B conditions and noises."""
        vector = self.source_vector(source, "encoder")
        vector = vector.repeat(len(condition) // len(vector), 1)
        style = torch.cat([vector, 3.0 * condition, math.sqrt(3) * noise], 1)
        for number in range(2):
            style = leaky(self.layers[f"mapping_{number}"](style))
        x = self.layers["decoder_map"](style).view(len(style), 4, 4, -1).permute(0, 3, 1, 2)
        image = None
        for level in reversed(range(self.depth - 1)):
            name = f"decoder_{level}"
            convolution = self.layers[f"{name}_conv"]
            x = convolution(x) if image is None else enlarged_convolution(convolution, x)
            x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
            scale, shift = self.layers[f"{name}_style"](style)[:, :, None, None].chunk(2, 1)
            x = leaky(torch.addcmul(shift, x, 1 + scale))
            part = self.layers[f"{name}_image"](x)
            if image is not None:
                part = part + functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
            image = part
        return torch.tanh(image)


def enlarged_convolution(convolution: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A 3 x 3 convolution of a map with doubled sides, as one transposed convolution, see `emogan.layers.EnlargedConv2D`."""
    kernel = convolution.weight.flip((2, 3)).transpose(0, 1)
    rows = functional.pad(kernel, (0, 0, 0, 1)) + functional.pad(kernel, (0, 0, 1, 0))
    kernel = functional.pad(rows, (0, 1)) + functional.pad(rows, (1, 0))
    return functional.conv_transpose2d(x, kernel, convolution.bias, 2, 1)


class ProjectionDiscriminator(Network):
    """`build_discriminator` of the modulated generator, with a source; in parts, so that each is computed once."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__(case)
        width = filters(case, 3)
        self.layers["standardise_spectrogram"] = Standardise(2, case["size"])
        channels = self.add_trunk("trunk", 1, False)
        self.layers["whole_conv"] = nn.Conv2d(channels, width, 3, padding=1)
        self.layers["features"] = nn.Linear(16 * width, width)
        self.layers["picture_logit"] = nn.Linear(width, 1)
        self.layers["condition_projection"] = nn.Linear(case["num_classes"], width, bias=False)
        self.add_source_vector("source")
        self.layers["source_projection"] = nn.Linear(2 * case["base_filters"], width, bias=False)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        x = leaky(self.layers["whole_conv"](self.trunk(self.layers["standardise_spectrogram"](image), "trunk")))
        return leaky(self.layers["features"](flat(x)))

    def projection(self, source: torch.Tensor) -> torch.Tensor:
        return self.layers["source_projection"](self.source_vector(source, "source"))

    def forward(self, features: torch.Tensor, condition: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
        """Logits [B, 1] of `features` and `projection`, the results of the functions of these names."""
        projection = projection + self.layers["condition_projection"](condition)
        agreement = (features * projection).sum(1, keepdim=True)
        return self.layers["picture_logit"](features) + features.shape[1] ** -0.5 * agreement
