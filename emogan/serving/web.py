"""The web page of `emogan.page`, built with Gradio: `build`, `serve`."""

import contextlib
import io
import signal
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from emogan import drawing
from emogan.errors import UserError
from emogan.generation import Generator
from emogan.recogniser import Recogniser
from emogan.serving.connections import Connection, settings_of
from emogan.serving.photos import aligned_face
from emogan.speech import samples_of

_ABOUT = """# From a face to speech
A generator, calibrated on {data}, generates the spectrogram of an utterance from a face and an emotion, and audio from the
spectrogram. **The speech is generated: it is nobody's voice, and does not tell what the person feels.** Use images only of
people who agree. They stay on the machine that runs this page, and are deleted when the page is stopped.
"""
_ABOUT_RECOGNISER = """# From speech to emotion
Record yourself, or upload an audio or video file. For recordings of up to 5 seconds the middle is recognised; longer ones are
recognised in windows. {about} Recordings stay on the machine that runs this page, and are deleted when the page is stopped.
"""
_MAX_PHOTO_BYTES = 1 << 25
_COLUMN_WIDTH = 150  # minimum width of an emotion's column, pixels
_FACE_SIDE = 256  # minimum displayed size of the aligned face, pixels


def build(connection: Connection) -> gr.Blocks:
    """Builds the page: a tab for the generator (spectrograms and audio from a photograph) and a tab for the recogniser.

    A part that the model does not have has no tab.

    Args:
        connection: the model.

    Raises:
        UserError: if the model does not respond.
    """
    settings = settings_of(connection)
    with gr.Blocks(title="emogan", analytics_enabled=False) as page:
        if settings.generates:
            with gr.Tab("Face to speech"):
                _generation(Generator(connection))
        if settings.recogniser:
            with gr.Tab("Speech to emotion"):
                _recognition(Recogniser(connection))
    return page


def _generation(generator: Generator) -> None:
    settings, emotions = generator.settings, list(generator.class_names)

    def show(photo: str | None, seed: float | None, *chosen: str) -> list[Any]:
        """Returns the aligned face, and for each emotion the updates of its column, image and audio."""
        with _errors_on_page():
            if seed is None:
                raise UserError("the seed is missing; enter an integer")
            if photo is None:
                raise UserError("the image is missing; upload a photograph, or take one with the webcam")
            face = aligned_face(photo, settings.media.face)
            samples = {sample.emotion: sample for sample in generator.of_face(face, chosen, int(seed))}
        outputs: list[Any] = [_enlarged(face)]
        for emotion in emotions:
            sample = samples.get(emotion)
            outputs += [
                gr.Column(visible=sample is not None),
                Image.open(io.BytesIO(sample.png())) if sample else None,
                sample.wav_bytes if sample else None,
            ]
        return outputs

    data = f"{settings.dataset}, a synthetic corpus" if settings.synthetic else settings.dataset
    shown: dict[str, Any] = {"interactive": False, "format": "png"}
    gr.Markdown(_ABOUT.format(data=data))
    with gr.Row():
        photo = gr.Image(label="Image", sources=["upload", "webcam"], type="filepath", image_mode=None, height=300)
        with gr.Column():
            emotion = gr.Radio(emotions, value=emotions[0], label="Emotion")
            seed = gr.Number(1, label="Seed: each one gives another sample", precision=0)
            generate = gr.Button("Generate", variant="primary")
            generate_all = gr.Button("All emotions side by side")
        face = gr.Image(label="Aligned face, the model's input", height=300, buttons=[], **shown)
    outputs: list[Any] = [face]
    with gr.Row():
        for name in emotions:
            with gr.Column(visible=False, min_width=_COLUMN_WIDTH) as column:
                gr.Markdown(f"### {name}")
                image = gr.Image(show_label=False, alt_text=f"spectrogram, {name}", buttons=["download"], **shown)
                audio = gr.Audio(label="generated", buttons=["download"], interactive=False)
            outputs += [column, image, audio]
    generate.click(show, [photo, seed, emotion], outputs)
    generate_all.click(lambda photo, seed: show(photo, seed, *emotions), [photo, seed], outputs)


def _recognition(recogniser: Recogniser) -> None:
    def show(recording: str | None) -> list[Any]:
        """Returns the probability of each emotion, and a plot over time."""
        with _errors_on_page():
            if recording is None:
                raise UserError("the recording is missing; record one, or upload a file")
            samples = samples_of(recording, recogniser.sample_rate)
            windows = recogniser.windows(samples)
            probabilities = recogniser.probabilities([samples]).iloc[0]
        return [probabilities.to_dict(), Image.open(io.BytesIO(drawing.to_png(drawing.over_time_figure(windows))))]

    gr.Markdown(_ABOUT_RECOGNISER.format(about=recogniser.about().replace("\n", " ")))
    with gr.Row():
        recording = gr.Audio(label="Recording", sources=["upload", "microphone"], type="filepath")
        emotion = gr.Label(label="Emotion")
    over_time = gr.Image(label="Over time", interactive=False, format="png", buttons=["download"])
    gr.Button("Recognise", variant="primary").click(show, recording, [emotion, over_time])


@contextlib.contextmanager
def _errors_on_page() -> Iterator[None]:
    """Shows a UserError on the page."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _enlarged(face: np.ndarray) -> Image.Image:
    side = max(_FACE_SIDE, len(face))
    return Image.fromarray(face).resize((side, side), Image.Resampling.NEAREST)


def serve(connection: Connection, host: str, port: int, *, share: bool = False) -> None:
    """Serves the page until a signal stops it. All optional features of Gradio except `share` are off.

    Args:
        connection: the model.
        host: address to listen on.
        port: port to listen on.
        share: whether to give the page a public address through Gradio's servers.

    Raises:
        UserError: if the model does not respond, the port is taken, or there is no public address.
    """
    page = build(connection)
    try:
        _, address, public = page.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            max_file_size=_MAX_PHOTO_BYTES,
            footer_links=[],
            share=share,
            root_path="",
            allowed_paths=[],
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            num_workers=0,
            pwa=False,
            ssr_mode=False,
            inline=False,
            show_error=True,
            quiet=True,
            prevent_thread_lock=True,
        )
    except (OSError, ValueError) as error:
        raise UserError(f"cannot listen on port {port} of {host} ({error}); choose another --port or --host") from error
    if share and not public:
        raise UserError("no public address from Gradio's servers; omit --share, or try again later")
    print(f"the page is at {' and '.join(filter(None, (address, public)))}; Ctrl-C stops it", flush=True)
    signal.pause()
