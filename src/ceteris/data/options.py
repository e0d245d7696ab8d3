"""What a user may say about how a source is to be read."""

from dataclasses import asdict, dataclass
from typing import Literal

from ceteris.errors import ConfigError

FITS = ("pad", "crop", "stretch")


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a source is read; the defaults read it as it is.

    Attributes:
        size: (height, width) that every image is brought to; None demands that all have the same size already.
        fit: how: "pad" keeps the whole image and fills up with black, "crop" cuts the middle out, "stretch" distorts.
        channels: 1 for grey, 3 for RGB; None takes RGB as soon as one image has colour.
        label_column: column of a table that holds the label; None finds it by its usual names.
        group_column: column of a table that names what no split may tear apart (a writer, a patient).
        test_fraction: share held out as test part where the source has none of its own.

    Raises:
        ConfigError: a value out of its range.
    """

    size: tuple[int, int] | None = None
    fit: Literal["pad", "crop", "stretch"] = "pad"
    channels: Literal[1, 3] | None = None
    label_column: str | None = None
    group_column: str | None = None
    test_fraction: float = 0.2

    def __post_init__(self) -> None:
        if self.size is not None and not (len(self.size) == 2 and all(1 <= side <= 4096 for side in self.size)):
            raise ConfigError(f"size: (height, width) of 1 to 4096 pixels each, received {self.size}.")
        if self.fit not in FITS:
            raise ConfigError(f"fit: one of {', '.join(FITS)}, received {self.fit!r}.")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"channels: 1 (grey), 3 (RGB) or None, received {self.channels!r}.")
        if not 0.0 < self.test_fraction < 1.0:
            raise ConfigError(f"test_fraction: a share between 0 and 1 (both excluded), received {self.test_fraction}.")

    def key(self) -> str:
        """Return a text that differs whenever the options differ."""
        return repr(sorted(asdict(self).items()))

    def only(self, what: str, *allowed: str) -> None:
        """Raise ConfigError when an option is set that reading ``what`` has no use for.

        Args:
            what: the source, for the message.
            allowed: names of the options that do count.
        """
        plain = ReadOptions()
        for name, value in asdict(self).items():
            if name not in allowed and value != getattr(plain, name):
                raise ConfigError(f"{name}: has no effect on {what}, received {value!r}. Leave it out.")
