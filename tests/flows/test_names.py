"""What the results of a deployment's run with overrides are called."""

from flows._drive import own_name


def test_a_name_says_the_overrides_and_is_one_of_a_file():
    assert own_name("real_smoke", ["epochs=11"]) == "real_smoke+epochs=11"
    odd = own_name("real_smoke", ["targets=[xnli, xquad]"])
    assert odd.startswith("real_smoke+targets=-xnli-xquad-") and "/" not in own_name("s", ["data.folder=/a/b"])
    many = [f"recipe.target.default.setting_{number}=0.1" for number in range(9)]
    names = {own_name("real_smoke", [*many, last]) for last in ("epochs=1", "epochs=2")}
    assert len(names) == 2 and all(len(name) < 200 and name.startswith("real_smoke+recipe.target") for name in names)
