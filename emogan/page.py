r"""A web page to try a model: a photograph or a webcam's picture, an emotion or all side by side, spectrograms and sounds.

python -m emogan.page --model=demo/run/serving/emogan
"""

import logging
import os
import signal
import tempfile
from pathlib import Path

from absl import flags

from emogan import command
from emogan.errors import Stopped, UserError
from emogan.path_flags import DEFINE_path

_MODEL = DEFINE_path("model", None, "Folder of an exported generator, or of its versions.", required=True)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0 lets other machines use the page.")
_PORT = flags.DEFINE_integer("port", 7860, "Port to listen at.", lower_bound=1, upper_bound=65535)


def main(_: list[str]) -> None:
    """Serves the page until it is stopped; then deletes the pictures that it was shown."""
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a terminal that is closed ends it as orderly
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio calls itself with it
    with tempfile.TemporaryDirectory(prefix="emogan-page-") as pictures:
        os.environ |= _gradio_settings(pictures)
        from emogan.serving import LocalModel

        try:
            from emogan import try_out
        except ModuleNotFoundError as error:
            raise UserError(f"the page needs Gradio ({error}); install it by `pip install -e .[page]`") from error
        try:
            try_out.serve(LocalModel(Path(_MODEL.value)), _HOST.value, _PORT.value)
        except Stopped as stopped:
            raise Stopped("the page has ended", stopped.number) from stopped


def _gradio_settings(pictures: str) -> dict[str, str]:
    """What Gradio reads in the environment when it is imported: nothing goes out, and what it is shown it keeps in a folder."""
    return {
        "GRADIO_TEMP_DIR": pictures,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": ",".join(filter(None, ("127.0.0.1", "localhost", os.environ.get("NO_PROXY")))),  # it calls itself
        # Never: its own statistics fail with the pandas of TensorFlow 2.15's time.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
    }


if __name__ == "__main__":
    command.run(main)
