"""Which site of which well each image is: OME's plates, made free of collisions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imextract.registration.manifest import Problem, SiteKey
from imextract.registration.ome import Ome, OmeImage, OmePlate, OmeWell, OmeWellSample
from imextract.registration.options import ManifestOptions
from imextract.registration.plate_twice import plate_in_two_folders
from imextract.registration.wells import well_name

__all__ = ["Place", "Placement", "wells_in_two_folders"]

_DEFAULT_WELL = "A01"


@dataclass(frozen=True, slots=True)
class Place:
    """The site and acquisition of an image, and where the stage stood, in any unit."""

    site: SiteKey
    acquisition: str
    stage_position: tuple[float, float] | None = None


class Placement:
    """Gives every image of a folder its place; no two get the same.

    A well that comes again, in another data set or under a second plate of
    the same name, goes on with the next site. Images without a plate are
    sites of well A01 of one plate.

    Parameters
    ----------
    options
        Names that the user gave.
    folder_name
        Name of a plate that has none.

    Attributes
    ----------
    problems
        Wells that cannot be, and images of a plate that are in no well of it.
    """

    def __init__(self, options: ManifestOptions, folder_name: str) -> None:
        self._options = options
        self._default_plate = options.plate or folder_name
        self._taken: Counter[tuple[str, str, str]] = Counter()
        self.problems: list[Problem] = []

    def place(self, data_sets: Sequence[Ome]) -> list[dict[str, Place]]:
        """Give the place of each image, by image identifier, of each data set."""
        plates = [_imaged_plates(ome) for ome in data_sets]
        names = {plate.name for group in plates for plate in group if plate.name}
        has_nameless = any(
            len(group) == 0 or any(not plate.name for plate in group) for group in plates
        )
        is_one_plate = len(names) + has_nameless <= 1
        return [
            self._place_data_set(ome, group, is_one_plate)
            for ome, group in zip(data_sets, plates, strict=True)
        ]

    def _place_data_set(
        self, ome: Ome, plates: Sequence[OmePlate], is_one_plate: bool
    ) -> dict[str, Place]:
        places: dict[str, Place] = {}
        images = {image.id for image in ome.images}
        for index, plate in enumerate(plates):
            name = self._plate_name(plate.name, is_one_plate)
            if plate.name is None and len(plates) > 1:
                name = f"{name}_{index}"
            self.problems.extend(_bad_wells(plate, name, images))
            for place in self._place_plate(plate, name, images - places.keys()):
                places.setdefault(*place)
        strays = [image for image in ome.images if image.id not in places]
        if plates and strays:
            self.problems.append(_stray(strays[0], len(strays), self._default_plate))
        acquisition = self._options.acquisition or "acquisition_0"
        for image in strays:
            site = self._next_site(self._default_plate, _DEFAULT_WELL, acquisition)
            places[image.id] = Place(site, acquisition)
        return places

    def _plate_name(self, own_name: str | None, is_one_plate: bool) -> str:
        if own_name is None:
            return self._default_plate
        if self._options.plate is None:
            return own_name
        return self._options.plate if is_one_plate else f"{self._options.plate}_{own_name}"

    def _place_plate(
        self, plate: OmePlate, plate_name: str, images: set[str]
    ) -> Iterator[tuple[str, Place]]:
        acquisitions = self._acquisition_names(plate)
        for well, sample in _imaged_samples(plate, images):
            acquisition = acquisitions[sample.id]
            site = self._next_site(plate_name, well_name(well.row, well.column), acquisition)
            yield str(sample.image_id), Place(site, acquisition, sample.stage_position)

    def _acquisition_names(self, plate: OmePlate) -> dict[str, str]:
        """Name the acquisition of each well sample of a plate."""
        own_names = [
            acquisition.name or f"acquisition_{index}"
            for index, acquisition in enumerate(plate.acquisitions)
        ]
        # Two of a name are still two acquisitions.
        own_names = [
            f"{name}_{index}" if own_names.count(name) > 1 else name
            for index, name in enumerate(own_names)
        ]
        samples = {s.id for well in plate.wells for s in well.samples if s.image_id is not None}
        of_sample: dict[str, str] = {}
        for name, acquisition in zip(own_names, plate.acquisitions, strict=True):
            for sample_id in acquisition.sample_ids & samples:
                of_sample.setdefault(sample_id, name)
        for sample_id in samples - of_sample.keys():
            of_sample[sample_id] = f"acquisition_{len(own_names)}"
        given = self._options.acquisition
        if given is None:
            return of_sample
        is_one = len(set(of_sample.values())) == 1
        return {key: given if is_one else f"{given}_{name}" for key, name in of_sample.items()}

    def _next_site(self, plate: str, well: str, acquisition: str) -> SiteKey:
        key = (plate, well, acquisition)
        self._taken[key] += 1
        return SiteKey(plate, well, self._taken[key] - 1)


def _imaged_plates(ome: Ome) -> list[OmePlate]:
    images = {image.id for image in ome.images}
    return [plate for plate in ome.plates if plate.has_images(images)]


def _bad_wells(plate: OmePlate, name: str, images: set[str]) -> Iterator[Problem]:
    """Name wells whose row and column make no sense."""
    for well in plate.wells:
        is_imaged = any(sample.image_id in images for sample in well.samples)
        if is_imaged and (well.row < 0 or well.column < 0):
            text = (
                f"a well of plate {name} has row {well.row}, column {well.column}: expected "
                "indices from 0; correct the metadata"
            )
            yield Problem("error", None, text)


def _stray(image: OmeImage, count: int, plate: str) -> Problem:
    text = (
        f"{count} images, such as {image.name or image.id}, are in no well of a plate, unlike "
        f"others: taken for sites of well {_DEFAULT_WELL} of plate {plate}; correct the manifest"
    )
    return Problem("warning", None, text)


def _imaged_samples(plate: OmePlate, images: set[str]) -> Iterator[tuple[OmeWell, OmeWellSample]]:
    """Give the fields that were imaged, each image once, in order of field index."""
    seen: set[str] = set()
    for well in plate.wells:
        if well.row < 0 or well.column < 0:
            continue
        for sample in sorted(well.samples, key=lambda sample: sample.index):
            if sample.image_id in images and sample.image_id not in seen:
                seen.add(sample.image_id)
                yield well, sample


def wells_in_two_folders(
    placed: Iterable[tuple[str, Ome, dict[str, Place]]],
) -> Iterator[Problem]:
    """Name plates of which two folders hold the same wells: two of a name, or one imaged twice.

    Parameters
    ----------
    placed
        Of each data set: its entry, its metadata and the places of its images.
    """
    folders: dict[tuple[str, str, str], str] = {}
    shared: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry, ome, places in placed:
        folder = entry.rpartition("/")[0] or "."
        samples = [
            pair for plate in _imaged_plates(ome) for pair in _imaged_samples(plate, {*places})
        ]
        own = [places[str(sample.image_id)] for _, sample in samples]
        for well in sorted({(one.site.plate, one.site.well, one.acquisition) for one in own}):
            before = folders.setdefault(well, folder)
            if before != folder:
                shared[well[0], before, folder].append(well[1])
    for (plate, before, folder), wells in shared.items():
        detail = (
            f"and {len(wells)} wells, such as {wells[0]}, are in both, so that images of one would "
            "be more sites of the other"
        )
        yield plate_in_two_folders(plate, before, folder, detail, "error")
