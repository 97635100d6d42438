"""Plots how one clip is processed: `python -m trainers.prepare --inspect=FILE`. Public name: inspect."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datasets import media
from datasets.clips import Clip
from datasets.extraction import extract, read_contents
from datasets.files import printable
from datasets.pairs import to_example
from emogan import audio, drawing, faces
from emogan.config import MediaConfig
from emogan.errors import MediaError
from emogan.media import audio_streams
from trainers.reports import plots


def inspect(image_path: Path, audio_path: Path, config: MediaConfig, output: Path) -> str:
    """Plots the frame with all detected faces, the aligned face and the spectrogram to a PNG file.

    Works for rejected clips too: a part that cannot be computed is replaced by the reason.

    Args:
        image_path: a video or a still image, optionally a member of a zip archive.
        audio_path: the file with the audio; may be `image_path`.
        config: media settings.
        output: the PNG file.

    Returns:
        The result for the clip in a build, in one line.
    """
    clip = Clip(clip_id=image_path.stem, speaker_id="", image_path=image_path, audio_path=audio_path)
    contents, fault = read_contents(clip)
    name = printable(image_path.name)
    with plots.theme("light"):
        figure = Figure(figsize=(12, 4), dpi=110, layout="constrained")
        frame, face, spectrogram = figure.subplots(1, 3, width_ratios=(1.6, 1, 1.4))
        try:
            if fault is not None:
                raise fault
            extracted = extract(clip, contents, config.face, config.spectrogram.sample_rate)
        except MediaError as error:
            verdict = f"{name}: rejected: {error.reason}: {printable(error.path.name)}: {error.detail}"
            figure.suptitle(verdict, color="tab:red", parse_math=False)
            face.set_axis_off()
            _draw_frame(frame, clip, contents, None, config)
            _draw_audio(spectrogram, clip, contents, config)
        else:
            example = to_example(clip, extracted, config)
            verdict = (
                f"{name}: frame {extracted.frame_index} ({extracted.frame_offset:+d} from the middle), confidence "
                f"{extracted.face_confidence:.3f}, face {extracted.face_width:.0f} pixels wide, the largest "
                f"of {extracted.face_count}, {extracted.invented_share:.1%} of the image outside the frame, "
                f"{example['sound_seconds']:.2f} s, {example['level_dbfs']:.1f} dBFS"
            )
            figure.suptitle(verdict, parse_math=False)
            _draw_frame(frame, clip, contents, extracted.frame_index, config)
            plots.draw_face(face, example["face"], example["landmarks"])
            face.set_title(f"aligned, {config.size} x {config.size}")
            drawing.draw_spectrogram(spectrogram, example["spectrogram"].astype(np.float32), config.spectrogram)
        output.write_bytes(drawing.to_png(figure))
    return verdict


def _draw_frame(axes: Axes, clip: Clip, contents: dict[Path, bytes], index: int | None, config: MediaConfig) -> None:
    axes.set_axis_off()
    try:
        image = _frame(clip.image_path, contents, index)
    except (MediaError, KeyError) as error:
        axes.text(0, 0.5, f"no image: {getattr(error, 'detail', 'the file cannot be read')}", wrap=True)
        return
    axes.imshow(image)
    detected = faces.detect(image, config.face)
    for number, face in enumerate(detected):
        colour = "#00e5ff" if number == 0 else "#ffb300"  # the first one is the largest, which is used
        axes.add_patch(Rectangle(face.box[:2], *face.box[2:], fill=False, color=colour))
        axes.plot(*face.landmarks.T, "+", color=colour)
    axes.set_title(f"{image.shape[1]} x {image.shape[0]}, {len(detected)} faces detected")


def _frame(path: Path, contents: dict[Path, bytes], index: int | None) -> np.ndarray:
    """The frame at an index, or the middle frame."""
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return media.read_image(path, contents[path])
    with media.Video(path, contents[path]) as video:
        return next(video.frames([0 if index is None else index - video.middle]))[1]


def _draw_audio(axes: Axes, clip: Clip, contents: dict[Path, bytes], config: MediaConfig) -> None:
    try:
        samples, _ = audio_streams.read_audio(
            clip.audio_path, contents[clip.audio_path], config.spectrogram.sample_rate
        )
    except (MediaError, KeyError) as error:
        axes.set_axis_off()
        axes.text(0, 0.5, f"no audio: {getattr(error, 'detail', 'the file cannot be read')}", wrap=True)
        return
    window = audio.centre(samples, config.spectrogram.clip_samples)
    drawing.draw_spectrogram(axes, audio.spectrogram(window, config.spectrogram).numpy(), config.spectrogram)
