"""
Runs a script of dlt against a simulated API, and goes on answering until its standard input ends.

    python compare-dlt.py SCRIPT FOLDER

The script is executed: read it first, and run this where nothing can be reached, as below `unshare --net`. FOLDER gets
`script.py`, redirected to the simulation, and `read.json`: the tables that dlt loaded, as text, or why it could not.
A line of JSON on the standard output says that dlt has loaded.

The simulation learns from dlt which lists there are: the paginator and the selector of each list that its client asks
for. An answer depends on the request alone. Secrets and options are all `value`.
"""

import ast
import json
import os
import re
import runpy
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import MagicMock
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import dlt
import duckdb
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.extract import DltSource
from dlt.sources import rest_api
from dlt.sources.helpers.rest_client import client as rest_client
from dlt.sources.helpers.rest_client import paginators

PAGE = 3
SECRET = re.compile(r"key|token|secret|password|user|subdomain|account|organi[sz]ation|owner|repo", re.I)
ADDRESS = re.compile(r"url|endpoint|host", re.I)
DLT = ("destination", "runtime", "normalize", "load", "extract", "schema", "data_writer", "file_storage", "restore_from_destination")
ROUTES = {}
FIELDS = {}
WINDOW = set()
# What runs scripts, and says nothing about what they load.
AROUND = ("dotenv", "prefect", "dagster", "dagster_dlt", "airflow", "modal", "streamlit", "marimo", "kestra", "pytest")
ODD = []
LOCK = threading.Lock()


def main():
    script, folder = sys.argv[1:3]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(script, encoding="utf-8") as file:
        text = re.sub(r"https?://(?=[\w{])", f"{Handler.origin}/h/", file.read())
    redirected = f"{folder}/script.py"
    with open(redirected, "w", encoding="utf-8") as file:
        file.write(text)
    environment = {"START_DATE": "2024-01-01"}
    for name in re.findall(r"(?:environ\[|environ\.get\(|getenv\()\s*[\"'](\w+)[\"']", text):
        environment[name] = given(name)
    os.environ.update(environment)
    os.chdir(folder)
    made = Made(folder)
    error = None
    try:
        made.run(redirected)
    except BaseException as caught:  # a script may end itself in any way
        error = f"{type(caught).__name__}: {caught}"
    tables = {} if error else made.tables()
    with open(f"{folder}/read.json", "w", encoding="utf-8") as file:
        json.dump({"tables": tables, "error": error and error[-600:]}, file, default=str)
    print(json.dumps({"environment": environment, "origin": Handler.origin}), flush=True)
    ODD.clear()
    sys.stdin.read()
    with open(f"{folder}/odd.json", "w", encoding="utf-8") as file:
        json.dump(ODD, file)
    sys.stdout.flush()
    os._exit(0)


def given(name):
    return f"{Handler.origin}/h/{name.lower()}" if ADDRESS.search(name) else "value"


class Everything(ConfigProvider):
    """Has a value for every secret and option that a script asks for, and none for those of dlt or with a default."""

    name = "Everything"
    supports_secrets = True
    supports_sections = True
    is_empty = False
    is_writable = False

    def __init__(self, text):
        self.settled = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                named = [*node.args.posonlyargs, *node.args.args]
                pairs = [*zip(reversed(named), reversed(node.args.defaults)), *zip(node.args.kwonlyargs, node.args.kw_defaults)]
                self.settled.update(arg.arg for arg, value in pairs if value and not ast.unparse(value).startswith("dlt."))

    def get_value(self, key, hint, pipeline_name, *sections):
        is_asked = SECRET.search(key) or ADDRESS.search(key) or sections[:1] == ("sources",) and hint is str
        if not is_asked or key in self.settled or any(section in DLT for section in sections):
            return None, key
        return given(key), key


class Made:
    """The pipelines of a script, each with a file of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.pipelines = []
        self.paths = []
        self.pipeline = dlt.pipeline

    def run(self, script):
        sys.modules["rest_api"] = rest_api
        for name in ("typing", "config_setup"):
            __import__(f"dlt.sources.rest_api.{name}")
            sys.modules[f"rest_api.{name}"] = sys.modules[f"dlt.sources.rest_api.{name}"]
        for name in ("auth", "paginators"):
            sys.modules[f"rest_api.{name}"] = sys.modules[f"dlt.sources.helpers.rest_client.{name}"]
        with open(script, encoding="utf-8") as file:
            text = file.read()
        for name in re.findall(r"^\s*(?:import|from) (\w+)", text, re.M):
            if name in AROUND:
                for part in (name, *(f"{name}.{inner}" for inner in re.findall(rf"\b{name}\.([\w.]+)", text))):
                    sys.modules[part] = MagicMock()
        Container()[PluggableRunContext].providers.add_provider(Everything(text))
        dlt.pipeline = self.make
        learn()
        scope = runpy.run_path(script, run_name="__main__")
        if self.pipelines and ROUTES:
            return
        for name, value in list(scope.items()):
            if getattr(value, "__module__", None) not in ("__main__", None) or not callable(value):
                continue
            if hasattr(value, "_deco_f") or type(value).__name__ == "DltSourceFactoryWrapper" or name.endswith("_source"):
                source = value()
                if isinstance(source, DltSource):
                    self.make(pipeline_name=name, dataset_name=name).run(source)
        if not ROUTES:
            for name, value in list(scope.items()):
                if isinstance(value, DltSource):
                    self.make(pipeline_name=name, dataset_name=name).run(value)

    def make(self, pipeline_name=None, dataset_name=None, **given):
        path = f"{self.folder}/dlt{len(self.paths)}.duckdb"
        self.paths.append(path)
        made = self.pipeline(
            pipeline_name=pipeline_name or "script",
            dataset_name=dataset_name or "read",
            destination=dlt.destinations.duckdb(path),
            pipelines_dir=f"{self.folder}/pipelines{len(self.paths)}",
        )
        self.pipelines.append(made)
        return made

    def tables(self):
        found = {}
        for path in self.paths:
            if not os.path.exists(path):
                continue
            with duckdb.connect(path, read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                for schema, name in connection.execute(
                    "SELECT table_schema, table_name FROM information_schema.tables"
                ).fetchall():
                    if name.startswith("_dlt") or schema.endswith("_staging"):
                        continue
                    rows = connection.execute(f'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM "{schema}"."{name}"')
                    columns = [column[0] for column in rows.description]
                    found.setdefault(name, []).extend(dict(zip(columns, row)) for row in rows.fetchall())
        return found


# ---- which lists there are ------------------------------------------------------------------------------------------


def learn():
    """Notes each list that dlt's client reads, and the fields that a document speaks of."""
    paginate = rest_client.RESTClient.paginate

    def noted(self, path="", method="GET", params=None, json=None, auth=None, paginator=None, data_selector=None, *rest, **more):
        url = path if path.startswith("http") else f"{self.base_url.rstrip('/')}/{path.lstrip('/')}" if path else self.base_url
        route = Route(paginator or self.paginator, data_selector or self.data_selector)
        with LOCK:
            ROUTES[tidy(urlsplit(url).path)] = route
        return paginate(self, path, method, params, json, auth, paginator, data_selector, *rest, **more)

    rest_client.RESTClient.paginate = noted
    create = rest_api.create_resources

    def created(client_config, graph, endpoints, *rest, **more):
        fields_of(endpoints)
        return create(client_config, graph, endpoints, *rest, **more)

    rest_api.create_resources = created


def fields_of(node):
    if isinstance(node, dict):
        if node.get("type") == "resolve" and isinstance(node.get("field"), str):
            FIELDS.setdefault(node["field"], None)
        if isinstance(node.get("cursor_path"), str) and ("initial_value" in node or node.get("type") == "incremental"):
            FIELDS[node["cursor_path"]] = node.get("initial_value") or "2024-01-01T00:00:00Z"
        for key in ("primary_key", "merge_key", "include_from_parent"):
            for field in node[key] if isinstance(node.get(key), (list, tuple)) else [node.get(key)]:
                if isinstance(field, str):
                    FIELDS.setdefault(field, None)
        for key, value in node.items():
            # dlt sends each parent the last value that it has seen, Sluice the one that the run began with.
            if is_window(value):
                WINDOW.add(key)
            fields_of(value)
        WINDOW.update(node[key] for key in ("start_param", "end_param") if isinstance(node.get(key), str))
    elif isinstance(node, (list, tuple)):
        for value in node:
            fields_of(value)
    elif isinstance(node, str):
        for field in re.findall(r"\{resources\.\w+\.([\w.]+)\}", node):
            FIELDS.setdefault(field, None)
    elif type(node).__name__ == "Incremental":
        FIELDS[node.cursor_path] = node.initial_value or "2024-01-01T00:00:00Z"


def is_window(value):
    return (
        isinstance(value, dict)
        and value.get("type") == "incremental"
        or isinstance(value, str)
        and "{incremental." in value
        or type(value).__name__ == "Incremental"
    )


class Route:
    def __init__(self, paginator, selector):
        self.paginator = paginator
        self.selector = selector if isinstance(selector, str) else None

    def answer(self, request):
        pages = self.paginator
        gone = {"__page", *WINDOW}
        first, size, total = 0, PAGE, 2 * PAGE + 1
        if isinstance(pages, paginators.OffsetPaginator):
            size = min(max(int(pages.limit), 1), 200)
            total = 2 * size + 1
            first = int(request.value(pages.param_name, pages.param_body_path) or 0)
            gone |= {pages.param_name, pages.param_body_path, pages.limit_param, pages.limit_body_path}
        elif isinstance(pages, paginators.PageNumberPaginator):
            at = request.value(pages.param_name, pages.param_body_path)
            first = size * (int(at if at is not None else pages.base_index) - int(pages.base_index))
            gone |= {pages.param_name, pages.param_body_path}
        elif isinstance(pages, (paginators.JSONResponseCursorPaginator, paginators.HeaderCursorPaginator)):
            at = request.value(pages.cursor_param, getattr(pages, "cursor_body_path", None))
            first = size * (int(at.rsplit("-", 1)[1]) if isinstance(at, str) and at.startswith("page-") else 0)
            gone |= {pages.cursor_param, getattr(pages, "cursor_body_path", None)}
        elif isinstance(pages, paginators.SinglePagePaginator):
            size = total
        else:
            first = size * int(request.query.get("__page", "0"))
        seed = zlib.crc32(json.dumps([request.path, request.identity(gone)], sort_keys=True).encode()) % 90_000 + 10_000
        records = [record(seed, index) for index in range(total)]
        chunk = records[first : first + size]
        is_last = first + size >= total
        link = None if is_last else f"{Handler.origin}{request.path}?{urlencode({**request.query, '__page': first // size + 1})}"
        body, headers = placed(self.selector, chunk), {}
        if isinstance(pages, paginators.RangePaginator):
            of_pages = isinstance(pages, paginators.PageNumberPaginator)
            if pages.total_path:
                put(body, str(pages.total_path), -(-total // size) if of_pages else total)
            if pages.has_more_path:
                put(body, str(pages.has_more_path), not is_last)
        elif isinstance(pages, paginators.JSONResponseCursorPaginator):
            put(body, str(pages.cursor_path), None if is_last else f"page-{first // size + 1}")
        elif isinstance(pages, paginators.HeaderCursorPaginator):
            headers = {} if is_last else {pages.cursor_key: f"page-{first // size + 1}"}
        elif isinstance(pages, paginators.JSONLinkPaginator):
            put(body, str(pages.next_url_path), link)
        elif isinstance(pages, paginators.HeaderLinkPaginator):
            headers = {} if is_last else {"link": f'<{link}>; rel="{pages.links_next_key}"'}
        elif not isinstance(pages, paginators.SinglePagePaginator):
            if isinstance(body, dict):
                body["next"] = link
            else:
                headers = {} if is_last else {"link": f'<{link}>; rel="next"'}
        return headers, body


def record(seed, index):
    made = {
        "id": seed * 100 + index,
        "name": f"name-{seed}-{index}",
        "price": seed + index + 0.5,
        "is_active": index % 2 == 0,
        "made_at": f"2024-03-{1 + index % 28:02d}T10:00:00Z",
        "nothing": None,
        "owner": {"login": f"login-{index}", "rank": index},
        "tags": [f"tag-{index}", "all"],
        "lines": [{"sku": f"sku-{index}", "count": index, "notes": [{"text": "one"}]}, {"sku": "other", "count": 2.5}],
    }
    for path, initial in FIELDS.items():
        if any(mark in path for mark in "[]*$?"):
            continue
        node, keys = made, path.split(".")
        for key in keys[:-1]:
            node = node.setdefault(key, {}) if isinstance(node.get(key, {}), dict) else {}
        if initial is not None or keys[-1] not in node:
            node[keys[-1]] = moved(initial, index) if initial is not None else f"{keys[-1]}-{seed}-{index}"
    return made


def moved(initial, index):
    if isinstance(initial, (int, float)):
        return initial + index + 1
    match = re.match(r"(\d{4})-\d\d-\d\d(.*)$", str(initial))
    if match is None:
        return f"2024-03-{1 + index % 28:02d}T10:00:00Z"
    tail = match[2] if match[2] in ("", "Z") or match[2].endswith(("Z", "+00:00")) else "Z"
    return f"{int(match[1]) + 1}-03-{1 + index % 28:02d}{'T10:00:00Z' if tail else ''}"


def placed(selector, records):
    path = re.sub(r"^\$\.?", "", selector or "")
    if path == "" and selector is None:
        return records
    if path in ("", "[*]"):
        return records
    body = {}
    if path == "*":
        return {f"member_{index}": one for index, one in enumerate(records)}
    keys = re.sub(r"\[\*\]$", "", path)
    if "[*]." in keys:
        outer, inner = keys.split("[*].", 1)
        put(body, outer, [placed(inner, [one]) if inner else one for one in records])
        return body
    put(body, keys, records)
    return body


def put(body, path, value):
    keys = [key.strip("'\"") for key in re.sub(r"^\$\.?", "", path.replace("`", "")).split(".") if key]
    if not isinstance(body, dict):
        ODD.append(f"there is no place for {path} in a list")
        return
    for key in keys[:-1]:
        body = body.setdefault(key, {})
    body[keys[-1]] = value


# ---- requests ---------------------------------------------------------------------------------------------------------


def tidy(path):
    return re.sub(r"/+", "/", unquote(path)).rstrip("/")


class Request:
    def __init__(self, handler):
        parts = urlsplit(handler.path)
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        length = int(handler.headers.get("content-length") or 0)
        text = handler.rfile.read(length).decode("utf-8", "replace")
        try:
            self.body = json.loads(text) if text else {}
        except ValueError:
            self.body = dict(parse_qsl(text, keep_blank_values=True))

    def value(self, param, body_path):
        if param and param in self.query:
            return self.query[param]
        node = self.body
        for key in (body_path or "").split("."):
            node = node.get(key) if isinstance(node, dict) else None
        return node

    def identity(self, gone):
        body = self.body if isinstance(self.body, dict) else {"": self.body}
        names = {str(name).split(".")[0] for name in gone if name}
        return [
            sorted((name, value) for name, value in self.query.items() if name not in names),
            {name: value for name, value in body.items() if name not in names},
        ]


class Handler(BaseHTTPRequestHandler):
    origin = ""
    protocol_version = "HTTP/1.1"

    def respond(self):
        request = Request(self)
        with LOCK:
            route = ROUTES.get(tidy(request.path))
        if route is None:
            status, headers, body = 404, {}, {"message": "there is no such list"}
            if self.command == "POST":
                status, body = 200, {"access_token": "token-of-the-simulation", "expires_in": 86_400}
            ODD.append(f"{self.command} {request.path[:200]}: dlt's client never asked for it")
        else:
            status = 200
            headers, body = route.answer(request)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = respond

    def log_message(self, *_args):
        pass


if __name__ == "__main__":
    main()
