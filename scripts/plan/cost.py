"""What serving costs: GPUs for a rate, by the day and by the million tokens, against an API's price."""

import math
from dataclasses import dataclass
from typing import Any

from scripts.console import UserError
from scripts.plan.catalog import Gpu, load

DAY = 86400.0
DAYS_A_MONTH = 30.4
DAYS_A_YEAR = 365.0


@dataclass(frozen=True)
class Prices:
    """Dollars. The hour is of one GPU."""

    gpu_hour: float
    spot_discount: float = 0.65
    storage_gib_month: float = 0.30
    transfer_gib: float = 0.0
    engineer_year: float = 150_000.0
    api_input: float = 0.15
    """A million prompt tokens."""
    api_output: float = 0.60
    """A million answered tokens."""


@dataclass(frozen=True)
class Service:
    """What is served, and how.

    capacity is the requests a second that one replica carries inside its promises; share how much of it is planned
    with; peak the busiest hour's rate over the day's mean; hours how long a day replicas run.
    """

    gpus: int
    capacity: float
    prompt: float
    output: float
    share: float = 0.8
    peak: float = 1.0
    hours: float = 24.0
    minimum: int = 1
    storage_gib: float = 0.0
    transfer_gib_day: float = 0.0
    engineer_share: float = 0.0


@dataclass(frozen=True)
class Cost:
    """Dollars a day for so many requests a day."""

    requests: float
    replicas: int
    gpus: int
    gpu_day: float
    """On demand."""
    spot_day: float
    other_day: float
    """Storage, transfer, people."""
    api_day: float
    tokens_day: float

    @property
    def total_day(self) -> float:
        return self.gpu_day + self.other_day

    @property
    def million_tokens(self) -> float:
        """Dollars for a million tokens, prompt and answer together."""
        return self.total_day / self.tokens_day * 1e6 if self.tokens_day else math.inf


def known_price(gpu: Gpu) -> float | None:
    """Dollars an hour at the cheapest cloud of the table; None where it has none."""
    known: dict[str, float] = load("prices.yaml")["onDemand"].get(gpu.name, {})
    return min(known.values(), default=None)


def price(gpu: Gpu, cloud: str) -> float:
    """Dollars an hour from the dated table: of one cloud, or the lowest of all. Raises UserError naming the flag."""
    known: dict[str, Any] = load("prices.yaml")["onDemand"].get(gpu.name, {})
    if not known:
        raise UserError(
            f"--price: the table has no price for {gpu.name}",
            why=f"it is of {table_date()}",
            fix="--price DOLLARS_AN_HOUR",
        )
    if cloud and cloud not in known:
        raise UserError(
            f"--cloud: the table has no price of {gpu.name} on {cloud}", fix=f"--cloud {' or '.join(known)}, or --price"
        )
    return float(known[cloud] if cloud else min(known.values()))


def table_date() -> str:
    return str(load("prices.yaml")["date"])


def replicas(service: Service, requests_a_day: float) -> int:
    """Replicas for the busiest hour: the rate over the planned share of what one carries."""
    rate = requests_a_day / (service.hours * 3600) * service.peak
    return max(service.minimum, math.ceil(rate / (service.capacity * service.share) - 1e-9))


def cost(service: Service, prices: Prices, requests_a_day: float) -> Cost:
    """The day's bill. Raises UserError where one replica cannot keep the promise at all."""
    if service.capacity <= 0:
        raise UserError(
            "one replica does not keep the promise even for a single request",
            why="there is no number of replicas that would",
            fix="loosen --slo-ttft or --slo-tpot, or take a faster --gpu or more of them with --tensor",
        )
    count = replicas(service, requests_a_day)
    hours = count * service.gpus * service.hours
    other = service.storage_gib * prices.storage_gib_month / DAYS_A_MONTH
    other += (
        service.transfer_gib_day * prices.transfer_gib + service.engineer_share * prices.engineer_year / DAYS_A_YEAR
    )
    return Cost(
        requests=requests_a_day,
        replicas=count,
        gpus=count * service.gpus,
        gpu_day=hours * prices.gpu_hour,
        spot_day=hours * prices.gpu_hour * (1 - prices.spot_discount),
        other_day=other,
        api_day=requests_a_day * api_request(service, prices),
        tokens_day=requests_a_day * (service.prompt + service.output),
    )


def api_request(service: Service, prices: Prices) -> float:
    """Dollars of one request at the API."""
    return (service.prompt * prices.api_input + service.output * prices.api_output) / 1e6


def break_even(service: Service, prices: Prices, most_replicas: int = 1000) -> float | None:
    """Requests a day from which on the own GPUs cost no more than the API; None where that never comes.

    The bill grows in steps, so each number of replicas is asked for the volume at which the API costs as much, and
    whether it still carries that volume.
    """
    each = api_request(service, prices)
    one = service.capacity * service.share * service.hours * 3600 / service.peak
    for count in range(service.minimum, most_replicas + 1):
        bill = count * service.gpus * service.hours * prices.gpu_hour + cost(service, prices, 0).other_day
        volume = bill / each
        if volume <= count * one:
            return max(volume, (count - 1) * one if count > service.minimum else 0)
    return None
