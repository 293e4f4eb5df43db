"""The command behind `make plan`."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import click

from plan import costs, layout, text
from plan.assumptions import Assumptions

_SIZES: Final = {"k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}

Command = Callable[..., None]


class _Rate(click.ParamType[float]):
    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        written = str(value).strip()
        size = _SIZES.get(written[-1:], 1.0)
        try:
            number = float(written[:-1] if written[-1:] in _SIZES else written) * size
        except ValueError:
            self.fail(f"{written!r} is no number of reports a day, such as 200M, 1_000_000 or 1e9", param, ctx)
        if not 1 <= number <= 1e12:
            self.fail(f"{written} reports a day: from 1 to 1e12", param, ctx)
        return number


def _assumptions(command: Command) -> Command:
    for one in reversed(fields(Assumptions)):
        whole = isinstance(one.default, int)
        least, most = one.metadata["least"], one.metadata["most"]
        command = click.option(
            f"--{one.name.replace('_', '-')}",
            one.name,
            default=one.default,
            show_default=True,
            type=click.IntRange(least, most) if whole else click.FloatRange(least, most),
            help=one.metadata["what"],
        )(command)
    return command


def _costs(_context: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise click.BadParameter(f"{one!r} is not NAME=NUMBER", param=param) from None
        if not 0 <= found[name] < math.inf:
            raise click.BadParameter(f"{one!r} is no cost: 0 or more", param=param)
        if name not in costs.NAMES:
            raise click.BadParameter(f"{one!r}: the costs are {', '.join(costs.NAMES)}", param=param)
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("rate", type=_Rate())
@click.option("--cost", "given", multiple=True, callback=_costs, help="Another cost: NAME=NUMBER.")
@_assumptions
def main(rate: float, given: dict[str, float], **assumed: Any) -> None:
    """Compute which machines RATE reports a day need, from measured costs and assumptions that are printed."""
    table = costs.load().changed(given)
    try:
        found = layout.plan(table.costs, Assumptions(**assumed), rate)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(text.told(found, table))


if __name__ == "__main__":
    main()
