"""Bio-Formats and our own reader agree on simulated stacks, plane by plane."""

from pathlib import Path

from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.readers.tiff import TiffReader
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlateLayout
from imextract.simulation.pixels import read_stamp
from imextract.simulation.stk import write_stk
from imextract.simulation.visiview import write_visiview_plate
from tests.support import noise


def test_planes_of_a_stack_are_counted_alike(tmp_path: Path, reader_settings: Settings) -> None:
    path = tmp_path / "stack.stk"
    write_stk(path, list(noise(5, 20, 30)), pixel_size_um=0.5, zstep_um=2)
    assert inspect_file(path, reader_settings).format_name == "Metamorph STK"
    with TiffReader(path) as ours, BioFormatsReader(path, reader_settings) as theirs:
        assert ours.structure[0].plane_count == theirs.structure[0].plane_count == 5
        for index in range(5):
            ref = PlaneRef(0, index)
            assert (ours.read_plane(ref) == theirs.read_plane(ref)).all()


def test_bioformats_reads_the_simulated_plate_as_it_spells(
    tmp_path: Path, reader_settings: Settings
) -> None:
    layout = PlateLayout(wells=2, sites=2, channels=2, zplanes=3, tpoints=2, height=24, width=32)
    entry = write_visiview_plate(tmp_path, layout, Faults())
    with BioFormatsReader(entry, reader_settings) as reader:
        assert len(reader.structure) == 4
        for series, structure in enumerate(reader.structure):
            for index in range(structure.plane_count):
                spelt = read_stamp(reader.read_plane(PlaneRef(series, index)))
                assert spelt is not None
                assert (spelt.zplane, spelt.channel, spelt.tpoint) == structure.zct(index)
                assert (("B02", "B03").index(spelt.well) * 2 + spelt.site) == series
