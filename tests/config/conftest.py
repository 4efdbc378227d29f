"""A registry of filters that exist for the tests alone, and short ways to read a text."""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import attrs
import pytest

from trioproxy.config.loader import Loaded, load
from trioproxy.config.marks import ClusterName, Invalid, Later, Length, OneOf, Unique
from trioproxy.config.problems import ConfigError
from trioproxy.config.registry import Registry
from trioproxy.config.route import VirtualHost
from trioproxy.config.units import Bytes

GOOD = """\
admin: {address: "unix:admin.sock"}
python_path: [filters]
listeners:
- name: web
  address: 127.0.0.1:10000
  filters:
  - http:
      virtual_hosts:
      - name: all
        domains: ["*"]
        response_headers: {set: {x-served-by: edge-1}, remove: [server]}
        routes:
        - match: {prefix: /v1/, headers: [{name: x-canary, exact: "1"}]}
          route: {cluster: app, retry: {on: [connect_failure, 5xx], attempts: 2, budget: 20%}}
        - match: {regex: "/[a-z]+"}
          redirect: {path: /new, status: 308}
        - {match: {prefix: /}, direct_response: {status: 404, body: "not here\\n"}}
clusters:
- name: app
  endpoints: [127.0.0.1:8080, {address: "[::1]:8081", weight: 2}]
"""

BAD = """\
drian: {}
listeners:
- name: web
  address: localhost:80
  adress: 127.0.0.1:80
  filters: [{tcp: {cluster: ap}}, {tpc: {}}]
- name: web
  address: 127.0.0.1:81
  listener_filters: []
  filter_chains:
  - tls: {}
    filters:
    - http:
        virtual_hosts:
        - name: all
          domains: [a, "*", a]
          routes:
          - match: {prefix: /, path: /}
            route: {cluster: app, timeout: 15}
          - match: {regex: "("}
            direct_response: {status: yes}
clusters:
- name: app
  lb_policy: ring-hash
  drain: {}
  endpoints: [{address: 127.0.0.1:80, weight: 0}]
"""


@attrs.frozen
class Tcp:
    """Ends a chain."""

    later: ClassVar[tuple[str, ...]] = ("drain",)

    cluster: Annotated[ClusterName, "Where to"]


@attrs.frozen
class Answer:
    """An HTTP filter without keys."""


@attrs.frozen
class Python:
    """An HTTP filter that names something outside, with content of any shape."""

    filter: Annotated[str, "A name"]
    config: Annotated[Mapping[str, object], "Anything"] = attrs.Factory(dict)

    def verify(self) -> None:
        if self.filter.startswith("missing"):
            raise ValueError(f"cannot import {self.filter}")


@attrs.frozen
class Http:
    """Ends a chain."""

    virtual_hosts: Annotated[
        tuple[VirtualHost, ...], Unique(("name", "domains")), "Virtual hosts"
    ] = ()
    http_filters: Annotated[
        tuple[Annotated[object, OneOf("http")], ...], Length(1), "HTTP filters"
    ] = (Answer(),)
    codec_type: Annotated[Literal["auto", "http1"], Later(("http2",)), "Which HTTP"] = "auto"
    max_request_headers: Annotated[Bytes, "The largest head"] = 61440

    def __attrs_post_init__(self) -> None:
        if self.max_request_headers == 0:
            raise Invalid("too small for any head", "max_request_headers")


@pytest.fixture
def registry() -> Registry:
    return Registry(
        network={"tcp": Tcp, "http": Http},
        http={"answer": Answer, "python": Python},
        later=("compressor",),
    )


@pytest.fixture
def loaded(registry: Registry) -> Callable[[str], Loaded]:
    return lambda text: load(None, text, registry)


@pytest.fixture
def mistakes(registry: Registry) -> Callable[[str], list[str]]:
    """Return each mistake in a text as `line:column: reason`."""

    def find(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(None, text, registry).verify()
        return [str(problem).removeprefix("--config-yaml:") for problem in caught.value.problems]

    return find


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def bad() -> str:
    return BAD
