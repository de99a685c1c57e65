"""The files that the stages exchange, in the folders of the suite's harness."""

from dataclasses import dataclass
from pathlib import Path

SIZES = (1, 100, 1_000, 10_000)  # images


@dataclass(frozen=True)
class Folders:
    """The folders of one size, which `made` makes.

    Attributes:
        io: the folder of all sizes.
        size: from 0 to 3: the number of images is that of `SIZES`.
    """

    io: Path
    size: int

    def __post_init__(self) -> None:
        if self.size not in range(len(SIZES)):
            raise SystemExit(
                f"size {self.size} was asked for; it is 0, 1, 2 or 3, for "
                f"{', '.join(f'{count:,}' for count in SIZES)} images."
            )

    @property
    def count(self) -> int:
        """The number of images."""
        return SIZES[self.size]

    @property
    def model(self) -> Path:
        """The packed model: the server's half, and what a client needs of it."""
        return self._made("model")

    @property
    def public_keys(self) -> Path:
        """The evaluation keys, which the server gets."""
        return self._made("public_keys")

    @property
    def secret_key(self) -> Path:
        """The secret key, which stays with the client."""
        return self._made("secret_key")

    @property
    def uploads(self) -> Path:
        """The encrypted images."""
        return self._made("ciphertexts_upload")

    @property
    def downloads(self) -> Path:
        """The encrypted logits."""
        return self._made("ciphertexts_download")

    @property
    def intermediate(self) -> Path:
        """What the client keeps in the clear: images, logits, classes."""
        return self._made("intermediate")

    def _made(self, name: str) -> Path:
        folder = self.io / str(self.size) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def bytes_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def needed(path: Path, stage: str) -> Path:
    """The path of a file that an earlier stage wrote.

    Raises:
        SystemExit: where it is missing.
    """
    if not path.exists():
        raise SystemExit(f"the file {path} is missing, which {stage} writes; run that stage first.")
    return path
