"""What `label-studio-ml start backend` runs, and `gunicorn _wsgi:app` in this folder. Nothing else imports it."""

from __future__ import annotations

import argparse
import atexit
import logging
from contextlib import ExitStack

from backend.model import parts
from backend.model_server import make_app
from backend.settings import LOG_LEVELS
from backend.terminal import log_to_stderr
from backend.wiring import background_threads

settings = parts().settings
log_to_stderr(settings.log_level)
app = make_app()
running = ExitStack()
running.enter_context(background_threads(parts()))
atexit.register(running.close)


def main() -> None:
    """Serves with Flask's own server, which is meant for one machine and one person."""
    parser = argparse.ArgumentParser(
        prog="label-studio-ml start backend",
        description="Boxstrap behind label-studio-ml's server. Everything else is set by environment variables; "
        "the work is done by `boxstrap worker predict` and `boxstrap worker train`.",
    )
    parser.add_argument("-p", "--port", type=int, default=settings.port, help="port to listen on (BOXSTRAP_PORT)")
    parser.add_argument("--host", default=settings.host, help="address to listen on (BOXSTRAP_HOST)")
    parser.add_argument("-d", "--debug", action="store_true", help="the same as --log-level DEBUG")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default=settings.log_level)
    options = parser.parse_args()
    logging.getLogger().setLevel("DEBUG" if options.debug else options.log_level)
    app.run(host=options.host, port=options.port, threaded=True)


if __name__ == "__main__":
    main()
