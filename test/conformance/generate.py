#!/usr/bin/env python3
"""Runs every conformance case under dlt (the oracle) and writes what it measured into the case file.

    python generate.py                     # all cases of the version of dlt that is installed, rewrite expect / dlt
    python generate.py --check             # the same, only compare, exit 1 on any difference
    python generate.py cases/x.json # some cases
    python generate.py --only scd2         # cases whose name contains the text

The case format is described in README.md. dlt and duckdb must be importable.
"""
import argparse
import base64
import copy
import datetime
import decimal
import hashlib
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import unicodedata
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote

HERE = Path(__file__).resolve().parent
CASE_TIMEOUT = 120
DEFAULT_MAX_REQUESTS = 60

# ---------------------------------------------------------------- json text


def escape_invisible(match):
    char = match.group()
    if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs"):
        return json.dumps(char)[1:-1]
    return char


def dumps(value, indent=0, width=120, lead=0):
    """2-space JSON; an array or object that fits the line (after `lead` characters of its key) is kept on one line."""
    flat = re.sub(r"[^\x20-\x7e]", escape_invisible, json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))
    if not isinstance(value, (dict, list)) or not value or len(flat) + indent + lead <= width:
        return flat
    pad, end = "\n" + " " * (indent + 2), "\n" + " " * indent
    if isinstance(value, list):
        return "[" + ",".join(pad + dumps(v, indent + 2, width) for v in value) + end + "]"
    keys = [dumps(k) + ": " for k in value]
    return "{" + ",".join(pad + k + dumps(v, indent + 2, width, len(k)) for k, v in zip(keys, value.values())) + end + "}"


# ---------------------------------------------------------------- mock server


class Origin:
    """One HTTP origin. Both origins of a case share one Recorder."""

    def __init__(self, label, recorder):
        self.label = label
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                recorder.handle(origin, self, body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


def segments(path):
    return [unquote(s) for s in path.split("/")]


def pairs_of(obj):
    out = []
    for k, v in (obj or {}).items():
        for x in v if isinstance(v, list) else [v]:
            out.append((k, str(x)))
    return sorted(out)


class Recorder:
    def __init__(self):
        self.lock = threading.Lock()
        self.origins = [Origin("base", self), Origin("other", self)]
        self.reset([], DEFAULT_MAX_REQUESTS)

    def substitute(self, text):
        text = text.replace("{{BASE}}", self.origins[0].url).replace("{{OTHER}}", self.origins[1].url)
        return text.replace("{{OTHER_HOST}}", self.origins[1].url.split("//")[1])

    def anonymise(self, text):
        text = text.replace(self.origins[0].url, "{{BASE}}").replace(self.origins[1].url, "{{OTHER}}")
        return text.replace(self.origins[1].url.split("//")[1], "{{OTHER_HOST}}")

    def reset(self, exchanges, max_requests):
        self.exchanges = exchanges
        self.left = [float("inf") if e.get("times") == "any" else e.get("times", 1) for e in exchanges]
        self.requests = []
        self.max_requests = max_requests
        self.endless = False

    def matches(self, want, origin, method, path, query, headers, body, kind):
        if want.get("origin", "base") != origin.label:
            return False
        if want.get("method", "GET") != method or segments(want["path"]) != segments(path):
            return False
        if want.get("query") != "any" and pairs_of(want.get("query")) != sorted(query):
            return False
        for k, v in (want.get("headers") or {}).items():
            v = None if v is None else self.substitute(v)
            if headers.get(k) != v:
                return False
        if "json" in want and (kind != "json" or body != want["json"]):
            return False
        if "form" in want and (kind != "form" or sorted(map(tuple, body)) != pairs_of(want["form"])):
            return False
        if "text" in want and (kind != "text" or body != want["text"]):
            return False
        return True

    def handle(self, origin, handler, raw):
        path, _, query = handler.path.partition("?")
        query = parse_qsl(query, keep_blank_values=True)
        headers = {}
        for k, v in handler.headers.items():
            k = k.lower()
            headers[k] = headers[k] + ", " + v if k in headers else v
        ctype = headers.get("content-type", "")
        kind, body = None, None
        if raw:
            if ctype.startswith("application/json"):
                kind, body = "json", json.loads(raw)
            elif ctype.startswith("application/x-www-form-urlencoded"):
                kind, body = "form", [list(p) for p in parse_qsl(raw.decode(), keep_blank_values=True)]
            else:
                kind, body = "text", raw.decode("utf-8", "replace")
        seen = {"method": handler.command, "path": path}
        if origin.label != "base":
            seen["origin"] = origin.label
        if query:
            seen["query"] = [list(p) for p in query]
        shown = {k: v for k, v in headers.items() if not self.is_default_header(k, v)}
        if shown:
            seen["headers"] = dict(sorted(shown.items()))
        if kind:
            seen[kind] = body
        with self.lock:
            if len(self.requests) >= self.max_requests:
                self.endless = True
                response = {"status": 410, "json": {"error": "max_requests of the case reached"}}
                seen = None
            else:
                response = None
                for i, e in enumerate(self.exchanges):
                    if self.left[i] > 0 and self.matches(
                        e["request"], origin, handler.command, path, query, headers, body, kind
                    ):
                        self.left[i] -= 1
                        response = e["response"]
                        break
                if response is None:
                    response = {"status": 404, "json": {"error": "no exchange matches"}}
                    seen["unmatched"] = True
                seen["status"] = "drop" if response.get("drop") else response.get("status", 200)
                self.requests.append(seen)
        self.respond(handler, response)

    @staticmethod
    def is_default_header(k, v):
        return (
            k in ("host", "accept-encoding", "connection", "content-length")
            or (k == "user-agent" and v.startswith("dlt/"))
            or (k == "accept" and v == "*/*")
        )

    def respond(self, handler, response):
        if response.get("delay_ms"):
            time.sleep(response["delay_ms"] / 1000)
        if response.get("drop"):
            handler.close_connection = True
            handler.connection.close()
            return
        if "json" in response:
            text = json.dumps(response["json"], ensure_ascii=False, separators=(",", ":"))
        else:
            text = response.get("text", "")
        status = response.get("status", 200)
        data = self.substitute(text).encode("utf-8")
        try:
            handler.send_response(status)
            names = {k.lower() for k in response.get("headers") or {}}
            if "content-type" not in names and (data or "json" in response):
                handler.send_header("Content-Type", "application/json")
            for k, v in (response.get("headers") or {}).items():
                handler.send_header(k, self.substitute(v))
            if status != 204:
                handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            if status != 204:
                handler.wfile.write(data)
            handler.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True


# ---------------------------------------------------------------- database -> canonical


def canonical_value(value, ctype):
    if value is None:
        return None
    if ctype == "JSON":
        return tag_big(json.loads(value))
    if ctype.startswith("TIMESTAMP"):  # fetched as microseconds since the epoch
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=value)
        text = moment.strftime("%H:%M:%S.%f")
        date = "%04d-%02d-%02d" % (moment.year, moment.month, moment.day)
        return date + "T" + text + ("Z" if "ZONE" in ctype else "")
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return {"$base64": base64.b64encode(bytes(value)).decode()}
    return tag_big(value)


def tag_big(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return {"$bigint": str(value)} if abs(value) > 2**53 - 1 else value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$double": repr(value)}
    if isinstance(value, list):
        return [tag_big(v) for v in value]
    return {k: tag_big(v) for k, v in value.items()}


def sort_key(value):
    if value is None:
        return (9, "")
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, (int, float)):
        return (2, value)
    if isinstance(value, dict) and set(value) == {"$bigint"}:
        return (2, int(value["$bigint"]))
    if isinstance(value, str):
        return (3, value)
    return (4, json.dumps(value, sort_keys=True))


def nested_id(parent_id, table, idx):
    digest = hashlib.shake_128(f"{parent_id}_{table}_{idx}".encode()).digest(10)
    return base64.b64encode(digest).decode().rstrip("=")


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def undescribed_hash(version):
    """the version hash without the descriptions that dlt writes into its own tables and variant columns since 1.31"""
    from dlt.common.schema.utils import generate_version_hash

    schema = json.loads(version[2])
    described = False
    for table in schema["tables"].values():
        for column in table["columns"].values():
            described |= column.pop("description", None) is not None
    return generate_version_hash(schema) if described else version[1]


def read_database(path, dataset, schema_tables):
    """-> (tables, loads, problems)"""
    import duckdb

    if not os.path.exists(path):
        return {}, 0, None, []
    con = duckdb.connect(path)
    problems = []
    try:
        found = con.execute(
            "select table_name, column_name, data_type, is_nullable from information_schema.columns"
            " where table_schema = ? order by table_name, ordinal_position",
            [dataset],
        ).fetchall()
        columns = {}
        for table, column, ctype, nullable in found:
            columns.setdefault(table, []).append({"name": column, "type": ctype, "nullable": nullable == "YES"})
        loads = {}
        version = None
        if "_dlt_loads" in columns:
            ids = con.execute(f"select distinct load_id from {quote(dataset)}._dlt_loads order by 1").fetchall()
            loads = {r[0]: "load:%d" % (i + 1) for i, r in enumerate(ids)}
        if "_dlt_version" in columns:
            version = con.execute(
                f"select version, version_hash, schema from {quote(dataset)}._dlt_version order by inserted_at desc limit 1"
            ).fetchone()
        raw = {}
        for table, cols in columns.items():
            if table.startswith("_dlt_"):
                continue
            select = ", ".join(
                f"epoch_us({quote(c['name'])})" if c["type"].startswith("TIMESTAMP") else quote(c["name"]) for c in cols
            )
            rows = con.execute(f"select {select} from {quote(dataset)}.{quote(table)}").fetchall()
            raw[table] = [
                {c["name"]: canonical_value(v, c["type"]) for c, v in zip(cols, row)} for row in rows
            ]
    finally:
        con.close()

    def root_of(table):
        while (schema_tables.get(table) or {}).get("parent"):
            table = schema_tables[table]["parent"]
        return table

    out = {}
    done = {}  # table -> {_dlt_id: index}
    children = {}
    for table in raw:
        parent = (schema_tables.get(table) or {}).get("parent")
        if parent:
            children.setdefault(parent, []).append(table)

    by_parent = {t: {} for t in raw}
    for table in raw:
        for row in raw[table]:
            by_parent[table].setdefault(row.get("_dlt_parent_id"), []).append(row)

    def derived_ids(table):
        """root ids that follow from the data: key hash, or row hash of scd2 without an own version column"""
        root = schema_tables.get(root_of(table), {})
        strategy = root.get("x-merge-strategy")
        if strategy == "scd2":
            return any(c.get("x-row-version") and n == "_dlt_id" for n, c in root["columns"].items())
        return strategy in ("upsert", "insert-only")

    def visible(table, row):
        keep_ids = derived_ids(table)
        shown = {}
        for k, v in row.items():
            if v is None:
                continue
            if k == "_dlt_load_id":
                v = loads.get(v, "load:unfinished")
            elif k in ("_dlt_id", "_dlt_parent_id", "_dlt_root_id") and not keep_ids:
                continue
            shown[k] = v
        return shown

    def subtree(table, row):
        kids = []
        for child in sorted(children.get(table, [])):
            for r in by_parent[child].get(row.get("_dlt_id"), []):
                kids.append([child, subtree(child, r)])
        own = visible(table, row)
        return [json.dumps(own, sort_keys=True), sorted(json.dumps(k) for k in kids)]

    root_ids = {}  # (table, _dlt_id) -> id of the root row

    def place(table, parent):
        index = done.get(parent, {})
        ids = [row.get("_dlt_id") for row in raw[table]]
        versions = not parent and schema_tables.get(table, {}).get("x-merge-strategy") == "scd2"
        if None in ids or (len(set(ids)) != len(ids) and not versions):
            problems.append(f"_dlt_id of {table} is not unique")
        for row in raw[table]:
            root = root_ids.get((parent, row.get("_dlt_parent_id"))) if parent else row["_dlt_id"]
            root_ids[table, row["_dlt_id"]] = root
            if parent and row.get("_dlt_root_id", root) != root:
                problems.append(f"_dlt_root_id of {table} is not the id of the root row")
        rows = []
        for row in raw[table]:
            shown = visible(table, row)
            if parent:
                position = index.get(row.get("_dlt_parent_id"))
                if position is None:
                    problems.append(f"orphan row in {table}")
                shown = {"_parent": position, **shown}
                want = nested_id(row.get("_dlt_parent_id"), table, row.get("_dlt_list_idx"))
                if row.get("_dlt_id") != want:
                    problems.append(f"nested id of {table} is not deterministic")
            own = [sort_key(shown.get(c["name"])) for c in columns[table]]
            head = [sort_key(shown.get("_parent")), sort_key(shown.get("_dlt_list_idx"))] if parent else []
            rows.append((head + own, json.dumps(subtree(table, row)), row.get("_dlt_id"), shown))
        rows.sort(key=lambda r: (r[0], r[1]))
        done[table] = {r[2]: i for i, r in enumerate(rows)}
        out[table] = {"columns": columns[table], "rows": [r[3] for r in rows]}
        for child in sorted(children.get(table, [])):
            place(child, table)

    for table in sorted(raw):
        if not (schema_tables.get(table) or {}).get("parent"):
            place(table, None)
    return dict(sorted(out.items())), len(loads), version, problems


SYSTEM_COLUMNS = ("_dlt_id", "_dlt_load_id", "_dlt_parent_id", "_dlt_list_idx", "_dlt_root_id")


def schema_view(schema_tables, present):
    out = {}
    for name in sorted(present):
        table = schema_tables.get(name)
        if table is None:
            continue
        view = {k: v for k, v in table.items() if k not in ("name", "columns", "x-normalizer", "description")}
        view["columns"] = {
            c["name"]: {k: v for k, v in c.items() if k != "name"}
            for c in table["columns"].values()
            if c["name"] not in SYSTEM_COLUMNS
        }
        out[name] = view
    return out


# ---------------------------------------------------------------- one case


def root_cause(error):
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "exception", None) or error.__cause__
        if type(error).__name__ in ("PipelineStepFailed", "ResourceExtractionError", "NormalizeJobFailed") and isinstance(
            inner, BaseException
        ):
            error = inner
        else:
            break
    return error


def clean_message(text, recorder, scratch):
    text = recorder.anonymise(str(text)).replace(scratch, "<tmp>")
    text = re.sub(r'File "[^"]+/', 'File "', text)
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"\b1[0-9]{9}\.[0-9]+\b", "<load_id>", text)
    text = re.sub(r"job_id=[^`\s]+", "job_id=<job>", text)
    text = re.sub(r"\s+LINE \d+:[\s\S]*", " …", text)  # DuckDB quotes the statement, with random ids
    text = re.sub(r"_dlt_id: [A-Za-z0-9+/]{14}", "_dlt_id: <id>", text)
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)
    text = re.sub(r"\bport=\d+", "port=…", text)
    text = " ".join(text.split())
    return text if len(text) <= 280 else text[:279] + "…"


def run_case(case, scratch):
    """Returns one measured dict per run."""
    import dlt
    from dlt.pipeline.exceptions import PipelineStepFailed
    from dlt.sources.rest_api import rest_api_source

    recorder = Recorder()
    setup = case.get("pipeline") or {}
    name = setup.get("name", "conformance")
    dataset = setup.get("dataset", "api_data")
    db_path = os.path.join(scratch, "out.duckdb")
    results = []
    for run in case["runs"]:
        env = {**(case.get("env") or {}), **(run.get("env") or {})}
        saved = dict(os.environ)
        os.environ.update({k: recorder.substitute(v) for k, v in env.items()})
        recorder.reset(run.get("exchanges", []), run.get("max_requests", DEFAULT_MAX_REQUESTS))
        config = json.loads(recorder.substitute(json.dumps(run["config"] if "config" in run else case["config"])))
        source_args = copy.deepcopy({**(case.get("source") or {}), **(run.get("source") or {})})
        run_args = copy.deepcopy(run.get("args") or {})
        pipeline = dlt.pipeline(
            name,
            destination=dlt.destinations.duckdb(db_path),
            dataset_name=dataset,
            pipelines_dir=os.path.join(scratch, "pipelines"),
        )
        error = None
        stage = "config"
        try:
            source = rest_api_source(config, **source_args)
            stage = "extract"
            pipeline.run(source, **run_args)
        except PipelineStepFailed as e:
            stage, error = e.step, e
        except Exception as e:  # raised by dlt outside of its own wrapper
            error = e
        os.environ.clear()
        os.environ.update(saved)

        measured = {"requests": list(recorder.requests)}
        if run.get("request_order") == "any":
            measured["requests"].sort(key=lambda r: json.dumps(r, sort_keys=True))
        if recorder.endless:
            measured["endless"] = True
        schema = None
        if pipeline.default_schema_name and pipeline.default_schema_name in pipeline.schemas:
            schema = pipeline.schemas[pipeline.default_schema_name]
        # copy: to_dict would bump the version
        schema_tables = {k: copy.deepcopy(v) for k, v in schema.tables.items()} if schema else {}
        dataset_name = pipeline.dataset_name
        if schema:
            dataset_name = schema.naming.normalize_table_identifier(dataset_name)
        if dataset_name != dataset:
            measured["dataset"] = dataset_name
        tables, loads, version, problems = read_database(db_path, dataset_name, schema_tables)
        measured["loads"] = loads
        measured["tables"] = tables
        measured["schema"] = schema_view(schema_tables, tables)
        if version:
            measured["stored_schema"] = {"version": version[0], "version_hash": undescribed_hash(version)}
        state = {}
        for src in (pipeline.state.get("sources") or {}).values():
            for res, content in (src.get("resources") or {}).items():
                if content.get("incremental"):
                    cursors = json.loads(json.dumps(content["incremental"], default=str))
                    for cursor in cursors.values():  # a set in dlt, the order is arbitrary
                        cursor["unique_hashes"] = sorted(cursor.get("unique_hashes") or [])
                    state[res] = tag_big(cursors)
        measured["state"] = dict(sorted(state.items()))
        if error is not None:
            cause = root_cause(error)
            measured["error"] = {
                "stage": stage,
                "class": type(cause).__name__,
                "message": clean_message(cause, recorder, scratch),
            }
            measured["_trace"] = "".join(traceback.format_exception(error))[-4000:]
        measured["_unused"] = [
            e["request"] for e, left in zip(recorder.exchanges, recorder.left) if left == e.get("times", 1)
        ]
        measured["_problems"] = problems
        results.append(json.loads(recorder.anonymise(json.dumps(measured, default=str))))
        # pipelines keep state in memory; every run attaches anew from the working directory
        try:
            pipeline.deactivate()
        except Exception:
            pass
    return results


def run_in_child(case):
    """dlt has process-wide state, so each case runs in a forked child."""
    scratch = tempfile.mkdtemp(prefix="conf-")
    result_file = os.path.join(scratch, "result.json")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            signal.alarm(CASE_TIMEOUT)
            os.chdir(scratch)
            out = os.open(os.path.join(scratch, "log.txt"), os.O_CREAT | os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            with open(result_file + ".part", "w") as f:
                json.dump(run_case(case, scratch), f)
            os.rename(result_file + ".part", result_file)
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.waitpid(pid, 0)
    try:
        if os.path.exists(result_file):
            return json.load(open(result_file)), open(os.path.join(scratch, "log.txt"), errors="replace").read()
        return None, open(os.path.join(scratch, "log.txt"), errors="replace").read()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# ---------------------------------------------------------------- merge results into the file

CASE_KEYS = ["name", "about", "tags", "pipeline", "source", "env", "config", "runs"]
RUN_KEYS = [
    "about", "config", "source", "env", "args", "max_requests", "request_order", "exchanges",
    "deviation", "expect", "dlt",
]
EXPECT_KEYS = ["error", "warnings", "requests", "dataset", "loads", "tables", "schema", "stored_schema", "state"]


def ordered(obj, keys):
    return {**{k: obj[k] for k in keys if k in obj}, **{k: v for k, v in obj.items() if k not in keys}}


def finish_run(run, measured):
    public = {k: v for k, v in measured.items() if not k.startswith("_")}
    run = {k: v for k, v in run.items() if k != "dlt"}
    if run.get("deviation"):
        dlt_view = {k: public[k] for k in ("endless", "error", "requests", "loads", "tables", "state") if k in public}
        if not dlt_view.get("state"):
            dlt_view.pop("state", None)
        run["dlt"] = dlt_view
        run["expect"] = ordered(run.get("expect") or {}, EXPECT_KEYS)
        return ordered(run, RUN_KEYS)
    authored_error = (run.get("expect") or {}).get("error") or {}
    expect = {k: v for k, v in public.items() if k not in ("error", "endless")}
    if not expect.get("state"):
        expect.pop("state", None)
    if "error" in public:
        expect["error"] = {
            "stage": public["error"]["stage"],
            **{k: authored_error[k] for k in ("code", "path", "contains") if k in authored_error},
        }
        run["dlt"] = {"error": public["error"]}
        if public["error"]["stage"] == "config":
            expect = {"error": expect["error"], "requests": expect["requests"]}
    run["expect"] = ordered(expect, EXPECT_KEYS)
    return ordered(run, RUN_KEYS)


def lint_run(run, measured, label):
    """Things that make a case mean something else than its author thinks."""
    deviation = bool(run.get("deviation"))
    about = run.get("about") or ""
    problems = [] if deviation else measured.get("_problems") or []
    notes = [p for p in problems if not (p.startswith("_dlt_root_id") and "_dlt_root_id" in about)]
    error = measured.get("error")
    authored_error = (run.get("expect") or {}).get("error") or {}
    if error and not deviation and not authored_error.get("code"):
        notes.append(f"dlt failed: {error['stage']} {error['class']}: {error['message']}")
    if not error and not deviation and authored_error:
        notes.append("expected dlt to fail, it did not")
    for word in authored_error.get("contains") or []:
        if error and not deviation and word not in error["message"]:
            notes.append(f"dlt message lacks {word!r}: {error['message']}")
    if not deviation and any(r.get("unmatched") for r in measured["requests"]):
        if "unmatched" not in about:
            notes.append("unmatched: " + json.dumps([r for r in measured["requests"] if r.get("unmatched")][:2]))
    if not deviation and measured.get("_unused") and "unused" not in about:
        notes.append("unused exchange: " + json.dumps(measured["_unused"][:2]))
    if measured.get("endless") and not deviation:
        notes.append("endless requests")
    return [f"{label}: {n}" for n in notes]


def lint_json(value, where):
    """The case file must survive JSON.parse / JSON.stringify of JavaScript."""
    notes = []
    if isinstance(value, float) and value.is_integer():
        notes.append(f"{where}: integral float {value!r}, use response.text")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        notes.append(f"{where}: integer beyond 2^53, use response.text")
    if isinstance(value, dict):
        for k, v in value.items():
            if k == "__proto__" or re.fullmatch(r"0|[1-9][0-9]*", k):
                notes.append(f"{where}: key {k!r} is not safe in JavaScript, use response.text")
            notes += lint_json(v, f"{where}.{k}")
    if isinstance(value, list):
        for i, v in enumerate(value):
            notes += lint_json(v, f"{where}[{i}]")
    return notes


def process(path, check):
    case = json.loads(path.read_text("utf-8"))
    notes = []
    if case["name"] != path.stem or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case["name"]):
        notes.append(f"{path.stem}: bad name")
    for i, run in enumerate(case["runs"]):
        for j, e in enumerate(run.get("exchanges", [])):
            if "json" in e["response"]:
                notes += lint_json(e["response"]["json"], f"{path.stem}: runs[{i}].exchanges[{j}]")
        notes += lint_json(run.get("config"), f"{path.stem}: runs[{i}].config")
    notes += lint_json(case.get("config"), f"{path.stem}: config")
    results, log = run_in_child(case)
    if results is None:
        return [f"{path.stem}: crashed\n{log[-3000:]}"], False
    case["runs"] = [finish_run(r, m) for r, m in zip(case["runs"], results)]
    for i, (run, m) in enumerate(zip(case["runs"], results)):
        notes += lint_run(run, m, f"{path.stem}[{i}]")
    text = dumps(ordered(case, CASE_KEYS)) + "\n"
    same = text == path.read_text("utf-8")
    if not same and not check:
        path.write_text(text, "utf-8")
    return notes, same


def prepare():
    """Process environment under which dlt is imported."""
    home = tempfile.mkdtemp(prefix="conf-home-")
    os.environ.update(
        HOME=home, DLT_DATA_DIR=home, DLT_PROJECT_DIR=home, DLT_LOCAL_DIR=home, TZ="UTC",
        RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__REQUEST_BACKOFF_FACTOR="0.001", RUNTIME__LOG_LEVEL="CRITICAL",
        NO_PROXY="127.0.0.1", no_proxy="127.0.0.1",
    )
    for k in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        os.environ.pop(k, None)
    os.chdir(home)
    import dlt  # noqa: F401
    import dlt.destinations  # noqa: F401
    import dlt.sources.rest_api  # noqa: F401
    import dlt.destinations.impl.duckdb.factory  # noqa: F401

    return home


def folders():
    """The cases that the installed dlt has measured."""
    import dlt

    minor = int(dlt.__version__.split(".")[1])
    return ["dlt-1.31"] if minor >= 31 else ["cases", "more"]


def main():
    if os.environ.get("PYTHONHASHSEED") != "0":  # some dlt messages print sets
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable] + sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=lambda p: Path(p).resolve())
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    home = prepare()
    paths = args.paths or [p for folder in folders() for p in sorted((HERE / folder).glob("*.json"))]
    paths = [p for p in paths if args.only in p.stem]
    started = time.time()
    bad = changed = 0
    try:
        for path in paths:
            notes, same = process(path, args.check)
            for n in notes:
                print("NOTE", n)
            bad += bool(notes)
            changed += not same
            if not same:
                print("differs" if args.check else "written", path.stem)
    finally:
        os.chdir("/")
        shutil.rmtree(home, ignore_errors=True)
    print(f"{len(paths)} cases, {changed} changed, {bad} with notes, {time.time() - started:.1f} s")
    sys.exit(1 if bad or (args.check and changed) else 0)


if __name__ == "__main__":
    main()
