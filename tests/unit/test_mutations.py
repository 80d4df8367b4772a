"""Each protection that benchmarks/mutations.py takes out is still where it looks for it."""

from pathlib import Path

import pytest

from benchmarks.mutations import MUTATIONS, Mutation

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.protection)
def test_the_protection_and_its_tests_are_there(mutation: Mutation, tmp_path: Path) -> None:
    source = (CHECKOUT / mutation.module).read_text()
    copy = tmp_path / mutation.module
    copy.parent.mkdir(parents=True)
    copy.write_text(source)
    mutation.apply(tmp_path)
    compile(copy.read_text(), mutation.module, "exec")
    assert copy.read_text() != source
    file, _, test = mutation.tests.partition("::")
    assert f"def {test}" in (CHECKOUT / file).read_text()
    with pytest.raises(ValueError, match="once"):
        mutation.apply(tmp_path)
