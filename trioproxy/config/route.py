"""Which request goes where, and what is changed on the way: virtual hosts and routes."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import attrs

from trioproxy.config.endpoint import check_scalars
from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.config.marks import ClusterName, Invalid, Length, Matching, Name, Port, Range
from trioproxy.config.retry import Retry
from trioproxy.config.units import Seconds

AbsolutePath = Annotated[str, Matching(r"/.*", "a path that starts with /")]
Token = Annotated[str, Matching(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "a method such as GET")]
Domain = Annotated[
    str,
    Matching(
        r"\*|\*?[^*\s/]+|[^*\s/]+\*", 'a domain: example.org, "*.example.org", "example.*" or "*"'
    ),
]


def one_of(part: object, *names: str) -> None:
    """Raise Invalid unless exactly one of the fields `names` of `part` is set."""
    given = [name for name in names if getattr(part, name) not in (None, False, ())]
    if not given:
        raise Invalid(f"expected one of {', '.join(names)}")
    if len(given) > 1:
        raise Invalid(f"{' and '.join(given)} exclude each other", given[1])


@attrs.frozen
class ValueMatch:
    """A test of one named value; exactly one way of testing, `present: true` if none is given."""

    name: Annotated[Name, "Whose value is tested"]
    exact: Annotated[str | None, "The value is this"] = None
    prefix: Annotated[str | None, "The value starts so"] = None
    suffix: Annotated[str | None, "The value ends so"] = None
    contains: Annotated[str | None, "The value has this in it"] = None
    regex: Annotated[re.Pattern[str] | None, "The whole value matches"] = None
    present: Annotated[bool | None, "Whether there is such a value at all"] = None
    invert: Annotated[bool, "Turn the verdict round"] = False

    def __attrs_post_init__(self) -> None:
        tests = ("exact", "prefix", "suffix", "contains", "regex", "present")
        given = [name for name in tests if getattr(self, name) is not None]
        if len(given) > 1:
            raise Invalid(f"{' and '.join(given)} exclude each other", given[1])


@attrs.frozen
class HeaderMatch(ValueMatch):
    """A test of a request header; several fields of one name are joined by commas."""


@attrs.frozen
class QueryParameterMatch(ValueMatch):
    """A test of a parameter of the query string, decoded; its first occurrence counts."""


@attrs.frozen
class RouteMatch:
    """Which requests: by one of `prefix`, `path`, `regex`, `connect`, and all the rest."""

    prefix: Annotated[AbsolutePath | None, "The path starts so"] = None
    path: Annotated[AbsolutePath | None, "The path, without its query, is this"] = None
    regex: Annotated[re.Pattern[str] | None, "The whole path, without its query, matches"] = None
    connect: Annotated[bool, "The method is CONNECT"] = False
    case_sensitive: Annotated[bool, "Whether case counts for `prefix` and `path`"] = True
    methods: Annotated[tuple[Token, ...], "The method is one of these; empty: any"] = ()
    headers: Annotated[tuple[HeaderMatch, ...], "All of these hold"] = ()
    query_parameters: Annotated[tuple[QueryParameterMatch, ...], "All of these hold"] = ()

    def __attrs_post_init__(self) -> None:
        one_of(self, "prefix", "path", "regex", "connect")


@attrs.frozen
class WeightedCluster:
    """One of several clusters that share a route's requests."""

    name: Annotated[ClusterName, "The cluster"]
    weight: Annotated[int, Range(0, 1_000_000), "Its share beside the others'"]


@attrs.frozen
class RegexRewrite:
    """A rewrite of the path by regular expression."""

    pattern: Annotated[re.Pattern[str], "What is replaced, everywhere in the path"]
    substitution: Annotated[str, "What stands there instead; `\\1` is the first group"]

    def __attrs_post_init__(self) -> None:
        try:
            self.pattern.sub(self.substitution, "")
            re.compile(f"(?:{self.pattern.pattern})|").sub(self.substitution, "", count=1)
        except (re.error, IndexError) as error:
            raise Invalid(f"not a substitution for this pattern: {error}", "substitution") from None


@attrs.frozen
class Cookie:
    """A cookie, by which a client stays with its host."""

    short: ClassVar[str] = "name"

    name: Annotated[Token, "Its name"]
    ttl: Annotated[
        Seconds | None,
        "A client without it is sent one that lasts so long; 0s: for its session; null: is not",
    ] = None
    path: Annotated[
        Annotated[str, Matching(r"/[^;\s]*", "a path that starts with /")] | None,
        "The path of one that is sent; null: the request's",
    ] = None


@attrs.frozen
class HashPolicy:
    """A part of the request's key: exactly one of `header`, `cookie` and `source_ip`."""

    header: Annotated[Name | None, "The value of this field"] = None
    cookie: Annotated[Cookie | None, "The value of this cookie"] = None
    source_ip: Annotated[bool, "The address of the client's connection"] = False
    terminal: Annotated[bool, "Those after it are not asked once there is a part"] = False

    def __attrs_post_init__(self) -> None:
        one_of(self, "header", "cookie", "source_ip")


@attrs.frozen
class RouteAction:
    """Send the request to a cluster."""

    later: ClassVar[tuple[str, ...]] = ("drain",)

    cluster: Annotated[ClusterName | None, "The cluster"] = None
    weighted_clusters: Annotated[tuple[WeightedCluster, ...], "Or several, by weight"] = ()
    timeout: Annotated[
        Seconds,
        "From the end of the request to the response head, queue and retries included; 0: none",
    ] = 15.0
    idle_timeout: Annotated[
        Seconds | None, "Nothing moves for so long; null: the connection manager's; 0: none"
    ] = None
    prefix_rewrite: Annotated[AbsolutePath | None, "Replaces the matched prefix or path"] = None
    regex_rewrite: Annotated[RegexRewrite | None, "Rewrites the path"] = None
    host_rewrite: Annotated[Name | None, "Replaces the host"] = None
    retry: Annotated[Retry | None, "When and how often another attempt is made; null: never"] = None
    hash_policy: Annotated[
        tuple[HashPolicy, ...],
        "What makes the key that `lb_policy` ring_hash and maglev go by; without one: chance",
    ] = ()
    metadata_match: Annotated[
        Mapping[str, object], "The cluster's subset: what its hosts' metadata has"
    ] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        one_of(self, "cluster", "weighted_clusters")
        check_scalars(self.metadata_match, "metadata_match")
        if self.weighted_clusters and not any(each.weight for each in self.weighted_clusters):
            raise Invalid("the weights add up to 0", "weighted_clusters")
        if self.prefix_rewrite is not None and self.regex_rewrite is not None:
            raise Invalid("prefix_rewrite and regex_rewrite exclude each other", "regex_rewrite")


@attrs.frozen
class Redirect:
    """Answer with a redirect; what is not named stays as requested."""

    scheme: Annotated[Literal["http", "https"] | None, "Its scheme"] = None
    host: Annotated[Name | None, "Its host"] = None
    port: Annotated[Port | None, "Its port"] = None
    path: Annotated[AbsolutePath | None, "Its path, with a query if it has one"] = None
    prefix_rewrite: Annotated[AbsolutePath | None, "Replaces the matched prefix"] = None
    strip_query: Annotated[bool, "Leave the query out"] = False
    status: Annotated[Literal[301, 302, 303, 307, 308], "The status"] = 301

    def __attrs_post_init__(self) -> None:
        if self.path is not None and self.prefix_rewrite is not None:
            raise Invalid("path and prefix_rewrite exclude each other", "prefix_rewrite")


@attrs.frozen
class DirectResponse:
    """Answer at once."""

    status: Annotated[int, Range(200, 599), "The status"]
    body: Annotated[str, "The body, sent as UTF-8"] = ""


@attrs.frozen
class Route:
    """Requests that match, and one of `route`, `redirect` and `direct_response`."""

    match: Annotated[RouteMatch, "Which requests"]
    route: Annotated[RouteAction | None, "Send them to a cluster"] = None
    redirect: Annotated[Redirect | None, "Redirect them"] = None
    direct_response: Annotated[DirectResponse | None, "Answer them at once"] = None
    request_headers: Annotated[HeaderOperations, "Changes to the request's headers"] = UNCHANGED
    response_headers: Annotated[HeaderOperations, "Changes to the response's headers"] = UNCHANGED
    name: Annotated[str, "Its name in logs"] = ""

    def __attrs_post_init__(self) -> None:
        one_of(self, "route", "redirect", "direct_response")


@attrs.frozen
class VirtualHost:
    """The routes of some domains; the first route that matches takes the request."""

    name: Annotated[Name, "Its name in logs and statistics"]
    domains: Annotated[
        tuple[Domain, ...],
        Length(1),
        'Exact, `"*.suffix"`, `"prefix.*"` or `"*"`; the most exact one wins, ports are ignored',
    ]
    routes: Annotated[tuple[Route, ...], "In order"]
    request_headers: Annotated[HeaderOperations, "Changes to the request's headers"] = UNCHANGED
    response_headers: Annotated[HeaderOperations, "Changes to the response's headers"] = UNCHANGED
