"""A query of `grafana-clickhouse-datasource`, version 4, as its editor keeps it."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE: Final = DataSourceRef(type_val="grafana-clickhouse-datasource", uid="keeprate-clickhouse")


class Query(Dataquery):
    """SQL, whose answer is shown as a table or, with a column `time`, over time."""

    def __init__(self, sql: str, over_time: bool, ref_id: str) -> None:
        self.sql, self.over_time, self.ref_id = sql, over_time, ref_id

    def to_json(self) -> dict[str, object]:
        """As Grafana keeps it. `format` and `queryType` say the same to different versions of the plugin."""
        return {
            "datasource": SOURCE,
            "editorType": "sql",
            "format": 0 if self.over_time else 1,
            "queryType": "timeseries" if self.over_time else "table",
            "rawSql": self.sql,
            "refId": self.ref_id,
        }


class Sql(Builder[Query]):
    """Builds a query, as the package's own builders do."""

    def __init__(self, sql: str, over_time: bool = False, ref_id: str = "A") -> None:
        self._query = Query(sql, over_time, ref_id)

    def build(self) -> Query:
        """The query."""
        return self._query
