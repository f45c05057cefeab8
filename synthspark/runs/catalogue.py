"""Tables of the lake in Spark's catalogue: one catalogue table per lake table, partitioned by `run_id`.

Only this file knows how formats differ in the catalogue. Parquet files stay where the lake publishes them; the
catalogue gets a partition that points to them, and no row is copied. Iceberg and Delta tables hold the rows themselves:
publishing replaces the run's rows in one commit per table, and dropping a run deletes whole partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from synthspark.errors import LakeError
from synthspark.runs.comments import PROPERTY, TABLES, of_column, of_table
from synthspark.schemas import quoted

RUN_ID = "run_id"
SESSION_CATALOG = "spark_catalog"
_OF_OTHERS = f"is not synthspark's (it has no property {PROPERTY!r} = {{name!r}})"


class Catalogue:
    """The database of the catalogue that a lake publishes to."""

    def __init__(self, spark: SparkSession, database: str, format: str) -> None:
        self._spark, self.database, self._format = spark, database, format

    @property
    def holds_rows(self) -> bool:
        """True if rows are read from the catalogue's tables (Parquet is read from the lake's folders)."""
        return self._format != "parquet"

    def check(self) -> None:
        """Raise LakeError if the database does not exist, or if it ends with this job (in-memory catalogue)."""
        name, _, parent = self.database.rpartition(".")[::-1]
        implementation = self._spark.conf.get("spark.sql.catalogImplementation", "in-memory")
        if parent in ("", SESSION_CATALOG) and implementation == "in-memory" and not self.holds_rows:
            raise LakeError(f"lake.catalog: {self.database}: this session's catalogue is in memory and ends with the "
                            "job; set spark: {spark.sql.catalogImplementation: hive}")  # fmt: skip
        try:
            self._spark.sql(f"describe namespace {_path(self.database)}").collect()
        except PySparkException as error:
            raise LakeError(f"lake.catalog: there is no database {self.database} ({_first_line(error)}); create it "
                            f"first: CREATE DATABASE {name}") from error  # fmt: skip

    def table(self, name: str) -> str:
        """Return the quoted catalogue name of a lake table, for example `shop`.`synthetic_events`."""
        return f"{_path(self.database)}.{quoted(_catalogue_name(name))}"

    def prepare(self, name: str, schema: T.StructType, location: str) -> None:
        """Create a table, or add its missing columns. The run's rows are not visible yet.

        location: lake folder whose `run_id=` folders become partitions (Parquet only). Raises LakeError if the
        catalogue table does not belong to the lake, or has a column of another type.
        """
        table = self.table(name)
        try:
            self._spark.sql(self._create(name, schema, location))
        except PySparkException as error:
            raise LakeError(f"catalogue table {table} cannot be created: {_first_line(error)}") from error
        missing = self._missing(name, schema)
        if missing:
            try:
                self._spark.sql(f"alter table {table} add columns ({_columns(missing)})")
            except PySparkException:  # another run may have added them in the meantime
                if self._missing(name, schema):
                    raise

    def _create(self, name: str, schema: T.StructType, location: str) -> str:
        run = T.StructField(RUN_ID, T.StringType())
        where = "" if self.holds_rows else f" location {literal(location)}"
        return (
            f"create table if not exists {self.table(name)} ({_columns([*schema.fields, run])}) using {self._format} "
            f"partitioned by ({RUN_ID}) comment {literal(of_table(name))}{where} "
            f"tblproperties ({literal(PROPERTY)} = {literal(name)})"
        )

    def _missing(self, name: str, schema: T.StructType) -> list[T.StructField]:
        """Return the fields that the catalogue table lacks."""
        table = self.table(name)
        if self._lake_name(table) != name:
            raise LakeError(f"catalogue table {table} exists and {_OF_OTHERS.format(name=name)}; rename it, or set "
                            "lake.catalog to another database")  # fmt: skip
        there = {field.name.lower(): field for field in self._spark.table(table).schema.fields}
        for field in schema.fields:
            known = there.get(field.name.lower())
            if known is not None and known.dataType.simpleString() != field.dataType.simpleString():
                raise LakeError(f"catalogue table {table} has column {field.name!r} as {known.dataType.simpleString()}"
                                f", this run writes {field.dataType.simpleString()}; rename the attribute, or set "
                                "lake.catalog to another database")  # fmt: skip
        return [field for field in schema.fields if field.name.lower() not in there]

    def _lake_name(self, table: str) -> str | None:
        found = self._spark.sql(f"show tblproperties {table}").where(F.col("key") == PROPERTY).collect()
        return str(found[0]["value"]) if found else None

    def point_to(self, name: str, run_id: str, location: str) -> None:
        """Point the run's partition to its Parquet files in the folder `location`; call `prepare` first."""
        table, run = self.table(name), f"partition ({_run(run_id)})"
        self._spark.sql(f"alter table {table} add if not exists {run} location {literal(location)}")
        self._spark.sql(f"alter table {table} {run} set location {literal(location)}")  # the lake may have moved
        self._spark.sql(f"refresh table {table}")

    def replace_rows(self, name: str, run_id: str, rows: DataFrame) -> None:
        """Replace the rows that the run published before, in one commit; call `prepare` first.

        rows: rows without the column `run_id`; columns that only other runs have become null.
        """
        table = self.table(name)
        own = {field.name.lower(): field.name for field in rows.schema.fields}
        columns = [_value(f, own, run_id).alias(f.name) for f in self._spark.table(table).schema.fields]
        rows.select(columns).writeTo(table).overwrite(F.col(RUN_ID) == run_id)

    def forget(self, run_id: str) -> None:
        """Remove a run from every table."""
        for name in self.names():
            self.withdraw(name, run_id)

    def withdraw(self, name: str, run_id: str) -> None:
        """Remove a run's rows from a table, if there are any. Parquet files stay where they are."""
        table = self.table(name)
        if self.holds_rows:
            self._spark.sql(f"delete from {table} where {_run(run_id)}")
        else:
            self._spark.sql(f"alter table {table} drop if exists partition ({_run(run_id)})")

    def query(self, name: str, run: str, columns: Sequence[str]) -> str:
        """Return SQL that selects the named columns of a run's rows; other runs may have added more columns.

        run: id of the run as an SQL expression, either a literal or a subquery.
        """
        return f"select {', '.join(map(quoted, columns))} from {self.table(name)} where {RUN_ID} = {run}"

    def names(self) -> list[str]:
        """Return the lake names of the tables in the database."""
        shown = self._tables_and_views()
        return [n for n in TABLES if _catalogue_name(n) in shown and self._lake_name(self.table(n)) == n]

    def views(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are views of the lake here; raise LakeError if one is not synthspark's."""
        shown = self._tables_and_views()
        found = [name for name in names if _catalogue_name(name) in shown]
        for name in found:
            table = self.table(name)
            if self._lake_name(table) != name:
                raise LakeError(f"view {table} exists and {_OF_OTHERS.format(name=name)}; rename it, or set lake.views "
                                "to another database")  # fmt: skip
        return found

    def replace_view(self, name: str, query: str) -> None:
        """Create a view or replace its query, in one step."""
        property = f"tblproperties ({literal(PROPERTY)} = {literal(name)})"
        self._spark.sql(f"create or replace view {self.table(name)} {property} as {query}")

    def drop_view(self, name: str) -> None:
        """Drop a view."""
        self._spark.sql(f"drop view {self.table(name)}")

    def _tables_and_views(self) -> set[str]:
        """Return the catalogue names of the tables and views in the database."""
        return {row["tableName"] for row in self._spark.sql(f"show tables in {_path(self.database)}").collect()}


def _catalogue_name(name: str) -> str:
    return name.replace("/", "_")


def _value(field: T.StructField, own: dict[str, str], run_id: str) -> Column:
    if field.name == RUN_ID:
        return F.lit(run_id)
    name = own.get(field.name.lower())
    return F.lit(None).cast(field.dataType) if name is None else F.col(quoted(name))


def _columns(fields: Sequence[T.StructField]) -> str:
    def column(field: T.StructField) -> str:
        return f"{quoted(field.name)} {field.dataType.simpleString()} comment {literal(of_column(field.name))}"

    return ", ".join(map(column, fields))


def _run(run_id: str) -> str:
    return f"{RUN_ID} = {literal(run_id)}"


def literal(value: str) -> str:
    """Return `value` as a Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _path(name: str) -> str:
    """Return `catalog.database` with each part quoted."""
    return ".".join(quoted(part) for part in name.split("."))


def _first_line(error: PySparkException) -> str:
    return str(error).splitlines()[0]
