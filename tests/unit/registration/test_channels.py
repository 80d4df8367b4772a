from imextract.registration.channels import add_channels, distinct, image_channels
from imextract.registration.manifest import ChannelInfo
from imextract.registration.ome import OmeChannel


def names(channels: list[OmeChannel], size_c: int) -> list[str]:
    return [channel.name for channel in image_channels(channels, size_c)]


def test_unnamed_channels_are_called_after_their_index() -> None:
    assert names([OmeChannel("DAPI"), OmeChannel()], 2) == ["DAPI", "channel_1"]


def test_samples_of_rgb_become_channels() -> None:
    assert names([OmeChannel("HE", samples=3), OmeChannel()], 4) == [
        "HE_R",
        "HE_G",
        "HE_B",
        "channel_1",
    ]
    assert names([OmeChannel("x", samples=2)], 2) == ["x_0", "x_1"]


def test_an_image_has_as_many_channels_as_its_pixels() -> None:
    assert names([OmeChannel("a")], 3) == ["channel_0", "channel_1", "channel_2"]
    assert names([OmeChannel("a"), OmeChannel("b")], 1) == ["channel_0"]


def test_a_name_twice_in_an_image_is_made_distinct() -> None:
    assert distinct(["a", "a", "a_2", "a"]) == ["a", "a_3", "a_2", "a_4"]


def test_another_image_tells_the_wavelengths_that_the_first_left_out() -> None:
    known = {"GFP": ChannelInfo("GFP", excitation_nm=488.0)}
    add_channels(known, [ChannelInfo("GFP", 470.0, 520.0), ChannelInfo("Cy5")])
    assert known == {"GFP": ChannelInfo("GFP", 488.0, 520.0), "Cy5": ChannelInfo("Cy5")}
