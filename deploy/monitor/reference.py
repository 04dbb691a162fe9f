"""The tables of docs/observability.md, made from the catalogue, so that the page cannot say anything else."""

from keeprate.deploy.monitor.catalogue import METRICS


def metrics_table() -> str:
    """Every metric of the catalogue as a table in Markdown."""
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels)} | {each.meaning} | {each.remedy} |"
        for each in METRICS
    ]
    return "\n".join(["| metric | type | labels | meaning | when it looks wrong |", "|---|---|---|---|---|", *rows])
