"""Cuts the largest file of the newest checkpoint in half, as a disk that lost its last writes would."""

from pathlib import Path

CHECKPOINTS = Path("/workspace/checkpoints")


def main() -> None:
    """Truncates; prints what was cut."""
    newest = max(CHECKPOINTS.glob("step-*"))
    victim = max((file for file in newest.iterdir() if file.is_file()), key=lambda file: file.stat().st_size)
    with victim.open("r+b") as file:
        file.truncate(victim.stat().st_size // 2)
    print(victim)


if __name__ == "__main__":
    main()
