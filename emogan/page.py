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

_IGNORED_VARIABLES = re.compile(
    r"GRADIO_|SYSTEM$|SPACES?_|KAGGLE_|OAUTH_|OPENID_|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|SSL_CERT_|\w+_PROXY$",
    re.IGNORECASE,
)
"""Environment variables by which Gradio and its libraries would open the page to others or redirect its requests to itself."""


def main(_: list[str]) -> None:
    """Serves the page until it is stopped, then deletes the uploaded images."""
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # closing the terminal stops the page cleanly
    logging.getLogger("httpx").setLevel(logging.WARNING)  # used by Gradio for requests to itself
    with tempfile.TemporaryDirectory(prefix="emogan-page-") as images:
        _configure_gradio(images)
        from emogan.serving.signatures import LocalModel

        try:
            from emogan.serving import web
        except ModuleNotFoundError as error:
            raise UserError(f"the page needs Gradio ({error}); install it with `pip install -e .[page]`") from error
        try:
            web.serve(LocalModel(Path(_MODEL.value)), _HOST.value, _PORT.value, share=_SHARE.value)
        except Stopped as stopped:
            raise Stopped("the page has ended", stopped.number) from stopped


def _configure_gradio(images: str) -> None:
    """Sets the variables that Gradio reads on import: no access from outside, no outgoing data, uploads only in `images`."""
    for name in filter(_IGNORED_VARIABLES.match, [*os.environ]):
        del os.environ[name]
    os.environ |= {
        "GRADIO_TEMP_DIR": images,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        # Never: Gradio's analytics fail with pandas 1.5, which the package requires.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
    }


if __name__ == "__main__":
    command.run(main)
