# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped network: a small encoder-decoder whose bottom sees whole rows and whole columns of the image, which hears at
what rates its columns repeat themselves, and which does most of its thinking along frequency alone."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.errors import DataError
from training.models.layout import in_blocks, max_over_time, mean_over_frequency, mean_over_time, spread
from training.models.rhythm import FLATTEST, FREQS, Rhythm, legend

REACH = 17  # pixels that a local mean takes
ENLARGED = 4.0  # times, so that 5 dB weigh as much as 20 dB in the image itself
RHYTHM_MIDDLE = 1.5  # what `Rhythm` says mostly lies between -3 and 0
SHIFTS = (1, -1, 2, -2, 4, -4, 8, -8)  # columns between those whose courses are compared
MERGED = 4  # rows: single ones are mostly chance
LEGEND_MIDDLE = 1.5  # of both numbers of the legend, which lie between 0.2 and 3


def conv(inputs: int, outputs: int, size: int | tuple[int, int] = 3, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution, batch norm (folded away on export) and ReLU."""
    padding = size // 2 if isinstance(size, int) else tuple(s // 2 for s in size)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut, the second along frequency alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width), nn.Conv2d(width, width, (1, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.body(x))


def over_time(x: torch.Tensor) -> torch.Tensor:
    """Mean and maximum of each column, [N, C, T, F] -> [N, 2 C, 1, F]: how full it is, and its rarest burst."""
    return torch.cat([mean_over_time(x), max_over_time(x)], 1)


def contrasts(image: torch.Tensor) -> torch.Tensor:
    """Image [N, 1, T, F] -> [N, 4, T, F]: the image, and how each pixel differs from its column, and from its
    neighbours in frequency and in time, enlarged.

    What tells LTE from NR from WiFi are steps of a few dB on carriers that stand tens of dB over the floor.
    """
    around = (
        mean_over_time(image),
        functional.avg_pool2d(image, (1, REACH), 1, (0, REACH // 2), count_include_pad=False),
        functional.avg_pool2d(image, (REACH, 1), 1, (REACH // 2, 0), count_include_pad=False),
    )
    return torch.cat([image, *(((image + -1 * a) * ENLARGED).clamp(-2, 2) for a in around)], 1)


def without_legend(image: torch.Tensor) -> torch.Tensor:
    """Image [N, 1, T, F] with column 0 at the floor."""
    return image * image.new_tensor([0.0] + [1.0] * (int(image.shape[3]) - 1))


class Scale(nn.Module):
    """What the image's legend (`spectrogram.with_legend`) means to each stage: image [N, 1, T, F] -> [N, width, 1, 1].

    The same picture is LTE at one scale and WiFi at another: 5 ms between synchronisation signals, 1.08 MHz of them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(1, width, (2, 1))
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.mix(functional.relu(self.read(legend(image) + -LEGEND_MIDDLE))))


class Scaled(nn.Module):
    """Gain and offset of each channel, by what `Scale` read; at first hardly any."""

    def __init__(self, scale: int, width: int) -> None:
        super().__init__()
        self.gain, self.offset = nn.Conv2d(scale, width, 1), nn.Conv2d(scale, width, 1)
        for layer in (self.gain, self.offset):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.normal_(layer.bias, std=0.01)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return in_blocks(x * (1 + self.gain(scale)) + self.offset(scale))


class Beat(nn.Module):
    """What `Rhythm` hears, as features of each group of four columns: [N, width, 1, F / 4]."""

    def __init__(self, scale: int, width: int) -> None:
        super().__init__()
        self.rhythm = Rhythm()
        self.hear = nn.Sequential(
            nn.Conv2d(2, 2 * width, (len(FREQS), 1), bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True)
        )
        self.scaled = Scaled(scale, 2 * width)
        self.mix = nn.Sequential(conv(2 * width, width, (1, 3)), conv(width, width, (1, 3)))

    def forward(self, image: torch.Tensor, picture: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """image with its legend and picture without, [N, 1, T, F]; scale: what `Scale` read, [N, scale, 1, 1]."""
        heard = self.rhythm(image, picture) + RHYTHM_MIDDLE
        return self.mix(self.scaled(self.hear(heard), scale))


class AxisContext(nn.Module):
    """Adds to every pixel what its whole column (all of time) and its whole row (all of frequency) hold.

    A carrier occupies its columns for the whole frame, and one burst anywhere in time tells whose they are.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time = nn.Conv2d(2 * width, width, (1, 3), padding=(0, 1))
        self.frequency = nn.Conv2d(width, width, (3, 1), padding=(1, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        column, row = self.time(over_time(x)), self.frequency(mean_over_frequency(x))
        return functional.relu(x + spread(column, x) + spread(row, x))


class Up(nn.Module):
    """Doubles the size, adds the encoder's features of that size, and mixes both pixel by pixel: neighbours were looked at
    on the way down."""

    def __init__(self, below: int, beside: int) -> None:
        super().__init__()
        self.below = nn.Conv2d(below, beside, 1)
        self.mix = conv(beside, beside, 1)

    def forward(self, x: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        return self.mix(functional.interpolate(self.below(x), scale_factor=2.0, mode="nearest") + beside)


class Stride(nn.Module):
    """Two convolutions along frequency around a shortcut, the first over columns that lie `reach` apart."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, (1, 3), padding=(0, reach), dilation=(1, reach), bias=False), nn.BatchNorm2d(width),
            nn.ReLU(inplace=True), nn.Conv2d(width, width, (1, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        nn.init.constant_(self.body[-1].weight, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.body(x))


class Along(nn.Module):
    """What each group of four columns is, by what the others are: [N, inputs, 1, F / 4] -> [N, outputs, 1, F / 4].

    Truth hardly changes within a frame, so time is summed up first: all layers here cost as much as one over pixels, and
    they reach across the band, from a carrier's one edge to its other and to its neighbours.
    """

    def __init__(self, scale: int, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 1)
        self.scaled = Scaled(scale, width)
        self.blocks = nn.Sequential(*(Stride(width, reach) for reach in (1, 2, 4, 8, 1)))
        self.leave = nn.Conv2d(width, outputs, 1)
        nn.init.normal_(self.leave.weight, std=0.01)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.leave(self.blocks(functional.relu(self.scaled(self.enter(x), scale))))


class Fine(nn.Module):
    """What each column does in time, at the image's own resolution in frequency.

    Contrasts [N, 4, T, F] -> mean and maximum over time of 2 width features, [N, 4 width, 1, F].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, width // 2, 5, (4, 1)), conv(width // 2, 2 * width, 3, (2, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return over_time(self.body(x))


class Likeness(nn.Module):
    """How much each column's course resembles those of its neighbours: picture [N, 1, T, F] -> [N, SHIFTS, 1, F].

    Columns of one carrier often rise and fall together, those of two carriers seldom. The window makes direct neighbours
    alike whatever they carry. It begins as the correlation with the column at each of `SHIFTS`, smaller where a course is
    nearly flat (`FLATTEST`); beyond the band's edges there is nothing that is alike.
    """

    def __init__(self) -> None:
        super().__init__()
        reach = max(abs(s) for s in SHIFTS)
        self.shift = nn.Conv2d(1, len(SHIFTS), (1, 2 * reach + 1), padding=(0, reach))
        nn.init.zeros_(self.shift.bias)
        nn.init.normal_(self.shift.weight, std=0.01)
        with torch.no_grad():
            for number, shift in enumerate(SHIFTS):
                self.shift.weight[number, 0, 0, reach + shift] = 1

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        course = functional.avg_pool2d(picture, (MERGED, 1))
        course = course + -1 * course.mean(2, keepdim=True)
        variance = (course * course).mean(2, keepdim=True) + FLATTEST
        course = course * torch.exp(-0.5 * torch.log(variance))
        return (course * self.shift(course)).mean(2, keepdim=True)


class Columns(nn.Module):
    """What each column is, at the image's own resolution in frequency: where a band's edges come from.

    Of each group of four columns, features over time [N, 2 width, 1, F / 4], beat [N, beats, 1, F / 4] and along
    [N, width, 1, F / 4]; stem [N, beside, T / 2, F / 2]; and of each column what `Fine` and `Likeness` say and the picture
    [N, 1, T, F] itself -> [N, classes, 1, F].
    """

    def __init__(self, width: int, beside: int, beats: int, scale: int, classes: int) -> None:
        super().__init__()
        inner = 2 * width
        self.beat = nn.Conv2d(beats, inner, 1)
        self.features = nn.Conv2d(2 * width, inner, 1)
        self.along = nn.Conv2d(width, inner, 1)
        self.stem = nn.Conv2d(2 * beside, inner, 1)
        self.fine = nn.Conv2d(4 * beside, inner, 1)
        self.picture = nn.Conv2d(2 + len(SHIFTS), inner, (1, 5), padding=(0, 2))
        self.scaled = Scaled(scale, inner)
        self.blocks = nn.Sequential(*(Stride(inner, reach) for reach in (1, 2, 8, 1)))
        self.head = nn.Conv2d(inner, classes, 1)

    def forward(
        self, features: torch.Tensor, beat: torch.Tensor, along: torch.Tensor, stem: torch.Tensor, fine: torch.Tensor,
        likeness: torch.Tensor, picture: torch.Tensor, scale: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        x = self.beat(beat) + self.features(features) + self.along(along)
        x = functional.interpolate(x, scale_factor=(1.0, 2.0), mode="nearest") + self.stem(over_time(stem))
        x = functional.interpolate(x, scale_factor=(1.0, 2.0), mode="nearest") + self.fine(fine)
        x = x + self.picture(torch.cat([over_time(picture), likeness], 1))
        return self.head(self.blocks(functional.relu(self.scaled(x, scale))))


class AtaNet(nn.Module):
    """Sizes T and F have to be multiples of 16.

    Args:
        classes: channels of the logits.
        width: channels at half size; a quarter has 2, an eighth 4, a sixteenth 8 times as many. DataError for less than 2.
    """

    def __init__(self, classes: int = 4, width: int = 16) -> None:
        super().__init__()
        if width < 2:
            raise DataError(f"ata_net needs a --width of 2 at least, not {width}")
        w = width
        self.scale = Scale(3 * w)
        self.at_quarter, self.at_eighth, self.at_sixteenth, self.at_end = (
            Scaled(3 * w, channels) for channels in (2 * w, 4 * w, 8 * w, 2 * w)
        )
        self.beat = Beat(3 * w, 4 * w)
        self.stem = conv(4, w, 5, 2)
        self.quarter = nn.Sequential(conv(w, 2 * w, 3, 2), Residual(2 * w))
        self.eighth = nn.Sequential(conv(2 * w, 4 * w, 3, 2), AxisContext(4 * w))
        self.heard = nn.Conv2d(4 * w, 4 * w, 1)
        self.down = conv(4 * w, 8 * w, 3, 2)
        self.sixteenth = nn.Sequential(AxisContext(8 * w), AxisContext(8 * w))
        self.up_eighth = Up(8 * w, 4 * w)
        self.context = AxisContext(4 * w)
        self.up_quarter = Up(4 * w, 2 * w)
        self.pixels = nn.Conv2d(2 * w, classes, 1)
        self.along = Along(3 * w, (4 + 16 + 4) * w, 6 * w, 2 * w)
        self.fine, self.likeness = Fine(w), Likeness()
        self.columns = Columns(2 * w, w, 4 * w, 3 * w, classes)

    def coarse(self, image: torch.Tensor) -> torch.Tensor:
        """The logits at a quarter of the rows, [N, C, T / 4, F]: what training looks at, for truth is constant in time."""
        scale = self.scale(image)
        picture = without_legend(image)
        beat = self.beat(image, picture, scale)
        contrasted = contrasts(picture)
        stem = self.stem(contrasted)
        quarter = self.at_quarter(self.quarter(stem), scale)
        heard = self.heard(functional.avg_pool2d(beat, (1, 2)))
        eighth = self.at_eighth(self.eighth[1](self.eighth[0](quarter) + heard), scale)
        sixteenth = self.sixteenth(self.at_sixteenth(self.down(eighth), scale))
        x = self.up_quarter(self.context(self.up_eighth(sixteenth, eighth)), quarter)
        x = self.at_end(x, scale)
        wide = functional.interpolate(self.pixels(x), scale_factor=(1.0, 4.0), mode="bilinear", align_corners=False)
        bottom = functional.interpolate(over_time(sixteenth), scale_factor=(1.0, 4.0), mode="nearest")
        features = over_time(x)
        along = self.along(torch.cat([beat, bottom, features], 1), scale)
        fine, likeness = self.fine(contrasted), self.likeness(picture)
        return wide + self.columns(features, beat, along, stem, fine, likeness, picture, scale)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(self.coarse(image), scale_factor=(4.0, 1.0), mode="bilinear", align_corners=False)
