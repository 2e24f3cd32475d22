"""Imports that wait: what a text encoder does not load, and that what comes later is what it would have been."""

import copy
import decimal
import inspect
import sys
from types import FunctionType, SimpleNamespace

from xtreme_dag.core.quick_imports import Late, renamed, with_late_imports

HEAVY = ("accelerate", "altair", "scipy", "sympy", "torch._dynamo", "torch._inductor", "torch.distributed.tensor")


def test_contracts_load_no_scipy_until_a_distribution_is_compared_or_drawn(run):
    code = """
        import pandas
        import great_expectations as gx
        from great_expectations.expectations.metrics.column_aggregate_metrics import column_bootstrapped_ks_test_p_value
        assert not {"altair", "scipy"} & set(sys.modules)
        expected = {"weights": [0.5, 0.5], "values": ["a", "b"]}
        context = gx.get_context(mode="ephemeral")
        asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": pandas.DataFrame({"x": list("aabb")})})
        found = batch.validate(gx.expectations.ExpectColumnKLDivergenceToBeLessThan(column="x", partition_object=expected, threshold=0.1))
        assert found.success and found.result["observed_value"] == 0
        kind = sys.modules["great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than"]
        chart = kind.alt.Chart(pandas.DataFrame({"x": [1]})).mark_bar().to_dict()
        assert chart["mark"]["type"] == "bar"
        assert column_bootstrapped_ks_test_p_value.stats.norm.cdf(0) == 0.5
    """
    run(code)


def test_an_encoder_loads_nothing_that_it_does_not_use_and_finds_it_when_it_does(run):
    """Losses of images have scipy's function, a model is spread by Accelerate, a mask made by the compiler's part."""
    code = f"""
        import inspect, torch
        import transformers.models.xlm_roberta.modeling_xlm_roberta, xtreme_dag.training.stages
        from transformers.integrations import accelerate as integration
        from transformers.loss import loss_for_object_detection, loss_rt_detr
        from transformers.masking_utils import TransformGetItemToIndex
        assert [name for name in {HEAVY} if name in sys.modules] == []
        for loss in (loss_for_object_detection, loss_rt_detr):
            assert [list(found) for found in loss.linear_sum_assignment([[2, 1], [1, 2]])] == [[0, 1], [1, 0]]
            assert list(loss.linear_sum_assignment([[2, 1], [1, 2]], maximize=True)[1]) == [0, 1]
        from transformers.utils import is_scipy_available
        import transformers.models.fnet.modeling_fnet as fnet
        assert is_scipy_available() and fnet.linalg is sys.modules["scipy"].linalg

        assert {{"skip_keys", "force_hooks"}} <= set(inspect.signature(integration.dispatch_model).parameters)
        model = integration.dispatch_model(torch.nn.Linear(1, 1), {{"": "cpu"}}, force_hooks=True)
        assert type(model._hf_hook).__module__ == "accelerate.hooks"

        table = torch.arange(5)
        with TransformGetItemToIndex():
            found = torch.vmap(lambda at: table[at])(torch.tensor([3, 1]))
        assert found.tolist() == [3, 1] and "torch._dynamo" in sys.modules
    """
    run(code)


def test_import_statements_alone_are_changed():
    source = """
import fractions
from json import dumps
from decimal import Decimal as Exact
def within():
    from decimal import Decimal
    return Decimal
def otherwise(decimal):
    from decimal import Decimal
    return Decimal, one.decimal
"""
    modules = ["fractions", "decimal", "json.decoder"]
    made: dict = {"one": SimpleNamespace(decimal=1)}
    exec(with_late_imports(compile(source, "made", "exec"), modules), made)
    exact = made["Exact"]
    assert (
        isinstance(exact, Late) and isinstance(made["within"](), Late) and exact("0.1") + 1 == made["within"]()("1.1")
    )
    assert isinstance(exact("1"), exact) and not isinstance(1, exact)
    assert type(made["dumps"]) is FunctionType
    # The name of the module is one under which something else is found, too: there it stays.
    assert inspect.ismodule(made["fractions"]) and made["fractions"].Fraction(1, 2) == 0.5
    assert made["otherwise"](0) == (decimal.Decimal, 1)
    assert copy.deepcopy(exact)("2") == 2


def test_nothing_is_of_a_class_that_nobody_has_imported():
    late = Late("xml.dom.pulldom", "PullDOM")
    assert "xml.dom.pulldom" not in sys.modules and not isinstance(3, late) and "xml.dom.pulldom" not in sys.modules
    assert late.__name__ == "PullDOM" and not isinstance(3, late) and isinstance(late(), late)


def test_a_name_is_changed_where_it_has_one_use():
    code = compile("a.b.c\nb = 1", "made", "exec")
    assert renamed(code, {"b": "d"}, "LOAD_ATTR") == code
    assert "d" in renamed(compile("a.b.c", "made", "exec"), {"b": "d"}, "LOAD_ATTR").co_names
