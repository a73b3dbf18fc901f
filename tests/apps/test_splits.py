"""Tables of splits, the folder that names start from, groups, and dealing without a table."""

from collections import Counter
from pathlib import Path

import pytest

from apps import splits


def test_a_table_is_read_by_column_and_may_hold_more(tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text('split,note,file\nval,"a, b",Zoë.jpg\ntrain,,b.jpg\n', encoding="utf-8")
    rows = splits.read_table(table, ("file", "split"))
    assert [(row["file"], row["split"]) for row in rows] == [
        ("Zoë.jpg", "val"),
        ("b.jpg", "train"),
    ]


@pytest.mark.parametrize(
    ("text", "missing"),
    [("name,split\n", "file"), ("scene\nx\n", "file, split"), ("", "file, split")],
)
def test_a_table_that_lacks_columns_says_which(tmp_path: Path, text: str, missing: str) -> None:
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"split\.csv lacks the columns {missing}: add them\."):
        splits.read_table(tmp_path / "split.csv", ("file", "split"))


def test_names_start_from_the_set_or_from_a_folder_of_it(tmp_path: Path) -> None:
    for name in ("own.jpg", "a/other.jpg", "images/x/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert splits.base_of(tmp_path, ["own.jpg"]) == tmp_path
    assert splits.base_of(tmp_path, ["x/1.jpg"]) == tmp_path / "images"
    assert splits.base_of(tmp_path, ["lost.jpg", "x/1.jpg"]) == tmp_path / "images"
    with pytest.raises(ValueError, match=r"got '1\.jpg' in .*split\.csv, expected a file in or"):
        splits.base_of(tmp_path, ["1.jpg"])  # two folders below


def test_only_numbered_pictures_of_their_folder_are_of_a_person() -> None:
    def group(name: str) -> str:
        return splits.group_of(Path("set") / name, name)

    assert group("Ann_B/Ann_B_0012.jpg") == "Ann_B"
    for name in ("Ann_B/Cy_D_0001.jpg", "Ann_B/Ann_B_last.jpg", "rome/forum.jpg", "0001.jpg"):
        assert group(name) == name


def test_groups_are_dealt_for_good_and_in_the_shares_that_are_said() -> None:
    dealt = [splits.deal(f"group {i}") for i in range(4000)]
    shares = Counter(dealt)
    assert shares["train"] == pytest.approx(3600, abs=80)
    assert shares["val"] == pytest.approx(200, abs=60)
    assert shares["test"] == pytest.approx(200, abs=60)
    # what was once held out stays held out
    held_out = {i: split for i, split in enumerate(dealt[:40]) if split != "train"}
    assert held_out == {21: "val", 28: "val", 34: "test", 38: "test"}
