import pytest

from imextract.errors import SourceFileError
from imextract.registration.ome import Ome, OmeImage, PlaneFacts
from imextract.registration.ome_xml import parse_ome_xml

OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def parse(inside: str) -> Ome:
    return parse_ome_xml(f'<?xml version="1.0" encoding="UTF-8"?><OME {OME}>{inside}</OME>')


def parse_image(pixels: str = "", inside: str = "", attributes: str = "") -> OmeImage:
    sizes = 'SizeX="8" SizeY="4" SizeZ="2" SizeC="3" SizeT="2"'
    text = f'<Image ID="Image:0" Name="im">{inside}<Pixels {sizes} {attributes}>{pixels}</Pixels>'
    return parse(f"{text}</Image>").images[0]


def test_plates_are_read_with_wells_samples_and_acquisitions() -> None:
    ome = parse(
        '<Plate ID="Plate:0" Name="P 1"><Well Row="2" Column="11">'
        '<WellSample ID="S:0" Index="4" PositionX="1.5" PositionY="-2"><ImageRef ID="Image:9"/>'
        '</WellSample></Well><Well Row="7" Column="0"><WellSample ID="S:1"/></Well>'
        '<PlateAcquisition ID="A:0" Name="run"><WellSampleRef ID="S:0"/></PlateAcquisition></Plate>'
    )
    (plate,) = ome.plates
    assert plate.name == "P 1"
    assert [(well.row, well.column) for well in plate.wells] == [(2, 11), (7, 0)]
    (sample,) = plate.wells[0].samples
    assert (sample.id, sample.image_id, sample.index) == ("S:0", "Image:9", 4)
    assert sample.stage_position == (1.5, -2.0)
    assert plate.wells[1].samples[0].image_id is None
    assert plate.acquisitions[0].name == "run"
    assert plate.acquisitions[0].sample_ids == {"S:0"}
    assert plate.has_images(["Image:9"])
    assert not plate.has_images(["Image:8"])


def test_an_empty_name_is_no_name() -> None:
    assert parse('<Plate Name=" "/>').plates[0].name is None
    assert parse_image('<Channel Name=""/>').channels[0].name is None


@pytest.mark.parametrize(
    ("unit", "size_um"),
    [
        ("", 0.5),
        ('PhysicalSizeXUnit="µm"', 0.5),
        ('PhysicalSizeXUnit="\N{GREEK SMALL LETTER MU}m"', 0.5),
        ('PhysicalSizeXUnit="nm"', 0.0005),
        ('PhysicalSizeXUnit="mm"', 500.0),
        ('PhysicalSizeXUnit="m"', 500_000.0),
        ('PhysicalSizeXUnit="Å"', 0.00005),
        ('PhysicalSizeXUnit="pixel"', None),
        ('PhysicalSizeXUnit="nonsense"', None),
    ],
)
def test_sizes_of_pixels_are_converted_to_micrometres(unit: str, size_um: float | None) -> None:
    size = parse_image(attributes=f'PhysicalSizeX="0.5" {unit}').pixel_size_x_um
    assert size == (None if size_um is None else pytest.approx(size_um))


@pytest.mark.parametrize("size", ["0", "-1", "NaN", "INF", "", "1,5", "x"])
def test_sizes_that_cannot_be_are_none(size: str) -> None:
    assert parse_image(attributes=f'PhysicalSizeY="{size}"').pixel_size_y_um is None


def test_planes_tell_position_time_and_exposure() -> None:
    image = parse_image(
        '<Plane TheZ="1" TheC="2" TheT="0" PositionX="2" PositionXUnit="mm" PositionY="7" '
        'PositionZ="-3" PositionZUnit="µm" DeltaT="2" DeltaTUnit="min" ExposureTime="0.25"/>'
        '<Plane TheZ="9" TheC="0" TheT="0" DeltaT="1"/><Plane TheZ="x" DeltaT="1"/>'
    )
    assert image.planes.get(1, 2, 0) == PlaneFacts(2000.0, None, -3.0, 120.0, 250.0)
    assert image.planes.get(0, 0, 0) == PlaneFacts()
    assert image.planes.get(9, 0, 0) == PlaneFacts()
    assert image.stage_position == (2.0, 7.0)


def test_the_stage_label_stands_in_for_positions_of_planes() -> None:
    assert parse_image(inside='<StageLabel X="5" Y="6"/>').stage_position == (5.0, 6.0)
    assert parse_image().stage_position is None


def test_channels_tell_wavelengths_in_nanometres() -> None:
    image = parse_image(
        '<Channel Name="GFP" ExcitationWavelength="488" EmissionWavelength="0.52" '
        'EmissionWavelengthUnit="µm" SamplesPerPixel="1"/><Channel SamplesPerPixel="3"/>'
    )
    assert image.channels[0].name == "GFP"
    assert image.channels[0].excitation_nm == 488.0
    assert image.channels[0].emission_nm == 520.0
    assert image.channels[1].samples == 3


def test_characters_that_xml_forbids_are_dropped() -> None:
    text = '<OME><Image ID="I" Name="a&#0;b\x01c&#x1F;&amp;&#956;"/></OME>'
    assert parse_ome_xml(text).images[0].name == "abc&μ"


@pytest.mark.parametrize("text", ["", "<OME>", "no xml", "<OME><Image></OME>"])
def test_what_is_no_xml_is_an_error(text: str) -> None:
    with pytest.raises(SourceFileError, match="cannot be read"):
        parse_ome_xml(text)


def test_entities_are_refused() -> None:
    text = '<!DOCTYPE OME [<!ENTITY a "b">]><OME><Image ID="&a;"/></OME>'
    with pytest.raises(SourceFileError, match="document type or entities"):
        parse_ome_xml(text)


def test_sizes_of_a_damaged_header_reserve_no_memory() -> None:
    sizes = 'SizeZ="2000000000" SizeC="2000000000" SizeT="2000000000"'
    text = f'<Image ID="I"><Pixels {sizes}><Plane TheZ="0" TheC="0" TheT="0" DeltaT="1"/></Pixels>'
    assert parse(f"{text}</Image>").images[0].planes.get(0, 0, 0) == PlaneFacts()
