"""The page of `emogan.page`: `build`, by Gradio, and `serve`."""

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
A generator makes the spectrogram of an utterance from a face and an emotion; what you hear is that spectrogram made audible. It
was calibrated on {data}. **What it makes is generated: it is nobody's voice, and does not tell what the person feels.** Use
images of people who agree. They stay on the machine that runs this page, and are deleted when it ends.
"""
_ABOUT_RECOGNISER = """# From speech to emotion
Record yourself, or upload an audio or video file. For recordings of up to 5 seconds the middle is recognised; longer ones are
recognised in windows. {about} Recordings stay on the machine that runs this page, and are deleted when it ends.
"""
_MAX_PHOTO_BYTES = 1 << 25
_COLUMN_WIDTH = 150  # pixels that an emotion takes at least
_FACE_SIDE = 256  # pixels that the aligned face is shown with at least


def build(connection: Connection) -> gr.Blocks:
    """A page on which a photograph and an emotion become a spectrogram and its sound, and sound becomes probabilities of
    emotions, each where the model has that part.

    Args:
        connection: the model.

    Raises:
        UserError: where the model does not answer.
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
        """The aligned face; and for each emotion its column, image and sound."""
        with _told():
            if seed is None:
                raise UserError("the seed is missing; give a whole number")
            if photo is None:
                raise UserError("there is no image yet; choose a photograph, or take one with the webcam")
            face = aligned_face(photo, settings.media.face)
            made = {one.emotion: one for one in generator.of_face(face, chosen, int(seed))}
        outputs: list[Any] = [_enlarged(face)]
        for emotion in emotions:
            answer = made.get(emotion)
            outputs += [
                gr.Column(visible=answer is not None),
                Image.open(io.BytesIO(answer.png())) if answer else None,
                answer.wav_bytes if answer else None,
            ]
        return outputs

    data = f"{settings.dataset}, a synthetic corpus" if settings.synthetic else settings.dataset
    shown: dict[str, Any] = {"interactive": False, "format": "png"}
    gr.Markdown(_ABOUT.format(data=data))
    with gr.Row():
        photo = gr.Image(label="Image", sources=["upload", "webcam"], type="filepath", image_mode=None, height=300)
        with gr.Column():
            emotion = gr.Radio(emotions, value=emotions[0], label="Emotion")
            seed = gr.Number(1, label="Seed: another one gives another variant", precision=0)
            one = gr.Button("Generate", variant="primary")
            every = gr.Button("All emotions side by side")
        face = gr.Image(label="The face that the model sees", height=300, buttons=[], **shown)
    outputs: list[Any] = [face]
    with gr.Row():
        for name in emotions:
            with gr.Column(visible=False, min_width=_COLUMN_WIDTH) as column:
                gr.Markdown(f"### {name}")
                image = gr.Image(show_label=False, alt_text=f"spectrogram, {name}", buttons=["download"], **shown)
                sound = gr.Audio(label="generated", buttons=["download"], interactive=False)
            outputs += [column, image, sound]
    one.click(show, [photo, seed, emotion], outputs)
    every.click(lambda photo, seed: show(photo, seed, *emotions), [photo, seed], outputs)


def _recognition(recogniser: Recogniser) -> None:
    def show(recording: str | None) -> list[Any]:
        """The probability of each emotion, and an image of them over time."""
        with _told():
            if recording is None:
                raise UserError("there is no recording yet; record one, or upload a file")
            samples = samples_of(recording, recogniser.sample_rate)
            windows = recogniser.windows(samples)
            found = recogniser.probabilities([samples]).iloc[0]
        return [found.to_dict(), Image.open(io.BytesIO(drawing.to_png(drawing.over_time_figure(windows))))]

    gr.Markdown(_ABOUT_RECOGNISER.format(about=recogniser.about().replace("\n", " ")))
    with gr.Row():
        recording = gr.Audio(label="Recording", sources=["upload", "microphone"], type="filepath")
        found = gr.Label(label="Emotion")
    over_time = gr.Image(label="Over time", interactive=False, format="png", buttons=["download"])
    gr.Button("Recognise", variant="primary").click(show, recording, [found, over_time])


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Shows a user's mistake on the page."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _enlarged(face: np.ndarray) -> Image.Image:
    side = max(_FACE_SIDE, len(face))
    return Image.fromarray(face).resize((side, side), Image.Resampling.NEAREST)


def serve(connection: Connection, host: str, port: int, *, share: bool = False) -> None:
    """Serves the page until a signal ends it. Of what Gradio may do beside that, only what is asked for here is done.

    Args:
        connection: the model.
        host: address to listen at.
        port: port to listen at.
        share: whether to give the page a public address by way of Gradio's servers.

    Raises:
        UserError: where the model does not answer, the port is taken, or there is no public address.
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
        raise UserError(
            f"port {port} of {host} cannot be listened at ({error}); choose another --port or --host"
        ) from error
    if share and not public:
        raise UserError("Gradio's servers gave the page no public address; leave --share out, or try again later")
    print(f"the page is at {' and '.join(filter(None, (address, public)))}; Ctrl-C ends it", flush=True)
    signal.pause()
