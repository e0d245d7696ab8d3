"""What a user may say about how a source is to be read: in a study file, on the command line or from Python."""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ceteris.errors import ConfigError

FITS = ("pad", "crop", "stretch")
Side = Annotated[int, Field(strict=True, ge=1, le=4096)]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a folder, table or archive of images is read; nothing here is needed for the named sets.

    ``size`` (height, width) brings images of different sizes to one, by the rule ``fit``: "pad" keeps the whole image and
    fills up with black, "crop" cuts the middle out, "stretch" distorts. ``channels`` 1 or 3 makes them grey or coloured;
    without it one image with colour makes all of them coloured. Columns name the pictures, the labels and the groups (writers,
    patients) that a split must not tear apart. ``test_fraction`` is held out as test part where the source has none of its own.
    ``skip_unreadable`` leaves pictures out that cannot be read, which are otherwise refused.

    Raises:
        ConfigError: a value out of its range.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # for the study file, whose [reading] this is

    size: tuple[Side, Side] | None = None
    fit: Literal["pad", "crop", "stretch"] = "pad"
    channels: Literal[1, 3] | None = None
    path_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    test_fraction: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.2
    skip_unreadable: Annotated[bool, Field(strict=True)] = False

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
