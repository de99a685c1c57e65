"""The comparison of machines: a table and a picture of a small program's plan."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from experiments import hardware, hardware_picture, hardware_table
from fhejax.program.costs import MACHINES


@pytest.fixture(scope="module")
def results():
    weights = np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4)
    described = fhejax.Encrypted((1, 16))
    options = {"packing": "multiplexed", "insecure_log_degree": 6, "precision_bits": 6}
    program = fhejax.compile(lambda x: jnp.square(x @ weights), described, **options)
    planned = hardware.Planned("A tiny layer on nothing", "one row", program.plan)
    return hardware.compared({"resnet": planned, "training": planned})


def test_every_machine_has_a_row(results):
    assert [row["name"] for row in results["machines"]] == list(MACHINES)
    for row in results["machines"]:
        found = row["programs"]["resnet"]
        assert found["upper"] is None or found["lower"] <= found["upper"]
        complete = MACHINES[row["name"]].is_complete
        assert (found["upper"] is not None) == complete
        assert found == row["programs"]["training"]


def test_the_table_has_all_that_are_known(results):
    text = hardware_table.render(results)
    assert max(map(len, text.splitlines())) <= 130
    for name in ("ARK", "SHARP", "H200", "2 cores"):
        assert f"\n  {name} " in text
    assert "not known well enough for any time: Trinity, UFC" in text


def test_the_quickest_come_first(results):
    for rows in hardware_table.groups(results["machines"], "resnet").values():
        known = [row["programs"]["resnet"]["upper"] for row in rows]
        complete = [upper for upper in known if upper is not None]
        assert known == sorted(complete) + [None] * (len(known) - len(complete))


def test_the_picture_has_a_panel_for_each_program(results):
    figure = hardware_picture.draw(results)
    assert len(figure.axes) == 2
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["A tiny layer on nothing,\none row"] * 2


def test_nothing_to_compare_is_refused():
    with pytest.raises(SystemExit, match="names none"):
        hardware.main(dataclasses.replace(hardware.Arguments(), programs=()))
