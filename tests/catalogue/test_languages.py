"""The table of languages."""

from xtreme_dag.catalogue.languages import languages
from xtreme_dag.contracts.scripts import CLASSES


def test_fifty_languages_with_name_family_and_script():
    found = languages()
    assert len(found) == 50
    assert list(found) == sorted(found)
    assert all(one.name and one.family and one.script in CLASSES for one in found.values())


def test_laser_codes_are_unique_and_cover_tatoeba():
    codes = [one.laser for one in languages().values() if one.laser]
    assert len(codes) == len(set(codes)) == 42
    assert languages()["fa"].laser == "pes"
    assert languages()["sw"].laser == "swh"
    assert languages()["zh"].laser == "cmn"


def test_yoruba_was_not_in_xlmr():
    assert not languages()["yo"].in_xlmr_pretraining
    assert languages()["de"].in_xlmr_pretraining
