"""Names of channels: given, made up where there is none, made distinct."""

from collections.abc import Iterable, Sequence

from imextract.registration.manifest import ChannelInfo
from imextract.registration.ome import OmeChannel

__all__ = ["add_channels", "distinct", "image_channels"]

_SAMPLE_NAMES = {3: "RGB", 4: "RGBA"}


def image_channels(channels: Sequence[OmeChannel], size_c: int) -> tuple[ChannelInfo, ...]:
    """Give the channels of an image, as many as it has, samples of RGB singly.

    An unnamed channel is called after its index, "channel_0".
    """
    if sum(channel.samples for channel in channels) != size_c:
        # The metadata speak of other channels than the pixels have.
        channels = [OmeChannel()] * size_c
    split = [
        ChannelInfo(name, channel.excitation_nm, channel.emission_nm)
        for index, channel in enumerate(channels)
        for name in _sample_names(channel.name or f"channel_{index}", channel.samples)
    ]
    names = distinct(channel.name for channel in split)
    return tuple(
        ChannelInfo(name, channel.excitation_nm, channel.emission_nm)
        for name, channel in zip(names, split, strict=True)
    )


def add_channels(known: dict[str, ChannelInfo], channels: Iterable[ChannelInfo]) -> None:
    """Add channels to those of a folder; what one image does not tell, another may."""
    for channel in channels:
        before = known.get(channel.name, channel)
        known[channel.name] = ChannelInfo(
            channel.name,
            channel.excitation_nm if before.excitation_nm is None else before.excitation_nm,
            channel.emission_nm if before.emission_nm is None else before.emission_nm,
        )


def distinct(names: Iterable[str]) -> list[str]:
    """Make names distinct: the second "DAPI" becomes "DAPI_2"."""
    given = list(names)
    taken = set(given)
    used: set[str] = set()
    result = []
    for name in given:
        candidate, number = name, 1
        while candidate in used or (number > 1 and candidate in taken):
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate)
        result.append(candidate)
    return result


def _sample_names(name: str, samples: int) -> list[str]:
    if samples == 1:
        return [name]
    suffixes = _SAMPLE_NAMES.get(samples, range(samples))
    return [f"{name}_{suffix}" for suffix in suffixes]
