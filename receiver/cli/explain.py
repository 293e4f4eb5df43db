"""`receiver explain`: the catalogue at the command line."""

import json

import click

from receiver import catalogue
from receiver.cli.completing import platforms

_FIELDS = ("provider", "code", "status", "reason", "final", "meaning", "advice")


@click.command()
@click.argument("code")
@click.option(
    "--provider",
    shell_complete=platforms,
    help="Only this platform; the same code means different things at different ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(code: str, provider: str | None, *, as_json: bool) -> None:
    """Say what a platform's status CODE means and what to do about it."""
    rows = catalogue.find(code.strip(), provider)
    if as_json:
        click.echo(json.dumps([{name: getattr(row, name) for name in _FIELDS} for row in rows], indent=2))
    for row in () if as_json else rows:
        click.echo(click.style(f"{row.provider} {row.code}", bold=True))
        click.echo(f"  status   {row.status}{'' if row.final else ' (not final)'}")
        click.echo(f"  reason   {row.reason or '-'}")
        click.echo(f"  meaning  {row.meaning}")
        click.echo(f"  advice   {row.advice}")
    if not rows and provider is not None and provider not in (known := catalogue.providers()):
        raise click.ClickException(f"no platform is called {provider}: there are {', '.join(known)}")
    if not rows:
        raise click.ClickException(f"no platform's table has {code}: a report with it is stored as `unknown`")
