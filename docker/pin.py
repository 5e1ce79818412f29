"""Write into Dockerfile and compose.yaml which images exactly their tags mean now: NAME:TAG@sha256:DIGEST.

    python docker/pin.py [--check]

It asks the registry for each image, by the `docker pull` that a build would do as well; later builds take those images
and no others, whatever becomes of the tags. Once more takes what the tags mean by then. --check changes nothing, and
ends with 1 where an image has no digest.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = tuple(HERE / name for name in ("Dockerfile", "compose.yaml"))
# What an image of somebody else is called: behind FROM, but for stages, which have no tag, and behind `image:`.
IMAGE = re.compile(r"^((?:FROM|\s+image:) +)((?!boxstrap:)[\w./-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?", re.MULTILINE)


def main() -> None:
    """Prints each image with its digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 where a digest is missing")
    texts = {path: path.read_text(encoding="utf-8") for path in FILES}
    if parser.parse_args().check:
        missing = [name for text in texts.values() for _, name, digest in IMAGE.findall(text) if not digest]
        print("\n".join(f"{name} has no digest" for name in missing) or "every image has its digest")
        sys.exit(1 if missing else 0)
    digests = {name: digest_of(name) for text in texts.values() for _, name, _ in IMAGE.findall(text)}
    for path, text in texts.items():
        path.write_text(pinned(text, digests), encoding="utf-8")
    print("\n".join(f"{name}@{digest}" for name, digest in digests.items()))


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """Return a Dockerfile, or a compose file, with the digest of each image, in place of those that it had."""
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", text)


def digest_of(image: str) -> str:
    """Return what the registry has under the image's tag now."""
    subprocess.run(["docker", "pull", "--quiet", image], check=True, stdout=subprocess.DEVNULL)
    show = ["docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", image]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip().partition("@")[2]


if __name__ == "__main__":
    main()
