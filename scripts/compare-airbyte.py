"""
Reads a manifest by Airbyte's CDK from a simulated API, and goes on answering until its standard input ends.

    python compare-airbyte.py MANIFEST FOLDER NAMES

FOLDER gets `manifest.yaml`, redirected to the simulation, and `read.json`: the records of each stream and the errors of
the CDK. NAMES are the references of an imported document, as JSON: options that are set though they need not be. A line
of JSON on the standard output says that the CDK has read, with values for the references and the origin of the API.

Classes of the connector are loaded from the folder of the manifest: `components.py`, or the package out of its wheel.
What they ask for by themselves goes to the simulation, too. `signed.json` and `signed-ours.json` in FOLDER say how the
requests of the CDK and those after it were signed, and what was asked for besides lists.

The answers follow from the manifest as the CDK itself resolves it. An answer depends on the request alone: its path, its
parameters and its body say which records there are; the place of the next page and the window of time say which of them
come. The values that lead from page to page are those for which the CDK's own interpolation goes on, and then stops.
"""

import itertools
import json
import logging
import os
import re
import sys
import threading
import time
import zlib
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import requests
import yaml
from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode, Type
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation
from airbyte_cdk.utils.datetime_helpers import ab_datetime_parse

NOW = datetime.now(timezone.utc).replace(microsecond=0)
START = NOW - timedelta(days=40)
DAYS = (3, 8, 13, 19, 24, 29, 33)
PAGE = 3
LAST = object()


def main() -> None:
    manifest_file, folder, names = sys.argv[1:4]
    sys.path.insert(0, os.path.dirname(os.path.abspath(manifest_file)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_port}"
    with open(manifest_file, encoding="utf-8") as file:
        manifest = redirected(yaml.safe_load(file), f"{origin}/h/")
    redirect_requests(f"{origin}/h/")
    config, environment = options_of(manifest, set(json.loads(names)), origin)
    with open(f"{folder}/manifest.yaml", "w", encoding="utf-8") as file:
        json.dump(manifest, file, default=str)
    source = ConcurrentDeclarativeSource(catalog=None, config=config, state=None, source_config=manifest)
    Handler.api = Api(source.resolved_manifest, config, origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    records, errors = read(source, manifest, config)
    with open(f"{folder}/read.json", "w", encoding="utf-8") as file:
        json.dump({"records": records, "errors": errors}, file)
    Handler.api.write_signed(f"{folder}/signed.json")
    print(json.dumps({"environment": environment, "origin": origin}), flush=True)
    Handler.api.odd.clear()
    sys.stdin.read()
    Handler.api.write_signed(f"{folder}/signed-ours.json")
    with open(f"{folder}/odd.json", "w", encoding="utf-8") as file:
        json.dump(Handler.api.odd, file)


def redirect_requests(base):
    """Addresses in the code of a class lead to the simulation."""
    send = requests.Session.send

    def sent(session, request, **options):
        if not request.url.startswith("http://127.0.0.1:"):
            request.url = re.sub(r"^https?://", base, request.url)
        return send(session, request, **options)

    requests.Session.send = sent


def read(source, manifest, config):
    logger = logging.getLogger("compare")
    logger.setLevel(logging.CRITICAL)
    logging.getLogger("airbyte").setLevel(logging.CRITICAL)
    streams = source.discover(logger, config).streams
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=SyncMode.incremental
                if SyncMode.incremental in stream.supported_sync_modes
                else SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.append,
            )
            for stream in streams
        ]
    )
    records = {stream.name: [] for stream in streams}
    errors = []
    reader = ConcurrentDeclarativeSource(catalog=catalog, config=config, state=None, source_config=manifest)
    try:
        for message in reader.read(logger, config, catalog, []):
            if message.type == Type.RECORD:
                records[message.record.stream].append(message.record.data)
            elif message.type == Type.TRACE and message.trace.error is not None:
                errors.append(message.trace.error.internal_message or message.trace.error.message)
    except Exception as error:  # what the CDK says of a stream that failed is in the traces, or here
        errors.append(str(error))
    return records, [str(error)[:400] for error in errors]


# ---- the manifest that both tools get ---------------------------------------------------------------------------------

UNTOUCHED = {"schema", "schema_loader", "description", "documentationUrl", "documentation_url", "metadata", "schemas"}


def redirected(node, base, key=""):
    """Every address leads to the simulation; pages are small; there are no limits in time."""
    if isinstance(node, dict):
        return {
            name: value if name in UNTOUCHED else redirected(value, base, name)
            for name, value in node.items()
            if name not in ("api_budget", "advanced_auth")
        }
    if isinstance(node, list):
        return [redirected(item, base, key) for item in node]
    if key == "page_size" and isinstance(node, int) and not isinstance(node, bool):
        return PAGE
    return re.sub(r"https?://", base, node) if isinstance(node, str) else node


def options_of(manifest, names, origin):
    """The options of a user who sets what must be set, what has a default, and what the names refer to."""
    environment = {"START_DATE": START.strftime("%Y-%m-%dT%H:%M:%SZ"), "END_DATE": NOW.strftime("%Y-%m-%dT%H:%M:%SZ")}
    text = json.dumps(manifest)
    addresses = set()
    for template in re.findall(r'"(?:url_base|url|api_url|token_refresh_endpoint)": "((?:\\.|[^"\\])*)"', text):
        if template.startswith("{{") and "http" not in template:
            addresses.update(re.findall(r"config(?:\[['\"]|\.get\(['\"]|\.)(\w+)", template.split("}}")[0]))

    def value_of(schema, keys, required):
        words = keys[1:] if len(keys) > 1 and keys[0] == "credentials" else keys
        name = re.sub(r"\W+", "_", "_".join(words))
        is_named = name.upper() in names or name.lower() in names
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        kind = next((word for word in kind if word != "null"), None) if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema or "oneOf" in schema:
            return object_of(schema, keys)
        default = schema.get("default")
        if default not in (None, "") and not schema.get("airbyte_secret"):
            return default
        if not required and not is_named:
            return None
        if schema.get("enum"):
            value = schema["enum"][0]
        elif kind == "boolean":
            value = False
        elif kind in ("integer", "number"):
            examples = schema.get("examples") or [schema.get("minimum", 10)]
            value = examples[0] if isinstance(examples, list) else 10
            value = int(value) if kind == "integer" else float(value)
        elif kind == "array":
            choices = (schema.get("items") or {}).get("enum")
            value = [choices[0] if choices else f"value-of-{name.lower()}"]
            environment[name.upper()] = str(value[0])
            return value
        else:
            value = moment_of(schema, keys[-1])
            if value is None:
                value = f"{origin}/h/{name.lower()}" if keys[-1] in addresses else f"value-of-{name.lower()}"
        environment[name.upper()] = str(value)
        return value

    def object_of(schema, keys):
        branches = schema.get("oneOf") or schema.get("anyOf") or []
        if branches and not isinstance(branches[0], dict):
            branches = []
        plain = [one for one in branches if not any("refresh_token" in key for key in one.get("properties", {}))]
        branch = (plain or branches or [{}])[0]
        properties = {**schema.get("properties", {}), **branch.get("properties", {})}
        required = set(schema.get("required", [])) | set(branch.get("required", []))
        made = {}
        for key, one in properties.items():
            value = value_of(one, [*keys, key], key in required)
            if value is not None:
                made[key] = value
        return made

    specification = (manifest.get("spec") or {}).get("connection_specification") or {}
    return object_of(specification, []), environment


def moment_of(schema, name):
    shape = " ".join(map(str, [schema.get("pattern", ""), schema.get("format", ""), name, schema.get("title", "")]))
    if not re.search(r"date|time|\[0-9\]\{4\}-|\\d\{4\}-|since|start", shape, re.I):
        return None
    pattern = schema.get("pattern")
    moment = END if re.search(r"end|until", name, re.I) else START
    forms = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%d %H:%M:%S", "%s", "%Y%m%d"]
    if schema.get("format") == "date" and not pattern:
        forms.insert(0, "%Y-%m-%d")
    if not pattern:
        return formatted(moment, forms[0]) if re.search(r"date|time|since|start", shape, re.I) else None
    for form in forms:
        text = str(formatted(moment, form))
        if re.search(pattern, text):
            return text
    return None


END = NOW


# ---- the simulated API ------------------------------------------------------------------------------------------------

JINJA = JinjaInterpolation()
CHUNK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
RUNTIME = re.compile(r"stream_(slice|partition|interval|state)|next_page_token|\brecord\b")
WINDOW = re.compile(r"stream_interval|stream_(?:slice|partition)(?:\.|\[['\"]|\.get\(['\"])(?:start|end)_time|cursor_slice")


class Route:
    """One stream of the manifest, or one parent, as the API answers it."""

    def __init__(self, stream, api):
        self.stream = stream
        self.api = api
        retriever = stream["retriever"]
        self.requester = retriever["requester"]
        self.parameters = self.requester.get("$parameters", {})
        selector = retriever.get("record_selector") or {}
        self.field_path = [self.known(key) for key in (selector.get("extractor") or {}).get("field_path", [])]
        self.decoder = (retriever.get("decoder") or {}).get("type", "JsonDecoder")
        self.method = str(self.requester.get("http_method", "GET")).upper()
        # What is computed from a record, and what children take from it, is in the record.
        self.needed = [
            list(keys)
            for root, *keys in places_in(json.dumps([stream.get("transformations"), selector.get("record_filter")]), RECORD)
            if all(isinstance(key, str) for key in keys)
        ]
        loader = stream.get("schema_loader") or {}
        loader = loader[0] if isinstance(loader, list) else loader
        schema = loader.get("schema")
        self.properties = (schema or {}).get("properties") or {}
        self.key = keys_of(stream.get("primary_key"))
        self.cursor = stream.get("incremental_sync") or {}
        self.cursor_field = self.known(self.cursor["cursor_field"]) if self.cursor.get("cursor_field") else None
        self.url, self.pattern = self.address()
        self.paging()
        self.windows = self.window_places()

    def known(self, template, parameters=None):
        if not isinstance(template, str) or "{" not in template:
            return template
        given = {**self.stream.get("$parameters", {}), **self.parameters, **(parameters or {})}
        return JINJA.eval(template, self.api.config, parameters=given, **{k: v for k, v in given.items() if k != "config"})

    def address(self):
        parts = [self.requester.get(key) or "" for key in ("url_base", "url", "path")]
        said = [self.partly(str(part)) for part in parts]
        base = said[0] or said[1]
        path = said[2]
        whole = path if path.startswith("http") or not base else f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base
        bare = re.sub(r"^https?://[^/]*", "", whole).split("?")[0]
        bare = tidy(bare)
        literal = len(bare.replace("\0", ""))
        return literal, re.compile("".join(".+?" if part == "\0" else re.escape(part) for part in re.split("(\0)", bare)))

    def partly(self, template):
        """A template with marks in place of what is known during a run only."""
        if "{%" in template and RUNTIME.search(template):
            return "\0"
        if not RUNTIME.search(template):
            return str(self.known(template) or "").strip()
        return CHUNK.sub(lambda m: "\0" if RUNTIME.search(m[0]) else str(self.known(m[0]) or ""), template).strip()

    # -- places of the request

    def options(self):
        """(place, name, template) of everything that the request carries."""
        for key, place in (
            ("request_parameters", "query"),
            ("request_headers", "header"),
            ("request_body_json", "body"),
            ("request_body_data", "body"),
        ):
            given = self.requester.get(key)
            if isinstance(given, dict):
                yield from self.leaves(place, given, [])
            elif isinstance(given, str):
                yield place, None, given
        body = (self.requester.get("request_body") or {}).get("value")
        if isinstance(body, dict):
            yield from self.leaves("body", body, [])

    def leaves(self, place, given, keys):
        for name, value in given.items():
            if name == "$parameters":
                continue
            if isinstance(value, dict) and value.get("type") != "QueryProperties":
                yield from self.leaves(place, value, [*keys, name])
            elif isinstance(value, str):
                yield place, [*keys, name], value

    def option_place(self, option):
        if not option or option.get("type") == "RequestPath":
            return None
        place = {"request_parameter": "query", "header": "header"}.get(option.get("inject_into"), "body")
        path = option.get("field_path") or [option.get("field_name")]
        return place, [str(self.known(key, option.get("$parameters"))) for key in path]

    def paging(self):
        paginator = self.stream["retriever"].get("paginator") or {}
        self.strategy = paginator.get("pagination_strategy") or {}
        self.kind = self.strategy.get("type") if paginator.get("type") == "DefaultPaginator" else None
        size = self.known(self.strategy.get("page_size"), self.strategy.get("$parameters"))
        self.size = int(size) if size not in (None, "") and str(size).isdigit() else None
        self.is_link = (paginator.get("page_token_option") or {}).get("type") == "RequestPath"
        self.token_place = self.option_place(paginator.get("page_token_option"))
        self.token_templates = [
            (place, keys, template)
            for place, keys, template in self.options()
            if keys is not None and "next_page_token" in template
        ]

    def token(self, request):
        if self.token_place is not None:
            found = request.at(*self.token_place)
            if found is not None:
                return found
        for place, keys, template in self.token_templates:
            found = request.at(place, keys)
            if found is not None:
                return found
        return None

    def page(self, request):
        if "__page" in request.query:
            return int(request.query["__page"])
        if self.kind in (None, "OffsetIncrement"):
            return 0
        token = self.token(request)
        if token is None or token == "":
            return 0
        if self.kind == "PageIncrement":
            return int(token) - int(self.strategy.get("start_from_page") or 0)
        found = self.api.tokens.get((id(self), str(token)))
        if found is None:
            # A first request may carry a token of its own.
            self.api.odd.append(f"{self.stream.get('name')}: the token {str(token)[:80]!r} was never given")
            return 0
        return found

    def offset(self, request):
        return int(self.token(request) or 0)

    def window_places(self):
        made = {"start": [], "end": []}
        for side in made:
            place = self.option_place(self.cursor.get(f"{side}_time_option"))
            if place is not None:
                made[side].append((*place, None))
        for place, keys, template in self.options():
            if not WINDOW.search(template) or keys is None:
                continue
            sides = []
            parts = re.split(r"(\{\{.*?\}\})", template, flags=re.S)
            pattern = ""
            for part in parts:
                if not part.startswith("{{"):
                    pattern += re.escape(part)
                elif WINDOW.search(part):
                    sides.append("end" if "end" in part else "start")
                    pattern += "(.+?)"
                else:
                    pattern += ".*?"
            for index, side in enumerate(sides):
                made[side].append((place, keys, (re.compile(pattern, re.S), index + 1)))
        return made

    def window(self, request):
        def bound(side):
            for place, keys, pattern in self.windows[side]:
                found = request.at(place, keys)
                if found is None:
                    continue
                text = str(found)
                if pattern is not None:
                    match = pattern[0].fullmatch(text)
                    if match is None:
                        continue
                    text = match[pattern[1]]
                return moment_from(text, self.forms())
            return None

        return bound("start"), bound("end")

    def forms(self):
        return [form for form in [self.cursor.get("datetime_format"), *(self.cursor.get("cursor_datetime_formats") or [])] if form]

    def cursor_form(self):
        return next(iter([*(self.cursor.get("cursor_datetime_formats") or []), self.cursor.get("datetime_format")]), None)

    # -- the records

    def record(self, seed, index):
        made = {name: value_of(name, schema, seed, index) for name, schema in self.properties.items()}
        for path in [*([[key] if isinstance(key, str) else key for key in self.key] or [["id"]]), *self.needed]:
            is_text = self.kind_of(path) == "string"
            ensure(made, path, f"{'-'.join(path)}-{seed}-{index}" if is_text else seed * 100 + index)
        if self.cursor.get("type") == "DatetimeBasedCursor" and self.cursor_field:
            moment = START + timedelta(days=DAYS[index % len(DAYS)], hours=index // len(DAYS), minutes=13, seconds=7)
            for path in [[self.cursor_field], *self.computed_cursor()]:
                ensure(made, path, formatted(moment, self.cursor_form() or "%Y-%m-%dT%H:%M:%SZ"), force=True)
        elif self.cursor_field:
            ensure(made, [self.cursor_field], seed * 100 + index, force=True)
        return made

    def computed_cursor(self):
        """Where the cursor comes from, if a new field takes it from another one."""
        for step in self.stream.get("transformations") or []:
            for field in step.get("fields") or [] if step.get("type") == "AddFields" else []:
                if field.get("path") == [self.cursor_field]:
                    yield from (keys for _, *keys in places_in(str(field.get("value")), RECORD) if keys and all(isinstance(key, str) for key in keys))

    def kind_of(self, path):
        schema = {"properties": self.properties}
        for key in path:
            schema = ((schema or {}).get("properties") or {}).get(key)
        return kind_of(schema or {"type": "integer"})


class Api:
    def __init__(self, manifest, config, origin):
        self.config = config
        self.origin = origin
        self.tokens = {}
        self.odd = []
        self.signed = set()
        self.found = {}
        self.lock = threading.Lock()
        self.routes = []
        self.session = {"access_token": "token-of-the-simulation", "token_type": "bearer", "expires_in": 86_400}
        seen = {}
        for stream in manifest.get("streams", []):
            self.add(stream, seen)
        for path in paths_at(manifest, "session_token_path"):
            ensure(self.session, [str(key) for key in path], "session-of-the-simulation")
        for key in strings_at(manifest, "access_token_name"):
            self.session[key] = "token-of-the-simulation"

    def write_signed(self, file_name):
        with self.lock, open(file_name, "w", encoding="utf-8") as file:
            json.dump(sorted(self.signed), file)
            self.signed.clear()

    def add(self, stream, seen):
        if stream.get("type") == "StateDelegatingStream":
            stream = stream["incremental_stream"]
        retriever = stream.get("retriever") or {}
        if retriever.get("type") != "SimpleRetriever":
            return None
        text = json.dumps(stream, sort_keys=True, default=str)
        if text in seen:
            return seen[text]
        try:
            route = seen[text] = Route(stream, self)
        except Exception as error:
            self.odd.append(f"{stream.get('name')}: no answers ({error})")
            return None
        self.routes.append(route)
        for config in parents_of(retriever.get("partition_router")):
            parent = self.add(config.get("stream") or {}, seen)
            if parent is None:
                continue
            parent.needed.append(str(parent.known(config["parent_key"], config.get("$parameters"))).split("."))
            for extra in config.get("extra_fields") or []:
                parent.needed.append([str(key) for key in (extra if isinstance(extra, list) else [extra])])
        return route

    def answer(self, request):
        path = tidy(unquote(request.path))
        fitting = [route for route in self.routes if route.pattern.fullmatch(path)]
        # An answer may write `bearer` in its own way, which means the same.
        signed = {"authorization": re.sub("^bearer ", "Bearer ", request.headers.get("authorization") or "", flags=re.I)}
        if not fitting:
            asked = {"method": request.method, "path": path, "query": request.query, "body": request.body}
            self.signed.add(json.dumps({**asked, **signed}, sort_keys=True))
            return {}, self.session
        self.signed.add(json.dumps(signed, sort_keys=True))
        best = max(route.url for route in fitting)
        routes = [route for route in fitting if route.url == best]
        routes = [route for route in routes if route.method == request.method] or routes
        return self.page(routes, request, path)

    def page(self, routes, request, path):
        route = next((one for one in routes if one.kind is not None), routes[0])
        page = max(one.page(request) for one in routes)
        seed = zlib.crc32(json.dumps([path, request.identity(routes)], sort_keys=True).encode()) % 90_000 + 10_000
        total = 3 if route.kind is None else 2 * (route.size or 2) + 1
        total = min(total, 450)
        records = []
        for index in range(total):
            record = {}
            for one in reversed(routes):
                record.update(one.record(seed, index))
            records.append(record)
        for one in routes:
            start, end = one.window(request)
            if one.cursor.get("type") == "DatetimeBasedCursor":
                records = [record for record in records if is_within(record.get(one.cursor_field), start, end, one.forms())]
        for size in [route.size] if route.size else [2, *numbers_in(route.strategy.get("stop_condition"))]:
            first = route.offset(request) if route.kind == "OffsetIncrement" else page * size
            chunk = records[first : first + size]
            is_last = first + size >= len(records)
            body = placed(routes, chunk)
            if route.kind != "CursorPagination":
                return {}, body
            made = self.leading(route, request, body, chunk, page, is_last)
            if made is None and is_last and chunk:
                # Such a list ends with a page without records only.
                made = self.leading(route, request, body, chunk, page, False)
            if made is not None:
                return made
        self.odd.append(f"{route.stream.get('name')}: no values lead to page {page + 2}")
        return {}, placed(routes, records)

    def leading(self, route, request, body, chunk, page, is_last):
        """Headers and body with values that lead to the next page, or end the list."""
        value, stop = route.strategy.get("cursor_value"), route.strategy.get("stop_condition")
        places = [one for one in places_in(f"{value or ''} {stop or ''}") if not is_taken(body, one)]
        link = self.origin + request.with_page(page + 1)
        options = [
            (link, f"token-{page + 2}", page + 2, page + 1, True, False, None, LAST, 0, 3, ""),
            (LAST, None, False, True, "", page + 1, 0, 3, "None"),
        ][is_last]
        own = set(places_in(str(value or "")))
        memory = (id(route), is_last, len(chunk) > 0)
        if self.found.get(memory) == "nothing":
            return None
        orders = [self.order(options, place in own, bool(FLAG.search(str(place[-1]))), is_last) for place in places]
        tries = itertools.product(*orders)
        if memory in self.found:
            tries = itertools.chain([[options[at] for at in self.found[memory]]], tries)
        for made in itertools.islice(tries, 3_000):
            headers, whole = {}, json.loads(json.dumps(body))
            if not all(put(whole, headers, place, one) for place, one in zip(places, made) if one is not LAST):
                continue
            try:
                token = self.token(route, whole, headers, chunk)
            except Exception:
                continue
            if is_last == (token is None):
                if token is not None and not route.is_link:
                    known = self.tokens.setdefault((id(route), str(token)), page + 1)
                    if known != page + 1:
                        continue
                if token is not None and route.is_link and "__page" not in str(token):
                    continue
                if token is None and chunk and "last_record" in str(value):
                    # A keyset may also ask for what is behind the last record, and gets nothing.
                    behind = JINJA.eval(str(value), self.config, response=whole, last_record=chunk[-1])
                    self.tokens.setdefault((id(route), str(behind)), page + 1)
                # `True == 1`: only the same value is meant.
                self.found[memory] = [next(at for at, option in enumerate(options) if option is one) for one in made]
                return {name: str(one) for name, one in headers.items()}, whole
        self.found[memory] = "nothing"
        return None

    @staticmethod
    def order(options, is_own, is_flag, is_last):
        if is_flag:
            return sorted(options, key=lambda one: not isinstance(one, bool))
        if is_last or is_own:
            return list(options)
        return [*options[4:], *options[:4]]

    def token(self, route, body, headers, chunk):
        given = dict(headers)
        given["link"] = links_of(headers)
        last = chunk[-1] if chunk else None
        context = {
            "response": body,
            "headers": given,
            "last_record": last,
            "last_page_size": len(chunk),
            "page_size": route.size,
            "parameters": route.strategy.get("$parameters", {}),
        }
        stop = route.strategy.get("stop_condition")
        if stop and is_true(JINJA.eval(stop, self.config, **context)):
            return None
        return JINJA.eval(str(route.strategy.get("cursor_value")), self.config, **context) or None


FLAG = re.compile(r"^(has|is)|more$|done|complete|truncated|last_?page$", re.I)


MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d")


class Request:
    def __init__(self, handler):
        parts = urlsplit(handler.path)
        self.method = handler.command
        self.raw = handler.path
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        length = int(handler.headers.get("content-length") or 0)
        text = handler.rfile.read(length).decode("utf-8", "replace")
        try:
            self.body = json.loads(text) if text else {}
        except ValueError:
            self.body = dict(parse_qsl(text, keep_blank_values=True)) or {"text": text}

    def at(self, place, keys):
        if place == "header":
            return self.headers.get(keys[-1].lower())
        node = self.query if place == "query" else self.body
        if isinstance(node, dict) and ".".join(keys) in node:
            return node[".".join(keys)]
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return None
            node = node[key]
        return node

    def with_page(self, page):
        return f"{self.path}?{urlencode({**self.query, '__page': page})}"

    def identity(self, routes):
        """What says which records there are: everything but the page and the window."""
        gone = {("query", "__page")}
        for route in routes:
            if route.token_place is not None:
                gone.add((route.token_place[0], ".".join(route.token_place[1])))
            gone.update((place, ".".join(keys)) for place, keys, _ in route.token_templates)
            for places in route.windows.values():
                gone.update((place, ".".join(keys)) for place, keys, _ in places)
        # A request that names the moment of the run names another one a second later.
        query = sorted((name, MOMENT.sub(r"\1", value)) for name, value in self.query.items() if ("query", name) not in gone)
        return [query, without(self.body, gone)]


class Handler(BaseHTTPRequestHandler):
    api = None
    protocol_version = "HTTP/1.1"

    def respond(self):
        request = Request(self)
        try:
            with self.api.lock:
                headers, body = self.api.answer(request)
            status = 200
        except Exception as error:
            self.api.odd.append(f"{request.method} {request.raw[:200]}: {type(error).__name__}: {error}")
            headers, body, status = {}, {"message": f"the simulation failed: {error}"}, 400
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


# ---- small things -----------------------------------------------------------------------------------------------------


def tidy(path):
    return re.sub(r"/+", "/", path).rstrip("/")


def is_true(value):
    return value not in (False, None, "", "False", "false", 0, [], {}, "[]", "{}")


def parents_of(router):
    for one in router if isinstance(router, list) else [router] if router else []:
        if one.get("type") == "GroupingPartitionRouter":
            yield from parents_of(one.get("underlying_partition_router"))
        else:
            yield from one.get("parent_stream_configs") or []


def keys_of(key):
    keys = key if isinstance(key, list) else [key] if key else []
    return [one for one in keys if one and "{" not in str(one)]


def kind_of(schema):
    kind = (schema or {}).get("type")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if one and one != "null"]
    return kinds[0] if kinds else None


def value_of(name, schema, seed, index, depth=0):
    schema = schema if isinstance(schema, dict) else {}
    for choice in ("anyOf", "oneOf"):
        if "type" not in schema and schema.get(choice):
            schema = next((one for one in schema[choice] if kind_of(one)), {})
    kind = kind_of(schema)
    if schema.get("enum"):
        choices = [one for one in schema["enum"] if one is not None]
        return choices[index % len(choices)] if choices else None
    moment = START + timedelta(days=index % 30, hours=1)
    if kind == "integer":
        return seed * 100 + index
    if kind == "number":
        return seed + index + 0.5
    if kind == "boolean":
        return index % 2 == 0
    if kind == "array":
        return [] if depth > 2 else [value_of(name, schema.get("items"), seed, index, depth + 1)]
    if kind == "object":
        members = schema.get("properties") or {}
        return {} if depth > 3 else {key: value_of(key, one, seed, index, depth + 1) for key, one in members.items()}
    if schema.get("format") == "date-time":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if schema.get("format") == "date":
        return moment.strftime("%Y-%m-%d")
    return f"{name}-{seed}-{index}"


def ensure(record, path, value, force=False):
    for key in path[:-1]:
        if not isinstance(record.get(key), dict):
            record[key] = {}
        record = record[key]
    if force or not isinstance(record.get(path[-1]), (str, int)) or isinstance(record.get(path[-1]), bool):
        record[path[-1]] = value


def placed(routes, records):
    """The records at every place where one of these streams looks for them."""
    body = {}
    for route in routes:
        path = [str(key) for key in route.field_path]
        if not path:
            return records
        body = merged(body, within(path, records))
    return body


def within(path, records):
    if not path:
        return records
    first, rest = path[0], path[1:]
    if first in ("*", "**"):
        if not rest:
            return {f"member-{index}": record for index, record in enumerate(records)}
        return [within(rest, record) for record in records]
    if first.isdigit():
        return [within(rest, records)]
    return {first: within(rest, records)}


def merged(left, right):
    if not isinstance(left, dict) or not isinstance(right, dict):
        return right or left
    return {key: merged(left.get(key), right[key]) if key in right else left[key] for key in {**left, **right}}


PLACE = re.compile(
    r"\b(response|headers)((?:\.get\(\s*['\"][^'\"]+['\"]\s*(?:,\s*[^()]*?)?\)|\[\s*['\"][^'\"]+['\"]\s*\]|\[\d+\]|\.(?!get\b|split\b|strip\b|items\b|keys\b)[A-Za-z_]\w*)+)"
)
IN = re.compile(r"['\"]([^'\"]+)['\"]\s+(?:not\s+)?in\s+(response|headers)((?:\.\w+|\[['\"][^'\"]+['\"]\]|\.get\(['\"][^'\"]+['\"][^)]*\))*)")


RECORD = re.compile(PLACE.pattern.replace("response|headers", "record"))


def places_in(template, pattern=None):
    template = template.replace("decoded_response", "response").replace('\\"', "'")
    found = []
    for root, chain in (pattern or PLACE).findall(template):
        keys = [a or b or (int(c) if c else d) for a, b, c, d in re.findall(
            r"\.get\(\s*['\"]([^'\"]+)['\"][^)]*\)|\[\s*['\"]([^'\"]+)['\"]\s*\]|\[(\d+)\]|\.([A-Za-z_]\w*)", chain)]
        found.append((root, *keys))
    for key, root, chain in IN.findall(template):
        keys = re.findall(r"\w[\w.@$-]*", chain.replace(".get", ""))
        found.append((root, *keys, key))
    unique = list(dict.fromkeys(found))
    deepest = [one for one in unique if not any(other[: len(one)] == one and other != one for other in unique)]
    return deepest[: 4 if pattern is None else 40]


def put(body, headers, place, value):
    root, *keys = place
    if root == "headers":
        name = str(keys[0])
        if name.lower() == "link":
            if isinstance(value, str) and value.startswith("http"):
                headers["Link"] = f'<{value}>; rel="{keys[1] if len(keys) > 1 else "next"}"'
            return isinstance(value, str) and value.startswith("http")
        if value is None:
            return False
        headers[name] = str(value)
        return True
    node = body
    for key in keys[:-1]:
        if isinstance(node, list) and isinstance(key, int):
            if key >= len(node):
                return False
            node = node[key]
            continue
        if not isinstance(node, dict):
            return False
        if not isinstance(node.get(key), (dict, list)):
            node[key] = {}
        node = node[key]
    if not isinstance(node, dict) or isinstance(node.get(keys[-1]), (dict, list)):
        return False
    node[keys[-1]] = value
    return True


def is_taken(body, place):
    """Whether the records lie there."""
    root, *keys = place
    node = body if root == "response" else None
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return isinstance(node, (dict, list))


def links_of(headers):
    match = re.fullmatch(r'<(.*)>; rel="(.*)"', headers.get("Link", ""))
    return {} if match is None else {match[2]: {"url": match[1], "rel": match[2]}}


def numbers_in(template):
    return [number for number in map(int, re.findall(r"<=?\s*(\d+)", str(template or ""))) if 2 < number <= 200]


def without(node, gone, keys=()):
    """A body without these places, with the moment of the run as in a query."""
    if isinstance(node, list):
        return [without(value, gone, keys) for value in node]
    if isinstance(node, str):
        return MOMENT.sub(r"\1", node)
    if not isinstance(node, dict):
        return node
    return {
        key: without(value, gone, (*keys, key))
        for key, value in node.items()
        if ("body", ".".join((*keys, key))) not in gone
    }


def formatted(moment, form):
    if form == "%s":
        return int(moment.timestamp())
    if form == "%s_as_float":
        return moment.timestamp()
    if form == "%ms":
        return int(moment.timestamp() * 1000)
    if form == "%epoch_microseconds":
        return int(moment.timestamp() * 1_000_000)
    return moment.strftime(form.replace("%_ms", "000"))


def moment_from(text, forms):
    """The moment, and whether the text names a day only."""
    text = str(text).strip("'\"")
    if re.fullmatch(r"\d{9,10}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), timezone.utc), False
    if re.fullmatch(r"\d{13}", text):
        return datetime.fromtimestamp(int(text) / 1000, timezone.utc), False
    if re.fullmatch(r"\d{16}", text):
        return datetime.fromtimestamp(int(text) / 1_000_000, timezone.utc), False
    is_day = re.search(r"\d:\d", text) is None
    for form in forms:
        try:
            moment = datetime.strptime(text, form.replace("%_ms", "%f"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)), is_day
        except ValueError:
            continue
    try:
        return ab_datetime_parse(text), is_day
    except ValueError:
        return None


def is_within(value, start, end, forms):
    found = moment_from(value, forms)
    if found is None:
        return True
    moment, is_day = found
    for bound, sign in ((start, 1), (end, -1)):
        if bound is None:
            continue
        left, right = (moment.date(), bound[0].date()) if is_day or bound[1] else (moment, bound[0])
        if (left < right) if sign == 1 else (left > right):
            return False
    return True


def paths_at(node, key):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, list):
                yield value
            yield from paths_at(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from paths_at(item, key)


def strings_at(node, key):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, str):
                yield value
            yield from strings_at(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from strings_at(item, key)


main()
