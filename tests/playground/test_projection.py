import sys
import types

import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.playground import available_methods, turn_onto
from workbench.playground.projection import pca, project


@pytest.fixture
def cloud():
    generator = np.random.default_rng(5)
    return generator.normal(size=(60, 20)) @ np.diag([9, 4, *[0.3] * 18])


def test_pca_finds_the_directions_of_largest_variance(cloud):
    points, shares = pca(cloud)
    centred = cloud - cloud.mean(axis=0)
    values = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
    np.testing.assert_allclose((points**2).sum(axis=0), values[:2], rtol=1e-4)
    np.testing.assert_allclose(shares, values[:2] / values.sum(), rtol=1e-6)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)
    assert abs(float(points[:, 0] @ points[:, 1])) < 1e-2


def test_the_same_texts_are_drawn_the_same_way_round(cloud):
    points, _ = pca(cloud)
    mixed = np.random.default_rng(0).permutation(len(cloud))
    np.testing.assert_allclose(pca(cloud[mixed])[0], points[mixed], atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_texts_have_a_place_too(rows):
    points, shares = project(np.eye(3)[:rows] if rows else np.zeros((0, 3)))
    assert points.shape == (rows, 2) and np.isfinite(points).all() and len(shares) == 2


def test_equal_vectors_lie_on_one_point():
    points, shares = project(np.ones((4, 3)))
    assert np.abs(points).max() < 1e-6 and shares == [0.0, 0.0]


def test_a_map_is_turned_without_changing_distances(cloud):
    points, _ = pca(cloud)
    angle = 1.1
    turned = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, -1])
    np.testing.assert_allclose(turn_onto(turned.astype(np.float32), points), points, atol=1e-3)
    other = pca(cloud[:, ::2])[0]
    moved = turn_onto(other, points)
    np.testing.assert_allclose(np.linalg.norm(moved[0] - moved[1]), np.linalg.norm(other[0] - other[1]), rtol=1e-4)


def test_umap_is_offered_where_it_is_installed(cloud, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr("workbench.playground.projection.find_spec", lambda name: None)
    assert available_methods() == ["pca"]
    with pytest.raises(ConfigError, match="not installed"):
        project(cloud, "umap")
    with pytest.raises(ConfigError, match="none of pca, umap"):
        project(cloud, "tsne")

    class UMAP:
        def __init__(self, **options):
            assert options["metric"] == "cosine" and options["random_state"] == 0

        def fit_transform(self, vectors):
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
            return vectors[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    monkeypatch.setattr("workbench.playground.projection.find_spec", lambda name: object())
    assert available_methods() == ["pca", "umap"]
    points, shares = project(cloud, "umap")
    assert points.shape == (60, 2) and shares == []
