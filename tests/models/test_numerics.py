"""float32 products stay float32, whichever library computes them."""

from types import SimpleNamespace

import pytest
import torch

from workbench.models import numerics
from workbench.models.numerics import fast_float32, small_products, tf32

CPU = torch.device("cpu")


@pytest.fixture
def setting(monkeypatch):
    """The switch, as torch has it unless told otherwise."""
    switch = SimpleNamespace(fp32_precision="none")
    monkeypatch.setattr(numerics, "_matmul_backend", lambda: switch)
    numerics._keeps_float32.cache_clear()
    yield switch
    numerics._keeps_float32.cache_clear()


def relative_error(product, x, y):
    product, x, y = (tensor.detach().double() for tensor in (product, x, y))
    exact = x @ y
    return float((product - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("shape", [(1, 7, 3), (740, 384, 1536), (33, 1536, 384)])
def test_products_and_their_gradients_keep_the_digits_of_float32(shape):
    rows, inner, columns = shape
    x = torch.randn(rows, inner, requires_grad=True)
    y = torch.randn(inner, columns, requires_grad=True)
    with fast_float32(CPU):
        product = x @ y
        gradient = torch.randn_like(product)
        product.backward(gradient)
    assert relative_error(product, x, y) < 1e-5
    assert relative_error(x.grad, gradient, y.detach().T) < 1e-5
    assert relative_error(y.grad, x.detach().T, gradient) < 1e-5


def test_the_switch_is_put_back_also_after_an_error_and_when_nested(setting):
    with pytest.raises(KeyError), fast_float32(CPU):
        inside = setting.fp32_precision
        with fast_float32(CPU):
            assert setting.fp32_precision == inside
        assert setting.fp32_precision == inside
        raise KeyError
    assert setting.fp32_precision == "none"


@pytest.mark.parametrize(("keeps", "wanted"), [(True, "bf16"), (False, "none")])
def test_the_switch_is_only_thrown_where_it_loses_no_digits(setting, monkeypatch, keeps, wanted):
    monkeypatch.setattr(numerics, "_relative_error", lambda *tensors: 1e-7 if keeps else 1e-3)
    with fast_float32(CPU):
        assert setting.fp32_precision == wanted


def test_small_products_go_to_mkl_for_a_while(setting, monkeypatch):
    monkeypatch.setattr(numerics, "_relative_error", lambda *tensors: 1e-7)
    with fast_float32(CPU):
        with small_products():
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == "bf16"
    assert setting.fp32_precision == "none"


def test_other_devices_are_left_alone(setting):
    with fast_float32(torch.device("cuda")):
        assert setting.fp32_precision == "none"


def test_torchs_own_switch_is_as_it_was_afterwards():
    before = torch.backends.mkldnn.matmul.fp32_precision
    with fast_float32(CPU):
        pass
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_a_torch_without_the_switch_is_left_alone(monkeypatch):
    monkeypatch.setattr(numerics, "_matmul_backend", lambda: None)
    with fast_float32(CPU):
        assert torch.ones(2, 2).matmul(torch.ones(2, 2)).sum() == 8


@pytest.fixture
def rounding():
    """torch's switches for products on a GPU, put back afterwards."""
    generic, switch = torch.backends.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    yield torch.backends.cuda.matmul
    torch.backends.fp32_precision, torch.backends.cuda.matmul.fp32_precision = generic, switch


@pytest.mark.parametrize("before", ["none", "ieee", "tf32"])
def test_products_are_rounded_for_a_while_only(rounding, before):
    rounding.fp32_precision = before
    with pytest.raises(ValueError, match="inside"), tf32(True):
        assert rounding.fp32_precision == "tf32"
        raise ValueError("inside")
    assert rounding.fp32_precision == before
    with tf32(False):
        assert rounding.fp32_precision == "ieee"
    assert rounding.fp32_precision == before


def test_somebody_who_used_the_newer_switch_is_no_hindrance(rounding):
    torch.backends.fp32_precision = "tf32"
    with tf32(False):
        assert rounding.fp32_precision == "ieee"
    assert rounding.fp32_precision == "tf32"
    torch.backends.fp32_precision = "ieee"
    assert rounding.fp32_precision == "ieee", "it still follows the general setting"


@pytest.mark.parametrize("before", [False, True])
def test_an_older_torch_has_one_switch(monkeypatch, before):
    switch = SimpleNamespace(allow_tf32=before)
    monkeypatch.setattr(torch.backends.cuda, "matmul", switch)
    for allowed in (False, True):
        with tf32(allowed):
            assert switch.allow_tf32 is allowed
        assert switch.allow_tf32 is before
