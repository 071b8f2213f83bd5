import pytest

from surehook.shared.limits import Limits, handler_of, interval_ms, is_own_queue, own_queue, served_with


@pytest.mark.parametrize(
    ("rate", "milliseconds"), [("100/m", 600), ("1/s", 1000), ("300/s", 1000 / 300), ("10/h", 360_000), ("1/d", 86.4e6)]
)
def test_a_rate_is_the_time_between_two_starts(rate: str, milliseconds: float) -> None:
    assert interval_ms(rate) == milliseconds


@pytest.mark.parametrize("rate", ["", "100", "0/m", "100/min", "1.5/s", "-1/s", "100 / m", "1000000/s", "10/w"])
def test_what_is_no_rate_is_refused_with_an_example(rate: str) -> None:
    with pytest.raises(ValueError, match="100/m"):
        interval_ms(rate)


@pytest.mark.parametrize(
    ("limits", "packed"),
    [
        (Limits(3, "100/m"), "3,100/m,600,1"),
        (Limits(rate="300/s", has_breaker=False), ",300/s,3.33333,0"),
        (Limits(), ",,,1"),
    ],
)
def test_limits_reach_the_scripts_as_text(limits: Limits, packed: str) -> None:
    assert limits.packed() == packed


def test_an_own_queue_names_the_queue_that_it_is_served_with() -> None:
    name = own_queue("slow", "send_mail")

    assert name == "slow.send_mail"
    assert (served_with(name), handler_of(name)) == ("slow", "send_mail")
    assert is_own_queue(name)
    assert not is_own_queue("slow")
    assert served_with("slow") == "slow"
