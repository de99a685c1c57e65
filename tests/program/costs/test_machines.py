"""The table of machines: names, figures with how sure they are, and what is told of unknown ones."""

import pytest

from fhejax.program.costs import MACHINES, Machine, chosen_machine


def test_every_figure_says_how_sure_it_is():
    assert len(MACHINES) == 38
    for machine in MACHINES.values():
        assert set(machine.tags) == set(machine.figures)
        assert set(machine.tags.values()) <= {"P", "3", "M", "I"}
        assert machine.sources


@pytest.mark.parametrize(
    ("name", "found"),
    [("ark", "ARK"), ("h200", "H200"), ("2 cores", "2 cores"), ("CPU", "2 cores"), ("rtx5090", "RTX 5090")],
)
def test_names_may_be_written_in_other_ways(name, found):
    assert chosen_machine(name) is MACHINES[found]
    assert chosen_machine(MACHINES[found]) is MACHINES[found]


def test_unknown_names_are_told_all_known_ones():
    with pytest.raises(ValueError, match="called 'arc', and none is known") as told:
        chosen_machine("arc")
    assert all(name in str(told.value) for name in MACHINES)
    with pytest.raises(TypeError, match="of type int"):
        chosen_machine(7)


def test_rates_are_those_of_the_figures():
    ark, sharp, h200 = MACHINES["ARK"], MACHINES["SHARP"], MACHINES["H200"]
    assert ark.unit_rates == {
        "transforms": 1024e9,
        "conversions": 6144e9,
        "products": 2048e9,
        "automorphisms": 1024e9,
    }
    assert (ark.word_bytes, sharp.word_bytes, h200.word_bytes) == (8, 4.5, 4)
    assert (ark.bandwidth, h200.bandwidth) == pytest.approx((1e12, 4.1e12))
    assert h200.multiplications == 4.1e12
    assert MACHINES["2 cores"].matrix_products == 50e9
    assert h200.matrix_products == 1979e12 / 32
    assert MACHINES["A100"].bandwidth == pytest.approx(2.039e12 * 4.1 / 4.8)
    assert h200.launch_seconds == 1.2e-6 > ark.launch_seconds == 0


def test_published_networks_take_30_to_55_bootstraps():
    """ResNet-20 with ReLU over a bootstrap of the same machine, but for one that is known to be off."""
    both = {
        name: machine.figures["resnet20_ms"] / machine.figures["boot_ms"]
        for name, machine in MACHINES.items()
        if {"resnet20_ms", "boot_ms"} <= set(machine.figures) and machine.kind != "fpga"
    }
    assert len(both) == 17
    assert {name for name, ratio in both.items() if not 30 < ratio < 55} == {"BTS"}


def test_an_upper_end_takes_all_rates():
    complete = {name for name, machine in MACHINES.items() if machine.is_complete}
    assert {"F1", "BTS", "CraterLake", "ARK", "SHARP", "FAST", "H200", "A100", "2 cores"} <= complete
    assert not {"Falcon", "UFC", "HE2-LM", "Heracles", "TPU v6e"} & complete
    assert isinstance(MACHINES["F1"], Machine)
    assert MACHINES["F1"].converts_by_products
