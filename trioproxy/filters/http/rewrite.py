"""Compiles what a route changes in a request's target: another path, another place altogether."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.config.route import Redirect, RegexRewrite, RouteAction, RouteMatch

Rewrite = Callable[[str], str]
"""A path with its query -> another one."""

Locate = Callable[[str, str, str], str]
"""(scheme, authority, path with its query) of a request -> the Location of its redirect."""

DEFAULT_PORTS = {"http": "80", "https": "443"}


def compile_rewrite(match: RouteMatch, action: RouteAction) -> Rewrite | None:
    """Return what rewrites the path; None where it stays."""
    if action.prefix_rewrite is not None:
        return _prefix_rewrite(match, action.prefix_rewrite)
    return None if action.regex_rewrite is None else _regex_rewrite(action.regex_rewrite)


def _prefix_rewrite(match: RouteMatch, replacement: str) -> Rewrite:
    """Replace the prefix that matched; a path that matched as a whole is replaced as a whole."""
    if match.prefix is not None:
        length = len(match.prefix)
        return lambda path: replacement + path[length:]
    return lambda path: replacement + "".join(path.partition("?")[1:])


def _regex_rewrite(config: RegexRewrite) -> Rewrite:
    substitute, substitution = config.pattern.sub, config.substitution

    def rewrite(path: str) -> str:
        bare, mark, query = path.partition("?")
        rewritten = substitute(substitution, bare)
        if not rewritten.startswith("/"):
            rewritten = "/" + rewritten
        return rewritten + mark + query

    return rewrite


def compile_redirect(match: RouteMatch, redirect: Redirect) -> Locate:
    """Return what makes the Location: an absolute URL, or a path where no host is known."""
    rewrite = _redirected_path(match, redirect)

    def locate(scheme: str, authority: str, path: str) -> str:
        host = _redirected_host(redirect, scheme, authority)
        target = rewrite(path)
        if not host:
            return "/" + target.lstrip("/")  # two slashes would name another host
        return f"{redirect.scheme or scheme}://{host}{target}"

    return locate


def _redirected_host(redirect: Redirect, scheme: str, authority: str) -> str:
    """Return host and port; the old scheme's default port does not go over into a new scheme."""
    host, port = split_port(authority)
    if redirect.host is not None:
        host, port = redirect.host, ""
    if redirect.port is not None:
        port = str(redirect.port)
    elif redirect.scheme not in (None, scheme) and port == DEFAULT_PORTS[scheme]:
        port = ""
    return f"{host}:{port}" if port else host


def _redirected_path(match: RouteMatch, redirect: Redirect) -> Rewrite:
    if redirect.path is not None:
        rewrite = _whole_path(redirect.path)
    elif redirect.prefix_rewrite is not None:
        rewrite = _prefix_rewrite(match, redirect.prefix_rewrite)
    else:
        rewrite = str
    if not redirect.strip_query:
        return rewrite
    return lambda path: rewrite(path.partition("?")[0])


def _whole_path(replacement: str) -> Rewrite:
    if "?" in replacement:
        return lambda _path: replacement
    return lambda path: replacement + "".join(path.partition("?")[1:])


def split_port(authority: str) -> tuple[str, str]:
    """Return host and port of an authority; the port is empty where it names none."""
    host, colon, port = authority.rpartition(":")
    if colon and (port.isdigit() or not port):
        return host, port
    return authority, ""
