r"""Serves a web page to try a model: spectrograms and audio from a photograph or webcam image, and emotion recognition.

python -m emogan.page --model=demo/run/serving/emogan
"""

import logging
import os
import re
import signal
import tempfile
from pathlib import Path

from absl import flags

from emogan import command
from emogan.errors import Stopped, UserError
from emogan.path_flags import DEFINE_path

_MODEL = DEFINE_path("model", None, "Folder of an exported model, of its versions, or of a run.", required=True)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to listen on. By default only this machine can open the page; 0.0.0.0 opens it to every machine that reaches it.",
)
_PORT = flags.DEFINE_integer("port", 7860, "Port to listen on.", lower_bound=1, upper_bound=65535)
_SHARE = flags.DEFINE_bool(
    "share",
    False,
    "Open a tunnel through Gradio's servers: for up to a week everybody with the public address can use the page, and all "
    "images and audio pass through those servers.",
)

_NOT_OBEYED = re.compile(
    r"GRADIO_|SYSTEM$|SPACES?_|KAGGLE_|OAUTH_|OPENID_|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|SSL_CERT_|\w+_PROXY$",
    re.IGNORECASE,
)
"""Variables by which Gradio and what it is made of would open the page to others, or send its own calls to itself elsewhere."""


def main(_: list[str]) -> None:
    """Serves the page until it is stopped; then deletes the uploaded images."""
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a terminal that is closed ends it as orderly
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio calls itself with it
    with tempfile.TemporaryDirectory(prefix="emogan-page-") as images:
        _settle_environment(images)
        from emogan.serving.signatures import LocalModel

        try:
            from emogan.serving import web
        except ModuleNotFoundError as error:
            raise UserError(f"the page needs Gradio ({error}); install it by `pip install -e .[page]`") from error
        try:
            web.serve(LocalModel(Path(_MODEL.value)), _HOST.value, _PORT.value, share=_SHARE.value)
        except Stopped as stopped:
            raise Stopped("the page has ended", stopped.number) from stopped


def _settle_environment(images: str) -> None:
    """What Gradio reads when it is imported: nothing opens the page or goes out, and what it is shown it keeps in a folder."""
    for name in filter(_NOT_OBEYED.match, [*os.environ]):
        del os.environ[name]
    os.environ |= {
        "GRADIO_TEMP_DIR": images,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        # Never: its own statistics fail with the pandas of TensorFlow 2.15's time.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
    }


if __name__ == "__main__":
    command.run(main)
