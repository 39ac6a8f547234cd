"""Names for paths that have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.importers.paths import derive_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/in/dataset", "/in/model"], ["dataset", "model"]),
        (["/in/train/images", "/in/test/images"], ["train_images", "test_images"]),
        (["/in/1", "/in/10"], ["in_1", "in_10"]),
        (["/1"], ["_1"]),
        (["/in/model.pth"], ["model_pth"]),
        (["/in/データ"], ["データ"]),
        (["/in/ﾃﾞｰﾀ１"], ["データ1"]),
        (["/in/Model", "/other/model"], ["in_Model", "other_model"]),
        (["/a-b", "/a.b"], ["a_b", "a_b_2"]),
        (["/---"], ["_"]),
    ],
)
def test_the_last_part_names_a_path_or_as_many_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert derive_names(paths, ()) == names


def test_given_names_come_first() -> None:
    assert derive_names(["/in/images"], ["Images"]) == ["in_images"]


@given(
    st.lists(st.text("ab1-/あ", min_size=1).map(lambda text: f"/{text.strip('/')}x"), max_size=6),
    st.sets(st.just("ax")),
)
def test_names_are_identifiers_and_differ_whatever_the_case(paths: list[str], taken: set[str]) -> None:
    names = derive_names(paths, sorted(taken))

    assert all(name.isidentifier() for name in names)
    assert len({name.upper() for name in [*names, *taken]}) == len(paths) + len(taken)
