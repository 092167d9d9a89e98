"""The day's bill, and the guides' table that it is held against."""

import pytest

from scripts.console import UserError
from scripts.plan.catalog import find_gpu
from scripts.plan.cost import Prices, Service, api_request, break_even, cost, price, replicas

GUIDE = (10_000, 50_000, 100_000, 500_000, 1_000_000)
"""Requests a day in the guides' table, of 1,000 + 500 tokens each (April 2026)."""
L4 = Service(gpus=1, capacity=1.2057, prompt=1000, output=500)
"""What a card must carry for the guide's 12 L4 at a million requests a day and 80 % use: 83,340 a day."""
PAIR = Service(gpus=2, capacity=1.4468, prompt=1000, output=500)
"""The same for its 10 pairs of A100: exactly 100,000 a day."""


def test_the_guides_gpus_and_dollars_on_l4_but_for_one_row() -> None:
    bills = [cost(L4, Prices(gpu_hour=0.70), n) for n in GUIDE]
    assert [b.gpus for b in bills] == [1, 1, 2, 6, 12]  # the guide writes 7 for 500,000: at its own rate 6 are enough
    assert [round(b.gpu_day) for b in bills] == [17, 17, 34, 101, 202]  # and 204 for 12 x 0.70 x 24 = 201.60


def test_the_guides_gpus_and_dollars_on_pairs_of_a100_but_for_one_row() -> None:
    bills = [cost(PAIR, Prices(gpu_hour=3.25), n) for n in GUIDE]
    assert [b.gpus for b in bills] == [2, 2, 2, 10, 20]  # the guide writes 4 for 100,000: two replicas for safety
    assert [round(b.gpu_day) for b in bills] == [156, 156, 156, 780, 1560]


def test_two_replicas_at_least_give_the_guides_row_of_100000() -> None:
    service = Service(gpus=2, capacity=1.4468, prompt=1000, output=500, minimum=2)
    assert cost(service, Prices(gpu_hour=3.25), 100_000).gpus == 4


def test_the_api_asks_four_and_a_half_dollars_for_ten_thousand_requests() -> None:
    assert cost(L4, Prices(gpu_hour=0.70), 10_000).api_day == pytest.approx(4.50)
    assert cost(L4, Prices(gpu_hour=0.70), 1_000_000).api_day == pytest.approx(450)


def test_l4_breaks_even_near_thirty_eight_thousand_requests_and_the_pair_never() -> None:
    assert break_even(L4, Prices(gpu_hour=0.70)) == pytest.approx(37_333, rel=0.01)
    assert break_even(PAIR, Prices(gpu_hour=3.25)) is None


def test_a_replica_that_would_have_to_carry_more_than_it_can_never_breaks_even() -> None:
    """37,333 requests pay for one L4, but this one carries 25,000, and two cost twice as much."""
    slow = Service(gpus=1, capacity=25_000 / 0.8 / 86_400, prompt=1000, output=500)
    assert break_even(slow, Prices(gpu_hour=0.70)) is None


def test_at_the_break_even_both_cost_the_same() -> None:
    prices = Prices(gpu_hour=0.70)
    volume = break_even(L4, prices)
    assert volume is not None
    bill = cost(L4, prices, volume)
    assert bill.total_day == pytest.approx(bill.api_day)


def test_a_night_at_zero_halves_the_hours_but_the_day_must_carry_all() -> None:
    whole = cost(L4, Prices(gpu_hour=0.70), 10_000)
    half = cost(Service(gpus=1, capacity=1.2057, prompt=1000, output=500, hours=12), Prices(gpu_hour=0.70), 10_000)
    assert half.gpu_day == whole.gpu_day / 2
    busy = Service(gpus=1, capacity=1.2057, prompt=1000, output=500, hours=12)
    assert replicas(busy, 1_000_000) == 2 * replicas(L4, 1_000_000)


def test_the_busiest_hour_sizes_the_replicas() -> None:
    assert replicas(Service(gpus=1, capacity=1, prompt=1, output=1, peak=3), 69_120) == 3


def test_storage_transfer_and_people_are_in_the_bill() -> None:
    service = Service(gpus=1, capacity=1, prompt=1, output=1, storage_gib=50, transfer_gib_day=10, engineer_share=0.25)
    bill = cost(service, Prices(gpu_hour=0, transfer_gib=0.09), 1)
    assert bill.other_day == pytest.approx(50 * 0.30 / 30.4 + 0.9 + 0.25 * 150_000 / 365)
    assert bill.total_day == bill.other_day


def test_spot_is_cheaper_by_the_discount() -> None:
    bill = cost(L4, Prices(gpu_hour=1, spot_discount=0.7), 1)
    assert bill.spot_day == pytest.approx(0.3 * bill.gpu_day)


def test_dollars_of_a_million_tokens_fall_with_use() -> None:
    few, many = (cost(L4, Prices(gpu_hour=0.70), n).million_tokens for n in (10_000, 80_000))
    assert few == pytest.approx(16.8 / 15_000_000 * 1e6)
    assert many == few / 8


def test_a_promise_that_one_request_breaks_has_no_price() -> None:
    with pytest.raises(UserError, match="even for a single request"):
        cost(Service(gpus=1, capacity=0, prompt=1, output=1), Prices(gpu_hour=1), 1)


def test_prices_come_from_a_dated_table_or_are_asked_for() -> None:
    assert price(find_gpu("L4"), "gcp") == 0.70
    assert price(find_gpu("L4"), "") == min(price(find_gpu("L4"), cloud) for cloud in ("aws", "gcp", "azure"))
    with pytest.raises(UserError, match="--price"):
        price(find_gpu("RTX-4090"), "")
    with pytest.raises(UserError, match="--cloud"):
        price(find_gpu("A10G"), "gcp")


def test_a_request_costs_its_prompt_and_its_answer() -> None:
    assert api_request(L4, Prices(gpu_hour=0, api_input=1, api_output=2)) == pytest.approx(0.002)
