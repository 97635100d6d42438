"""The page of `emogan.page`: `build`, by Gradio, and `serve`."""

import io
import signal
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from emogan import photos
from emogan.connections import Connection
from emogan.errors import UserError

_ABOUT = """# From a face to speech
A generator makes the spectrogram of an utterance from a face and an emotion; what you hear is that spectrogram made audible. It
was calibrated on {data}. **What it makes is generated: it is nobody's voice, and does not tell what the person feels.** Use
pictures of people who agree. They stay on the machine that runs this page, and are deleted when it ends.
"""
_MAX_PHOTO_BYTES = 1 << 25
_COLUMN_WIDTH = 150  # pixels that an emotion takes at least
_FACE_SIDE = 256  # pixels that the aligned face is shown with at least


def build(connection: Connection) -> gr.Blocks:
    """A page on which a photograph, or a webcam's picture, and an emotion become a spectrogram and its sound.

    Args:
        connection: the model.

    Raises:
        UserError: where the model does not answer.
    """
    settings = photos.settings_of(connection)
    emotions = settings.class_names

    def show(photo: str | None, seed: float | None, *chosen: str) -> list[Any]:
        """The aligned face; and for each emotion its column, picture and sound."""
        try:
            if seed is None:
                raise UserError("the seed is missing; give a whole number")
            if photo is None:
                raise UserError("there is no picture yet; choose a photograph, or take one with the webcam")
            face = photos.aligned_face(Path(photo), settings.media.face)
            made = {answer.emotion: answer for answer in photos.ask(connection, face, chosen, int(seed))}
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error
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
    with gr.Blocks(title="emogan", analytics_enabled=False) as page:
        gr.Markdown(_ABOUT.format(data=data))
        with gr.Row():
            photo = gr.Image(
                label="Picture", sources=["upload", "webcam"], type="filepath", image_mode=None, height=300
            )
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
                    picture = gr.Image(show_label=False, alt_text=f"spectrogram, {name}", buttons=["download"], **shown)
                    sound = gr.Audio(label="generated", buttons=["download"], interactive=False)
                outputs += [column, picture, sound]
        one.click(show, [photo, seed, emotion], outputs)
        every.click(lambda photo, seed: show(photo, seed, *emotions), [photo, seed], outputs)
    return page


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
