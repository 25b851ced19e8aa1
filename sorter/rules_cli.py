"""`sorter rules`: from a spreadsheet to the belt and back, for those who keep the rule tables."""

import click

from sorter import publish_cli, tables_cli, trial_cli


@click.group()
def rules() -> None:
    """Keep the tables that say where parcels go.

    \b
    sorter rules export table.xlsx     take the tables out, edit them in Excel or WPS
    sorter rules import table.xlsx     bring them back as the draft
    sorter rules check                 what is wrong, and what deserves a look
    sorter rules diff                  which parcels of a day would go elsewhere
    sorter rules publish               sort by the draft from now on
    sorter rules rollback              sort by the plan before again
    """


for command in (
    tables_cli.template,
    tables_cli.export,
    tables_cli.bring,
    trial_cli.check,
    trial_cli.explain,
    trial_cli.diff,
    trial_cli.two_pass,
    publish_cli.publish,
    publish_cli.approve,
    publish_cli.cancel,
    publish_cli.rollback,
    publish_cli.show_history,
):
    rules.add_command(command)
