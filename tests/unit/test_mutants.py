import pytest

from tests.support.mutants.mutant import Mutant
from tests.support.mutants.table import MUTANTS, ROOT, SCRIPTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_its_script_in_one_place(mutant: Mutant) -> None:
    source = (SCRIPTS / f"{mutant.script}.lua").read_text()

    assert source.count(mutant.before) == 1
    assert mutant.before != mutant.after
    assert (ROOT / "tests" / "integration" / f"{mutant.tests}.py").exists()
