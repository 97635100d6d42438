"""Models as TensorFlow Serving runs them, how they are called, and the web page to try one."""
