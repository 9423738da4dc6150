"""Google's own analyzer of GoogleSQL (ZetaSQL, https://github.com/google/zetasql) over what was sent to BigQuery.

The emulator runs DuckDB, which lets pass what BigQuery refuses. The gate follows what statements create, alter and
drop, so it wants them in order and from the first on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zetasql.api import CatalogBuilder, ConstantBuilder, Parser
from zetasql.core.local_service import ZetaSqlLocalService, local_service_pb2
from zetasql.types import (
    AnalyzeRequest,
    AnalyzeResponse,
    AnalyzerOptions,
    FunctionSignatureId,
    LanguageOptions,
    ParameterMode,
    ProductMode,
    ResolvedNodeKind,
    SimpleCatalog,
    Type,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
    parse_proto,
)

from tests.destinations.bigquery.analyzer import use_compiled
from tests.destinations.bigquery.analyzer_types import KINDS, Columns, message_of, sent_as, table_of, type_of
from tests.destinations.bigquery.batches import statements
from tests.destinations.bigquery.kept_answers import KeptAnswers
from tests.destinations.bigquery.recorded_requests import Statement

_INSTANT = re.compile(r"'\d{4}-\d\d-\d\d[^']*'")
_TEXT_OF_A_ROW = re.compile(r"(?<=[ (])'(?:[^'\\]|\\.)*'(?= AS `)")
_NUMBER_OF_A_ROW = re.compile(r"(?<=[ (])\d+(?= AS `)")
_MORE_DAYS = re.compile(r"( OR \(t\.`\w+` >= TIMESTAMP '' AND t\.`\w+` < TIMESTAMP ''\))+")
Path = tuple[str, ...]

_STRING, _INT64 = Type(type_kind=TypeKind.TYPE_STRING), Type(type_kind=TypeKind.TYPE_INT64)
# https://cloud.google.com/bigquery/docs/information-schema-intro
_NAMED = [("table_catalog", _STRING), ("table_schema", _STRING), ("table_name", _STRING)]
_INFORMATION: dict[str, Columns] = {
    "COLUMNS": [
        *_NAMED,
        ("column_name", _STRING),
        ("ordinal_position", _INT64),
        ("is_nullable", _STRING),
        ("data_type", _STRING),
        ("is_partitioning_column", _STRING),
        ("clustering_ordinal_position", _INT64),
    ],
    "COLUMN_FIELD_PATHS": [
        *_NAMED,
        ("column_name", _STRING),
        ("field_path", _STRING),
        ("data_type", _STRING),
        ("description", _STRING),
    ],
    "PARTITIONS": [
        *_NAMED,
        ("partition_id", _STRING),
        ("total_rows", _INT64),
        ("total_logical_bytes", _INT64),
    ],
    "TABLES": [*_NAMED, ("table_type", _STRING), ("creation_time", Type(type_kind=TypeKind.TYPE_TIMESTAMP))],
    "TABLE_OPTIONS": [
        *_NAMED,
        ("option_name", _STRING),
        ("option_type", _STRING),
        ("option_value", _STRING),
    ],
    "VIEWS": [*_NAMED, ("view_definition", _STRING)],
}

_CHANGING = {
    "ResolvedAlterTableStmt",
    "ResolvedCreateTableAsSelectStmt",
    "ResolvedCreateTableStmt",
    "ResolvedCreateViewStmt",
    "ResolvedDropStmt",
}
"""The statements that ``_Script.learn`` follows."""
_DEFINES_TABLE = re.compile(
    r"\s*(ALTER TABLE|DROP TABLE|CREATE TABLE (?!.*\bAS\s+(SELECT|WITH|\()))", re.IGNORECASE | re.DOTALL
)
_OF_PARTITIONS = [
    FunctionSignatureId.FN_DATE_FROM_DATETIME,
    FunctionSignatureId.FN_DATE_FROM_TIMESTAMP,
    FunctionSignatureId.FN_TIMESTAMP_TRUNC,
]
"""What a statement that defines a table may call. The analyzer makes all functions anew for each statement that has no
registered catalog, which takes most of its time."""
_REGISTERED_AFTER = 4
"""Statements that change no table before all tables are handed over at once, for the statements after them."""
_ASKED_FOR = re.compile(r"`?(\w+)`?\.`?INFORMATION_SCHEMA")  # of datasets that may be empty


@dataclass(frozen=True)
class Rejected:
    """A statement that the analyzer refuses."""

    sql: str
    why: str


class Gate:
    """A project's tables as the statements so far left them."""

    def __init__(self, project: str) -> None:
        use_compiled()
        self._project = project
        self._tables: dict[Path, Columns] = {}
        self.analysed = 0
        """How many statements were analysed; each of a script counts."""
        self._language = LanguageOptions.maximum_features()
        self._language.product_mode = ProductMode.PRODUCT_EXTERNAL
        self._language.supported_statement_kinds = [
            getattr(ResolvedNodeKind, name) for name in dir(ResolvedNodeKind) if name.endswith("_STMT")
        ]
        sent_as(self._language.to_proto(), self._language)
        self._passed: set[str] = set()
        # What the analyzer takes it takes again where the statement and the tables that it mentions are the same.
        self._kept = KeptAnswers(
            "analysed", ("analyzer", "analyzer_types", "batches", "gate"), ("zetasql", "wasmtime")
        )
        self._unchanged = 0
        self._registered: dict[str | None, int] = {}
        self._functions = ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        self._functions_of_tables = ZetaSQLBuiltinFunctionOptions(
            language_options=self._language, include_function_ids=_OF_PARTITIONS
        )
        for functions in (self._functions, self._functions_of_tables):
            sent_as(functions.to_proto(), functions)

    def declare(self, dataset: str, table: str, columns: Iterable[tuple[str, str]]) -> None:
        """The project has a table with columns of these names and types."""
        self._tables[self._project, dataset, table] = [
            (name, Type(type_kind=KINDS[kind])) for name, kind in columns
        ]
        self._change()

    def check(self, statements: Iterable[Statement]) -> list[Rejected]:
        """What of these BigQuery would refuse, leaving out what was answered with an error."""
        found = []
        for statement in statements:
            if statement.request.status < 300:
                found += self.analyse(statement.sql, statement.parameters, statement.default_dataset)
        return found

    def analyse(
        self, sql: str, parameters: Iterable[dict[str, Any]] = (), default_dataset: str | None = None
    ) -> list[Rejected]:
        """What the analyzer refuses of one job's SQL, a statement or a script; ``parameters`` as in ``Statement``."""
        script = _Script(self._tables, self._project, default_dataset, list(parameters))
        found = []
        for text, placeholders in statements(sql):
            try:
                self._analyse_one(text, placeholders, script)
            except _NotAnalysable as problem:
                found.append(Rejected(text, str(problem)))
            except Exception as problem:  # noqa: BLE001 - the analyzer has no class of its own for all that it says
                found.append(Rejected(text, str(problem)))
        return found

    def _analyse_one(self, sql: str, placeholders: int, script: _Script) -> None:
        words = sql.upper().split()
        if words[0] == "DECLARE":
            script.declare(sql)
            return
        if words[0] in {"IF", "LOOP", "WHILE", "FOR", "REPEAT", "CASE", "EXECUTE", "END"} or (
            words[0] == "BEGIN" and len(words) > 1 and words[1] != "TRANSACTION"
        ):
            raise _NotAnalysable(f"{words[0]}: blocks are not analysed; send plain statements")
        self.analysed += 1
        if words[0] in {"SET", "CALL"} or "CLONE" in words[:6] or "LIKE" in words[:6]:
            Parser.parse_statement_static(sql, self._language)
            if words[0] == "CREATE":
                script.copy(sql)
                self._passed.clear()
                self._change()
            return
        options = AnalyzerOptions(language_options=self._language, allow_undeclared_parameters=False)
        if placeholders:
            options.parameter_mode = ParameterMode.PARAMETER_POSITIONAL
            options.positional_query_parameters = [type_of(each) for each in script.take(placeholders)]
        else:
            options.query_parameters = [
                AnalyzerOptions.QueryParameter(name=each["name"], type=type_of(each))
                for each in script.parameters
                if each.get("name")
            ]
        # What was taken with other instants, more days or a row of other values is taken.
        alike = _MORE_DAYS.sub("", _INSTANT.sub("''", sql))
        alike = _NUMBER_OF_A_ROW.sub("0", _TEXT_OF_A_ROW.sub("''", alike))
        given = (options.positional_query_parameters, options.query_parameters)
        said = repr((alike, script.default_dataset, given))
        if said in self._passed:
            return
        key = repr((said, script.known(sql)))
        if (answer := self._kept.load(key)) is None:
            answer = _answer(sql, options, self._catalog(sql, script))
            self._kept.save(key, answer)
        if script.learn(_resolved(answer)):
            self._change()
        elif not script.has_own_names:
            self._passed.add(said)

    def _catalog(self, sql: str, script: _Script) -> SimpleCatalog | int:
        """The tables that the statement mentions, or the number of a catalog with all that there are now."""
        self._unchanged += 1
        functions = self._functions_of_tables if _DEFINES_TABLE.match(sql) else self._functions
        root = CatalogBuilder("root").with_builtin_functions(functions).build()
        is_own = script.has_own_names or "INFORMATION_SCHEMA" in sql
        if is_own or self._unchanged <= _REGISTERED_AFTER:
            script.fill(root, sql)
            return root
        dataset = script.default_dataset
        if dataset not in self._registered:
            script.fill(root, sql, is_whole=True)
            self._registered[dataset] = _register(root)
        return self._registered[dataset]

    def _change(self) -> None:
        """What was registered is no more as the tables are."""
        self._unchanged = 0
        for number in self._registered.values():
            _call("UnregisterCatalog", local_service_pb2.UnregisterRequest(registered_id=number))
        self._registered.clear()


def _call(name: str, request: Any, *response: Any) -> Any:
    client = ZetaSqlLocalService.get_instance().wasm_client
    return client.call_grpc_func(f"ZetaSqlLocalService_{name}", request, *response)


def _register(catalog: SimpleCatalog) -> int:
    request = local_service_pb2.RegisterCatalogRequest(simple_catalog=catalog.to_proto())
    number: int = _call("RegisterCatalog", request, local_service_pb2.RegisterResponse).registered_id
    return number


def _answer(sql: str, options: AnalyzerOptions, catalog: SimpleCatalog | int) -> bytes:
    """What the analyzer answers, without the query in it; nothing where the statement changes no table.

    To make Python's objects of a query takes far longer than the analysis, and nothing looks at them.
    """
    request = AnalyzeRequest(sql_statement=sql, options=options)
    if isinstance(catalog, int):
        request.registered_catalog_id = catalog
    else:
        request.simple_catalog = catalog
    response = _call("Analyze", request.to_proto(), local_service_pb2.AnalyzeResponse)
    node = response.resolved_statement
    while name := "node" in node.DESCRIPTOR.oneofs_by_name and node.WhichOneof("node"):
        node = getattr(node, name)
    if node.DESCRIPTOR.name.removesuffix("Proto") not in _CHANGING:
        return b""
    while "parent" in node.DESCRIPTOR.fields_by_name:
        if "query" in node.DESCRIPTOR.fields_by_name:
            node.ClearField("query")
        node = node.parent
    answer: bytes = response.SerializeToString()
    return answer


def _resolved(answer: bytes) -> Any:
    """The statement as it was resolved; None where it changes no table."""
    if not answer:
        return None
    response = local_service_pb2.AnalyzeResponse.FromString(answer)
    return parse_proto(response).as_type(AnalyzeResponse).resolved_statement


class _NotAnalysable(Exception):
    pass


class _Script:
    """The statements of one job: what it declared and its temporary tables."""

    def __init__(
        self,
        tables: dict[Path, Columns],
        project: str,
        default_dataset: str | None,
        parameters: list[dict[str, Any]],
    ) -> None:
        self._tables = tables
        self._project = project
        self.default_dataset = default_dataset
        self._temporary: dict[str, Columns] = {}
        self._variables: dict[str, Any] = {}
        self.parameters = parameters

    def take(self, count: int) -> list[dict[str, Any]]:
        taken, self.parameters = self.parameters[:count], self.parameters[count:]
        return taken

    def declare(self, sql: str) -> None:
        """``DECLARE a, b TYPE [DEFAULT ..]``"""
        words = sql.replace(",", " ").split()[1:]
        at = next((i for i, word in enumerate(words) if word.upper() in KINDS), None)
        if at is None:
            raise _NotAnalysable("a variable of a type that is not known here")
        for name in words[:at]:
            self._variables[name] = Type(type_kind=KINDS[words[at].upper()])

    def copy(self, sql: str) -> None:
        """``CREATE TABLE a CLONE|LIKE b``"""
        words = sql.replace("`", "").split()
        at = next(i for i, word in enumerate(words) if word.upper() in {"CLONE", "LIKE"})
        self._tables[self._path([words[at - 1]])] = self._tables[self._path([words[at + 1]])]

    def fill(self, root: SimpleCatalog, sql: str, *, is_whole: bool = False) -> None:
        """Puts the tables that the statement mentions, or all, where its names find them.

        Each table that is handed to the analyzer with a statement takes longer than the analysis.
        """
        ids = iter(range(1, 1_000_000))
        mentioned = set(re.findall(r"\w+", sql))
        for name, columns in self._temporary.items():
            root.table.append(table_of(name, columns, next(ids)))
        for name, kind in self._variables.items():
            root.constant.append(ConstantBuilder(name).set_type(kind).build())
        datasets: dict[Path, list[tuple[str, Columns]]] = {
            (self._project, dataset): [] for dataset in _ASKED_FOR.findall(sql)
        }
        if self.default_dataset is not None:
            datasets[self._project, self.default_dataset] = []
        for (project, dataset, name), columns in self._tables.items():
            tables_of = datasets.setdefault((project, dataset), [])
            if is_whole or name in mentioned:
                tables_of.append((name, columns))
        projects: dict[str, SimpleCatalog] = {}
        for (project, dataset), tables in datasets.items():
            information = [
                table_of(name, columns, next(ids))
                for name, columns in _INFORMATION.items()
                if name in mentioned
            ]
            catalog = SimpleCatalog(
                name=dataset,
                table=[table_of(name, columns, next(ids)) for name, columns in tables],
                catalog=[SimpleCatalog(name="INFORMATION_SCHEMA", table=information)],
            )
            projects.setdefault(project, SimpleCatalog(name=project)).catalog.append(catalog)
            if project == self._project:
                root.catalog.append(catalog)
                if dataset == self.default_dataset:
                    root.table += [
                        table_of(name, columns, next(ids))
                        for name, columns in tables
                        if name not in self._temporary
                    ]
        root.catalog += projects.values()

    def known(self, sql: str) -> list[Any]:
        """All that is known of the names that the statement mentions."""
        mentioned = set(re.findall(r"\w+", sql))
        tables = [*self._tables.items(), *(((name,), columns) for name, columns in self._temporary.items())]
        variables = [(name, message_of(kind).SerializeToString()) for name, kind in self._variables.items()]
        return [
            *(
                (path, [(name, message_of(kind).SerializeToString()) for name, kind in columns])
                for path, columns in sorted(tables, key=lambda table: table[0])
                if path[-1] in mentioned
            ),
            *variables,
        ]

    @property
    def has_own_names(self) -> bool:
        """Whether it has variables or temporary tables."""
        return bool(self._temporary or self._variables)

    def learn(self, resolved: Any) -> bool:
        """Follows what the statement creates, alters or drops; whether it does any of that."""
        kind = type(resolved).__name__
        if kind in {"ResolvedCreateTableStmt", "ResolvedCreateTableAsSelectStmt"}:
            columns = [(column.name, column.type) for column in resolved.column_definition_list]
            if resolved.create_scope.name == "CREATE_TEMP":
                self._temporary[resolved.name_path[-1]] = columns
            else:
                self._tables[self._path(resolved.name_path)] = columns
        elif kind == "ResolvedCreateViewStmt":
            self._tables[self._path(resolved.name_path)] = [
                (column.name, column.column.type) for column in resolved.output_column_list
            ]
        elif kind == "ResolvedAlterTableStmt":
            columns = self._tables[self._path(resolved.name_path)]
            for action in resolved.alter_action_list:
                added = getattr(action, "column_definition", None)
                if added is not None and added.name not in [name for name, _ in columns]:
                    columns.append((added.name, added.type))
        elif kind == "ResolvedDropStmt":
            self._tables.pop(self._path(resolved.name_path), None)
        else:
            return False
        return True

    def _path(self, names: Iterable[str]) -> Path:
        path = tuple(part for name in names for part in name.split("."))
        given = [self._project, self.default_dataset or ""]
        return tuple(given[: 3 - len(path)]) + path
