"""Torch without its compiler: the same numbers, no compiler until something is compiled, and then its own ways."""

_TRAIN = """
import hashlib
import torch

def train():
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
    kinds = {"AdamW": {"fused": True}, "Adam": {"foreach": True}, "SGD": {"momentum": 0.9}, "NAdam": {}, "Adafactor": {}}
    for kind, more in kinds.items():
        optimiser = getattr(torch.optim, kind)(model.parameters(), lr=0.01, **more)
        for turn in range(3):
            optimiser.zero_grad(set_to_none=turn > 1)
            assert optimiser.step(lambda: model(torch.randn(4, 8)).square().sum().backward() or 7) == 7
            assert torch.is_grad_enabled()
        optimiser.load_state_dict(optimiser.state_dict())
        optimiser.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    rate = torch.tensor(1.0, requires_grad=True)
    weight = torch.ones(2, requires_grad=True).clone()
    weight.grad = rate * torch.ones(2)
    torch.optim.SGD([weight], lr=1.0, differentiable=True).step()
    (slope,) = torch.autograd.grad(weight.sum(), rate)
    everything = b"".join(value.detach().numpy().tobytes() for value in (*model.parameters(), slope))
    print(hashlib.sha256(everything).hexdigest(), slope.item(), "torch._dynamo" in sys.modules)

train()
import torch._dynamo
train()
"""


def test_optimizers_do_the_same_without_a_compiler(run):
    """All of five kinds, a step with gradients of its own among them, to the last bit; and so they do with one."""
    (plain, slope, there, *with_it), quick = run(_TRAIN, quick=False), run(_TRAIN)
    assert (slope, there, with_it) == ("-2.0", "True", [plain, slope, "True"])
    assert quick == [plain, slope, "False", plain, slope, "True"]


def test_what_was_said_before_there_was_a_compiler_is_said_to_it(run):
    code = """
        import torch
        from torch.utils.checkpoint import checkpoint
        ran = []
        @torch.compiler.disable
        def alone(x):
            ran.append(torch.compiler.is_compiling())
            return x + 1
        @torch.compiler.disable(recursive=False, reason="a test")
        def alone_too(x):
            ran.append(torch.compiler.is_compiling())
            return x + 1
        @torch.compiler.allow_in_graph
        def taken(x):
            return torch.ops.aten.mul(x, 2)
        @torch.compiler.assume_constant_result
        def three():
            return 3
        one = torch.ones(2)
        assert alone(one).tolist() == alone_too(one).tolist() == taken(one).tolist() == [2, 2] and ran == [False, False]
        torch.use_deterministic_algorithms(False)
        torch.use_deterministic_algorithms(True, warn_only=True)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True)
        assert torch.get_deterministic_debug_mode() == 2
        assert not {"torch._dynamo", "torch._inductor.config"} & set(sys.modules)
        seen = []
        def look(graph, inputs):
            seen.append([str(node.target) for node in graph.graph.nodes if node.op == "call_function"])
            return graph.forward
        compiled = torch.compile(lambda x: alone_too(alone(taken(x) * three())), backend=look)
        assert compiled(one).tolist() == [8, 8] and ran == [False] * 4
        (first,) = seen
        assert len(first) == 2 and "taken" in first[0]
        layer = torch.nn.Linear(2, 2)
        def recomputed(x):
            return checkpoint(layer, x, use_reentrant=False).sum()
        torch.compile(recomputed, backend="aot_eager", fullgraph=True)(torch.ones(1, 2)).backward()
        assert layer.weight.grad.tolist() == [[1, 1], [1, 1]]
        torch.compiler.disable(layer), torch.compiler.allow_in_graph([taken])
        settings = sys.modules["torch._inductor.config"]
        assert settings.deterministic
        torch.use_deterministic_algorithms(False)
        assert not settings.deterministic and not torch.are_deterministic_algorithms_enabled()
    """
    run(code)


def test_a_model_that_has_the_marks_of_transformers_is_made_without_a_compiler(run):
    """Its kernels for experts are marked for the compiler where they are defined."""
    code = """
        import torch
        from transformers import XLMRobertaConfig, XLMRobertaModel
        from transformers.integrations import deepgemm, finegrained_fp8, sonicmoe
        config = XLMRobertaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
        model = XLMRobertaModel(config).eval()
        assert "torch._dynamo" not in sys.modules
        marked = [one for module in (deepgemm, sonicmoe) for one in vars(module).values()
                  if getattr(one, "_dynamo_marked_constant", False)]
        assert len(marked) >= 3
        words = torch.tensor([[5, 6, 7]])
        with torch.no_grad():
            plain = model(words).last_hidden_state
            compiled = torch.compile(model, backend="eager")(words).last_hidden_state
        assert torch.equal(plain, compiled)
        from torch._dynamo import trace_rules
        assert id(type(model).can_record_outputs.fget) in trace_rules._allowed_callable_ids()
    """
    run(code)
