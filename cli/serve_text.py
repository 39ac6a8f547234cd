"""Endpoints as people and scripts read them: what answers, what is on its way, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.completion import complete_endpoint
from cli.records import Record, tag_texts
from cli.session import is_server
from cli.values import show_local, show_size
from raykqi.errors import Conflict

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.endpoint import Endpoint, EndpointSpec, Gate, Revision

__all__ = ["STATUS_STYLES", "EndpointName", "binding_of", "endpoint_record", "next_step", "since", "spec_facts"]
__all__ += ["address_of", "one_line", "state_of"]

STATUS_STYLES = {
    "waiting": "yellow",
    "loading": "cyan",
    "canary": "cyan",
    "live": "green",
    "failed": "red",
    "withdrawn": "dim",
    "retired": "dim",
}
EndpointName = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of an endpoint.", autocompletion=complete_endpoint)
]


def endpoint_record(endpoint: Endpoint) -> Record:
    """`id name project state spec{binding{data tags[]} …} … revisions[]{number data status history[] …}`."""
    record: Record = msgspec.to_builtins(endpoint)
    tags = {"tags": tag_texts(endpoint.spec.binding.tags)} if endpoint.spec.binding.tags else {}
    record["spec"]["binding"] |= tags
    if endpoint.spec.sampling.tags:
        record["spec"]["sampling"]["tags"] = tag_texts(endpoint.spec.sampling.tags)
    return record | {"state": state_of(endpoint)}


def state_of(endpoint: Endpoint) -> str:
    """In one word or two."""
    if endpoint.is_paused:
        return "paused"
    coming = endpoint.coming
    if endpoint.live:
        return f"live, {coming.status} {coming.number}" if coming else "live"
    if coming:
        return coming.status
    return "failed" if endpoint.revisions and endpoint.revisions[-1].status == "failed" else "waiting"


def address_of(workspace: AnyWorkspace, name: str) -> str:
    """Where it is asked: at the server of the workspace, if one is known here."""
    from raykqi.client.target import server_of
    from raykqi.settings import ServerSettings

    url = workspace.url
    if not is_server(url):
        try:
            url = server_of(workspace.id, url, ServerSettings.from_env()).url
        except Conflict:
            return ""
    return f"{url}/endpoints/{name}"


def one_line(text: str) -> str:
    return " ".join(text.split())


def binding_of(endpoint: Endpoint) -> str:
    binding = endpoint.spec.binding
    follows = f"data {binding.data}" if binding.data else " ".join(tag_texts(binding.tags))
    return f"{follows} (pinned)" if endpoint.is_pinned else follows


def spec_facts(spec: EndpointSpec) -> Iterator[tuple[str, str]]:
    """What was asked for that is not as usual, and what matters always."""
    loading, scale, resources, sampling = spec.loading, spec.scale, spec.resources, spec.sampling
    yield "predictor", loading.predictor
    yield "provider", "" if loading.provider == "auto" else loading.provider
    yield "trusts", "any pickle: loading it runs its code" if loading.trust_pickle else ", ".join(loading.trust)
    yield from (("env", f"{name}={value}") for name, value in loading.environment.items())
    replicas = f"{scale.least} to {scale.most}" if scale.least != scale.most else f"{scale.most}"
    zero = f"; none after {scale.idle:g} s without requests" if scale.least == 0 else ""
    yield "replicas", f"{replicas}, {scale.target:g} requests at a time each{zero}"
    asked = [f"cpu={resources.cpu:g}", f"gpu={resources.gpu:g}" if resources.gpu else ""]
    asked.append(f"memory={show_size(resources.memory)}" if resources.memory else "")
    yield "resources", "  ".join(filter(None, asked))
    yield "batching", f"{spec.batching.most} at most, within {spec.batching.latency_ms:g} ms"
    limits = spec.limits
    rate = f", {limits.rate:g} a second" if limits.rate else ""
    yield "limits", f"{show_size(limits.body)} a request, {limits.timeout:g} s, {limits.queue:,} waiting{rate}"
    yield "gate", _gate(spec.gate)
    canary = spec.canary
    yield (
        "canary",
        f"{canary.share:.0%} for {canary.seconds:g} s and {canary.requests:,} requests" if canary.share else "",
    )
    yield "guard", _guard(spec)
    tagged = f", tagged {' '.join(tag_texts(sampling.tags))}" if sampling.tags else ""
    yield "samples", f"{sampling.share:.0%} of requests{tagged}" if sampling.share else ""
    yield "asked by", "anybody, without a token" if spec.is_public else ""
    yield "surge", "" if spec.surge else "no: the old model goes before the new one is loaded"


def next_step(endpoint: Endpoint) -> str:
    """What somebody who looks at it would do now, if anything."""
    name, coming, live = endpoint.name, endpoint.coming, endpoint.live
    if endpoint.is_paused:
        return f"raykqi serve resume {name}"
    if coming and coming.status == "waiting":
        return f"raykqi serve promote {name} {coming.number}"
    if coming and coming.status == "canary":
        return f"raykqi serve promote {name}, or raykqi serve rollback {name}"
    if coming:
        return f"raykqi serve logs {name}"
    if endpoint.is_pinned:
        return f"raykqi serve follow {name}"
    if live is None and endpoint.spec.binding.tags and not endpoint.revisions:
        return f"raykqi data push MODEL {' '.join(f'-t {tag}' for tag in endpoint.spec.binding.tags)}"
    if live is None:
        return f"raykqi serve logs {name}"
    return f"raykqi serve ask {name} --test"


def since(revision: Revision) -> str:
    return show_local(revision.history[-1].at if revision.history else revision.created)


def _gate(gate: Gate) -> str:
    metric = ""
    if gate.metric:
        by = f" by {gate.least:g}" if gate.least else ""
        metric = f"{gate.metric} is {gate.goal}{by} than the current model's"
    who = f"approved by {' or '.join(gate.approvers)}" if gate.approvers else ""
    return ", and ".join(filter(None, [metric, who]))


def _guard(spec: EndpointSpec) -> str:
    guard = spec.guard
    bounds = [f"{guard.errors:.0%} errors" if guard.errors is not None else ""]
    bounds.append(f"a p99 of {guard.latency_ms:g} ms" if guard.latency_ms is not None else "")
    watched = " or ".join(filter(None, bounds))
    return f"goes back above {watched}, for {guard.seconds:g} s" if watched else "off"
