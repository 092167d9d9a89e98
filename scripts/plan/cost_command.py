"""``plan cost``: the day's bill for a rate and mix, against an API."""

from typing import Annotated, Any

import typer

from scripts.console import console
from scripts.plan import options as o
from scripts.plan import tables
from scripts.plan.catalog import find_gpu, load
from scripts.plan.cost import Cost, Prices, Service, break_even, cost, price, table_date
from scripts.plan.fit import Setup, fit
from scripts.plan.latency import Rate, Slo, Speed, sustainable
from scripts.plan.simulate_command import setting_for
from scripts.plan.sources import find_model

GUIDE = "10000,50000,100000,500000,1000000"


def command(
    model: o.ModelName,
    gpu: o.GpuName,
    tensor: o.Tensor = 1,
    quantization: o.Quantization = "",
    max_model_len: o.MaxModelLen = 8192,
    max_num_seqs: o.MaxNumSeqs = None,
    requests_per_day: Annotated[
        str, typer.Option("--requests-per-day", "-r", help="One or more, with commas.")
    ] = GUIDE,
    prompt: Annotated[int, typer.Option(min=1, help="Prompt tokens of a request.")] = 1000,
    output: Annotated[int, typer.Option(min=1, help="Answered tokens of a request.")] = 500,
    slo_ttft: Annotated[float, typer.Option(min=0.01, help="Promise: seconds to the first token.")] = 2.0,
    slo_tpot: Annotated[float, typer.Option(min=0.001, help="Promise: seconds between tokens.")] = 0.1,
    capacity: Annotated[
        float | None,
        typer.Option(min=0.0001, help="Measured requests a second of one replica, instead of the model's."),
    ] = None,
    share: Annotated[float, typer.Option(min=0.05, max=1, help="Of the capacity, that is planned with.")] = 0.8,
    peak: Annotated[float, typer.Option(min=1, help="Rate of the busiest hour over the mean.")] = 1.0,
    hours: Annotated[
        float, typer.Option(min=0.5, max=24, help="Hours a day that replicas run (night at zero: 12).")
    ] = 24,
    minimum: Annotated[int, typer.Option(min=1, help="Replicas at least.")] = 1,
    gpu_price: Annotated[
        float | None, typer.Option("--price", min=0, help="Dollars a GPU-hour, instead of the table's.")
    ] = None,
    cloud: Annotated[str, typer.Option(help="aws, gcp or azure in the table; else the lowest of them.")] = "",
    spot_discount: Annotated[float | None, typer.Option(min=0, max=1, help="Share that spot is cheaper.")] = None,
    storage_gib: Annotated[float, typer.Option(min=0, help="Of shared storage.")] = 0,
    storage_price: Annotated[float | None, typer.Option(min=0, help="Dollars a GiB and month.")] = None,
    transfer_gib_day: Annotated[float, typer.Option(min=0, help="Sent out of the cloud.")] = 0,
    transfer_price: Annotated[float, typer.Option(min=0, help="Dollars a GiB.")] = 0.09,
    engineer_share: Annotated[float, typer.Option(min=0, help="Of an engineer's time (guides: 0.25 to 0.5).")] = 0,
    engineer_year: Annotated[float, typer.Option(min=0, help="Dollars a year of an engineer.")] = 150_000,
    api_input: Annotated[float | None, typer.Option(min=0, help="API: dollars a million prompt tokens.")] = None,
    api_output: Annotated[float | None, typer.Option(min=0, help="API: dollars a million answered tokens.")] = None,
    json: o.Json = False,
) -> None:
    """What does serving cost a day and a million tokens, and from which volume on is it cheaper than an API?

    Example: [bold]vllm-charts plan cost --model meta-llama/Llama-3.1-8B-Instruct --gpu L4 --requests-per-day 100000[/]
    """
    card = find_gpu(gpu)
    answer = fit(
        find_model(model),
        Setup(
            gpu=card, tensor=tensor, quantization=quantization, max_model_len=max_model_len, max_num_seqs=max_num_seqs
        ),
    )
    setting = setting_for(answer, Slo(slo_ttft, slo_tpot), 0)
    of = setting.capacity
    carried = sustainable(
        Speed.of(answer), setting.slo, prompt=prompt, output=output, sequences=of.sequences, kv_tokens=of.kv_tokens
    )
    table = load("prices.yaml")
    prices = Prices(
        gpu_hour=price(card, cloud) if gpu_price is None else gpu_price,
        spot_discount=table["spotDiscount"] if spot_discount is None else spot_discount,
        storage_gib_month=table["storagePerGiBMonth"] if storage_price is None else storage_price,
        transfer_gib=transfer_price,
        engineer_year=engineer_year,
        api_input=table["api"]["input"] if api_input is None else api_input,
        api_output=table["api"]["output"] if api_output is None else api_output,
    )
    service = Service(
        gpus=answer.setup.gpus,
        capacity=carried.requests_per_second if capacity is None else capacity,
        prompt=prompt,
        output=output,
        share=share,
        peak=peak,
        hours=hours,
        minimum=minimum,
        storage_gib=storage_gib,
        transfer_gib_day=transfer_gib_day,
        engineer_share=engineer_share,
    )
    bills = [cost(service, prices, n) for n in _volumes(requests_per_day)]
    even = break_even(service, prices)
    if json:
        tables.print_json(_json(service, prices, bills, even))
        return
    price_source = "given" if gpu_price is not None else f"table of {table_date()}"
    _print(f"{answer.model.name} on {answer.setup.gpus} x {card.name}", service, prices, bills, even, price_source)
    _explain(carried, capacity, service)


def _volumes(text: str) -> list[float]:
    try:
        volumes = [float(v.replace("_", "").replace("k", "e3").replace("M", "e6")) for v in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 10000,50k,1M", param_hint="--requests-per-day"
        ) from error
    if min(volumes) < 0:
        raise typer.BadParameter("a volume is negative", param_hint="--requests-per-day")
    return volumes


def _json(service: Service, prices: Prices, bills: list[Cost], even: float | None) -> dict[str, Any]:
    return {
        "gpuHourDollars": prices.gpu_hour,
        "capacityRequestsPerSecond": round(service.capacity, 4),
        "breakEvenRequestsPerDay": None if even is None else round(even),
        "days": [
            {
                "requests": bill.requests,
                "replicas": bill.replicas,
                "gpus": bill.gpus,
                "gpuDollars": round(bill.gpu_day, 2),
                "spotDollars": round(bill.spot_day, 2),
                "otherDollars": round(bill.other_day, 2),
                "apiDollars": round(bill.api_day, 2),
                "dollarsPerMillionTokens": round(bill.million_tokens, 4),
            }
            for bill in bills
        ],
    }


def _print(
    what: str, service: Service, prices: Prices, bills: list[Cost], even: float | None, price_source: str
) -> None:
    title = (
        f"{what}, {service.prompt:g} + {service.output:g} tokens a request, ${prices.gpu_hour:.2f} a GPU-hour "
        f"({price_source}), {service.hours:g} h a day"
    )
    columns = ("requests a day", "replicas", "GPUs", "on demand", "spot", "other", "a million tokens", "API")
    body = [
        (
            f"{b.requests:,.0f}",
            str(b.replicas),
            str(b.gpus),
            f"${b.gpu_day:,.0f}",
            f"${b.spot_day:,.0f}",
            f"${b.other_day:,.2f}",
            f"${b.million_tokens:,.2f}",
            f"${b.api_day:,.2f}",
        )
        for b in bills
    ]
    tables.rows(
        title,
        columns,
        body,
        caption=f"API: ${prices.api_input:g} and ${prices.api_output:g} a million tokens in and out",
    )
    if even is None:
        console.print("[bold]break-even: never[/]: every replica costs more than the API asks for what it can answer")
    else:
        console.print(
            f"[bold]break-even: {even:,.0f} requests a day[/]; above it the own GPUs are cheaper than the API"
        )


def _explain(carried: Rate, given: float | None, service: Service) -> None:
    if given is not None:
        console.print(
            f"one replica carries {given:g} requests a second, as given; computed are {carried.requests_per_second:.2f}"
        )
        return
    console.print(
        f"one replica carries {carried.requests_per_second:.2f} requests a second ({carried.sequences} at once, "
        f"{carried.ttft:.2f} s to the first token, {1000 * carried.tpot:.0f} ms a token); "
        f"{service.share:.0%} of it is planned with"
    )
