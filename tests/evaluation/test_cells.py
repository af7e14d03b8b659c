from huddle3d.evaluation.columns import Column, format_cell
from huddle3d.people import table


def test_cells_show_no_negative_zero_and_a_dash_for_nothing():
    column = Column("CD [cm]", 2, "↓")
    assert format_cell({"a": -0.001, "b": -0.006, "c": None}, "a", column) == "0.00"
    assert format_cell({"a": -0.001, "b": -0.006, "c": None}, "b", column) == "-0.01"
    assert format_cell({"a": -0.001, "b": -0.006, "c": None}, "c", column) == "–"


def test_numbers_are_set_right_whatever_their_type():
    text = table(("scene", "CD", "interval", "n"), [("hug_1000", "7.0 [6.1, 8.2]", "[-1, 2]", 3), ("2 people <b>", "–", "+0.1", 1.25)])
    assert text.count('<td class="n">') == 7  # "2 people" begins with a number and passes for one
    assert "<td>hug_1000</td>" in text and "&lt;b&gt;" in text
