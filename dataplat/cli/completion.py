"""`dataplat completion`."""

from __future__ import annotations

import click


@click.command(
    "completion",
    epilog="\b\nExample:\n  dataplat completion bash >> ~/.bashrc\n  dataplat completion zsh >> ~/.zshrc\n"
    "  dataplat completion fish > ~/.config/fish/completions/dataplat.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, datasets, branches and tags.

    Names come from the lake in force where you type.
    """
    from click.shell_completion import get_completion_class

    from dataplat.cli._app import app
    from dataplat.cli._run import COMPLETE

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover  (click knows all three)
        raise click.UsageError(f"no completion for {shell}")
    script = kind(app, {}, "dataplat", COMPLETE)
    click.echo(script.source_template % script.source_vars())
    if shell == "bash":  # else flights@v1 would be three words
        click.echo("COMP_WORDBREAKS=${COMP_WORDBREAKS//@}")
