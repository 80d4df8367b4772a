from imextract.registration.manifest import SiteKey
from imextract.registration.ome import (
    Ome,
    OmeImage,
    OmePlate,
    OmePlateAcquisition,
    OmeWell,
    OmeWellSample,
)
from imextract.registration.options import ManifestOptions
from imextract.registration.placement import Place, Placement, wells_in_two_folders


def images(count: int) -> tuple[OmeImage, ...]:
    return tuple(OmeImage(f"Image:{index}") for index in range(count))


def plate(
    name: str | None, wells: dict[tuple[int, int], list[int]], runs: list[list[int]] | None = None
) -> OmePlate:
    """A plate whose wells hold images by number; runs list the images of each acquisition."""
    return OmePlate(
        name,
        tuple(
            OmeWell(
                row,
                column,
                tuple(OmeWellSample(f"S:{name}:{n}", f"Image:{n}", n) for n in numbers),
            )
            for (row, column), numbers in wells.items()
        ),
        tuple(
            OmePlateAcquisition(None, frozenset(f"S:{name}:{n}" for n in run)) for run in runs or []
        ),
    )


def place(*data_sets: Ome, options: ManifestOptions | None = None) -> list[dict[str, Place]]:
    return Placement(options or ManifestOptions(), "folder").place(data_sets)


def keys(places: dict[str, Place]) -> list[tuple[str, str, int, str]]:
    return [
        (p.site.plate, p.site.well, p.site.site, p.acquisition)
        for _, p in sorted(places.items(), key=lambda item: int(item[0].removeprefix("Image:")))
    ]


def test_images_without_a_plate_are_sites_of_one_well() -> None:
    first, second = place(Ome(images(2)), Ome(images(1)))
    assert keys(first) == [
        ("folder", "A01", 0, "acquisition_0"),
        ("folder", "A01", 1, "acquisition_0"),
    ]
    assert keys(second) == [("folder", "A01", 2, "acquisition_0")]


def test_sites_count_from_zero_in_each_well_and_acquisition() -> None:
    ome = Ome(
        images(6), (plate("P", {(0, 0): [0, 1, 2, 3], (2, 9): [4, 5]}, [[0, 2, 4], [1, 3, 5]]),)
    )
    assert keys(place(ome)[0]) == [
        ("P", "A01", 0, "acquisition_0"),
        ("P", "A01", 0, "acquisition_1"),
        ("P", "A01", 1, "acquisition_0"),
        ("P", "A01", 1, "acquisition_1"),
        ("P", "C10", 0, "acquisition_0"),
        ("P", "C10", 0, "acquisition_1"),
    ]


def test_samples_that_no_acquisition_lists_are_an_acquisition_of_their_own() -> None:
    ome = Ome(images(2), (plate("P", {(0, 0): [0, 1]}, [[1]]),))
    assert keys(place(ome)[0]) == [
        ("P", "A01", 0, "acquisition_1"),
        ("P", "A01", 0, "acquisition_0"),
    ]


def test_empty_wells_give_nothing() -> None:
    wells = plate("P", {(0, 0): [0], (0, 1): []})
    assert place(Ome(images(1), (wells,)))[0].keys() == {"Image:0"}


def test_a_well_that_comes_again_goes_on_with_the_next_site() -> None:
    ome = Ome(images(2), (plate("P", {(0, 0): [0, 1]}),))
    first, second = place(ome, ome)
    assert [key[2] for key in keys(first)] == [0, 1]
    assert [key[2] for key in keys(second)] == [2, 3]


def test_two_plates_of_a_name_in_one_file_do_not_collide() -> None:
    ome = Ome(images(2), (plate("P", {(0, 0): [0]}), plate("P", {(0, 0): [1]})))
    assert keys(place(ome)[0]) == [
        ("P", "A01", 0, "acquisition_0"),
        ("P", "A01", 1, "acquisition_0"),
    ]


def test_several_nameless_plates_get_names() -> None:
    ome = Ome(images(2), (plate(None, {(0, 0): [0]}), plate(None, {(0, 0): [1]})))
    assert [key[0] for key in keys(place(ome)[0])] == ["folder_0", "folder_1"]


def test_one_image_in_two_wells_is_one_plane_of_the_first() -> None:
    ome = Ome(images(1), (plate("P", {(0, 0): [0], (0, 1): [0]}),))
    assert keys(place(ome)[0]) == [("P", "A01", 0, "acquisition_0")]


def test_images_in_no_well_of_a_plate_are_not_lost() -> None:
    ome = Ome(images(2), (plate("P", {(3, 3): [0]}),))
    assert place(ome)[0]["Image:1"].site == SiteKey("folder", "A01", 0)


def test_the_names_given_replace_those_of_a_single_plate_and_acquisition() -> None:
    ome = Ome(images(1), (plate("P", {(0, 0): [0]}, [[0]]),))
    options = ManifestOptions(plate="mine", acquisition="today")
    assert keys(place(ome, options=options)[0]) == [("mine", "A01", 0, "today")]
    assert keys(place(Ome(images(1)), options=options)[0]) == [("mine", "A01", 0, "today")]


def test_the_names_given_go_before_those_of_several_plates_and_acquisitions() -> None:
    ome = Ome(
        images(3), (plate("P", {(0, 0): [0, 1]}, [[0], [1]]), plate("Q", {(0, 0): [2]}, [[2]]))
    )
    options = ManifestOptions(plate="mine", acquisition="today")
    assert [(key[0], key[3]) for key in keys(place(ome, options=options)[0])] == [
        ("mine_P", "today_acquisition_0"),
        ("mine_P", "today_acquisition_1"),
        ("mine_Q", "today"),
    ]


def test_a_well_in_two_folders_is_an_error_and_in_two_files_of_one_is_not() -> None:
    def well(row: int) -> Ome:
        return Ome(images(1), (plate("P", {(row, 0): [0]}),))

    sets = {"one/a.flex": well(0), "one/b.flex": well(0), "two/c.flex": well(1)}
    placed = list(zip(sets, sets.values(), place(*sets.values()), strict=True))
    assert list(wells_in_two_folders(placed)) == []
    sets["three/d.flex"] = well(1)
    placed = list(zip(sets, sets.values(), place(*sets.values()), strict=True))
    (problem,) = wells_in_two_folders(placed)
    assert (problem.severity, problem.file) == ("error", "three")
    assert "plate 'P' is in two and in three, and 1 wells, such as B01" in problem.text


def test_images_without_a_plate_may_lie_in_any_folders() -> None:
    sets = {"one/a.nd2": Ome(images(2)), "two/b.nd2": Ome(images(2))}
    placed = zip(sets, sets.values(), place(*sets.values()), strict=True)
    assert list(wells_in_two_folders(placed)) == []
