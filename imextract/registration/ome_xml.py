"""Reading OME-XML: untrusted, long, and not always well-formed."""

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from imextract.readers.ome_elements import local_name, read_elements
from imextract.registration.objectives import objective_name
from imextract.registration.ome import (
    Ome,
    OmeChannel,
    OmeImage,
    OmePlate,
    OmePlateAcquisition,
    OmeWell,
    OmeWellSample,
    PlaneFacts,
    PlaneTable,
)
from imextract.registration.units import length_um, number, time_s

__all__ = ["parse_ome_xml"]

# The parts that are large and not needed once, or at all, read.
_DONE_WITH = frozenset({"Image", "Plate", "StructuredAnnotations", "Screen", "ROI"})


def parse_ome_xml(text: str) -> Ome:
    """Read the images and plates of OME-XML; what is missing or odd becomes None.

    Raises
    ------
    SourceFileError
        If the text is no XML, or carries entities.
    """
    return read_elements(text, ("end",), _gather)


def _gather(events: Iterator[tuple[str, Element]]) -> Ome:
    images: list[OmeImage] = []
    plates: list[OmePlate] = []
    objectives: dict[str, str | None] = {}
    for _, element in events:
        name = local_name(element)
        if name == "Image":
            images.append(_image(element, objectives))
        elif name == "Objective":
            objectives[element.get("ID", "")] = _objective(element)
        elif name == "Plate":
            plates.append(_plate(element))
        if name in _DONE_WITH:
            element.clear()
    return Ome(tuple(images), tuple(plates))


def _children(element: Element | None, name: str) -> list[Element]:
    return [] if element is None else [child for child in element if local_name(child) == name]


def _child(element: Element | None, name: str) -> Element | None:
    return next(iter(_children(element, name)), None)


def _integer(text: str | None, default: int = 0) -> int:
    value = number(text)
    return default if value is None else int(value)


def _length(element: Element, name: str, default_unit: str) -> float | None:
    return length_um(element.get(name), element.get(f"{name}Unit", default_unit))


def _time(element: Element, name: str) -> float | None:
    return time_s(element.get(name), element.get(f"{name}Unit", "s"))


def _xy(element: Element | None, x: str, y: str) -> tuple[float, float] | None:
    if element is None:
        return None
    at_x, at_y = number(element.get(x)), number(element.get(y))
    return None if at_x is None or at_y is None else (at_x, at_y)


def _objective(element: Element) -> str | None:
    keys = "Model", "NominalMagnification", "LensNA"
    return objective_name(*map(element.get, keys))


def _image(element: Element, objectives: Mapping[str, str | None]) -> OmeImage:
    pixels = _child(element, "Pixels")
    image_id = element.get("ID", "")
    name = element.get("Name") or None
    if pixels is None:
        return OmeImage(image_id, name)
    channels = tuple(_channel(child) for child in _children(pixels, "Channel"))
    return OmeImage(
        id=image_id,
        name=name,
        channels=channels,
        pixel_size_x_um=_size(pixels, "PhysicalSizeX"),
        pixel_size_y_um=_size(pixels, "PhysicalSizeY"),
        pixel_size_z_um=_size(pixels, "PhysicalSizeZ"),
        stage_position=_xy(_child(pixels, "Plane"), "PositionX", "PositionY")
        or _xy(_child(element, "StageLabel"), "X", "Y"),
        objective=objectives.get(_objective_id(element)),
        planes=_planes(pixels),
    )


def _objective_id(image: Element) -> str:
    settings = _child(image, "ObjectiveSettings")
    if settings is None:
        settings = _child(image, "ObjectiveRef")
    return "" if settings is None else settings.get("ID", "")


def _size(pixels: Element, name: str) -> float | None:
    size = _length(pixels, name, "µm")
    return size if size is not None and size > 0 else None


def _channel(element: Element) -> OmeChannel:
    return OmeChannel(
        name=(element.get("Name") or "").strip() or None,
        samples=max(1, _integer(element.get("SamplesPerPixel"), 1)),
        excitation_nm=_wavelength_nm(element, "ExcitationWavelength"),
        emission_nm=_wavelength_nm(element, "EmissionWavelength"),
    )


def _wavelength_nm(element: Element, name: str) -> float | None:
    length = _length(element, name, "nm")
    return None if length is None else round(length * 1e3, 6)


def _planes(pixels: Element) -> PlaneTable:
    z, c, t = (_integer(pixels.get(name)) for name in ("SizeZ", "SizeC", "SizeT"))
    table = PlaneTable((z, c, t))
    for plane in _children(pixels, "Plane"):
        exposure_s = _time(plane, "ExposureTime")
        facts = PlaneFacts(
            stage_x_um=_length(plane, "PositionX", "reference frame"),
            stage_y_um=_length(plane, "PositionY", "reference frame"),
            stage_z_um=_length(plane, "PositionZ", "reference frame"),
            time_stamp_s=_time(plane, "DeltaT"),
            exposure_ms=None if exposure_s is None else exposure_s * 1e3,
        )
        at_z, at_c, at_t = (_integer(plane.get(name), -1) for name in ("TheZ", "TheC", "TheT"))
        table.put(at_z, at_c, at_t, facts)
    return table


def _plate(element: Element) -> OmePlate:
    return OmePlate(
        name=(element.get("Name") or "").strip() or None,
        wells=tuple(_well(child) for child in _children(element, "Well")),
        acquisitions=tuple(_acquisition(child) for child in _children(element, "PlateAcquisition")),
    )


def _acquisition(element: Element) -> OmePlateAcquisition:
    references = _children(element, "WellSampleRef")
    return OmePlateAcquisition(
        name=(element.get("Name") or "").strip() or None,
        sample_ids=frozenset(reference.get("ID", "") for reference in references),
    )


def _well(element: Element) -> OmeWell:
    return OmeWell(
        row=_integer(element.get("Row"), -1),
        column=_integer(element.get("Column"), -1),
        samples=tuple(_sample(child) for child in _children(element, "WellSample")),
    )


def _sample(element: Element) -> OmeWellSample:
    reference = _child(element, "ImageRef")
    return OmeWellSample(
        id=element.get("ID", ""),
        image_id=None if reference is None else reference.get("ID"),
        index=_integer(element.get("Index")),
        stage_position=_xy(element, "PositionX", "PositionY"),
    )
