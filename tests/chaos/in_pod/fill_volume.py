"""Fills the volume to its last byte."""

import errno
from pathlib import Path

FILLER = Path("/workspace/filler")
BLOCK = b"\0" * 65536


def main() -> None:
    """Writes until nothing more fits, byte by byte at the end."""
    with FILLER.open("wb", buffering=0) as file:
        block = BLOCK
        while block:
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]
    print(FILLER.stat().st_size)


if __name__ == "__main__":
    main()
