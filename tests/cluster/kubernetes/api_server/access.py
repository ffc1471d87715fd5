"""Who may do what: users by bearer token, and the rules of roles that are bound to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.cluster.kubernetes.api_server.asked import Asked
from tests.cluster.kubernetes.api_server.registry import Registry
from tests.cluster.kubernetes.api_server.resources import Document

RBAC = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT = "system:serviceaccount"
REVIEWS = "selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class User:
    """One who asks."""

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)


ADMINISTRATOR = User("kubernetes-admin", ("system:masters", "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


def service_account(namespace: str, name: str) -> User:
    """The user as whom the pods of a ServiceAccount ask."""
    groups = (f"{SERVICE_ACCOUNT}s", f"{SERVICE_ACCOUNT}s:{namespace}", "system:authenticated")
    return User(f"{SERVICE_ACCOUNT}:{namespace}:{name}", groups)


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One verb on one resource (``pods/eviction`` for a subresource), on all objects or on those of some names."""

    verb: str
    group: str
    resource: str
    names: tuple[str, ...] = ()


def permissions(role: Document) -> Iterator[Permission]:
    """What a Role or ClusterRole grants."""
    for rule in role.get("rules") or ():
        names = tuple(rule.get("resourceNames", ()))
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for verb in rule["verbs"]:
                    yield Permission(verb, group, resource, names)


def why_forbidden(registry: Registry, user: User, asked: Asked) -> str | None:
    """Why ``user`` may not do what is asked, in the words of the real server; None when that is allowed."""
    if "system:masters" in user.groups or (asked.resource == REVIEWS and user is not ANONYMOUS):
        return None
    if not asked.resource:
        return None if user is not ANONYMOUS else f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    if any(_covers(permission, asked) for permission in granted(registry, user, asked.namespace)):
        return None
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    resource = asked.full_resource
    return f'User "{user.name}" cannot {asked.verb} resource "{resource}" in API group "{asked.group}" {where}'


def granted(registry: Registry, user: User, namespace: str) -> Iterator[Permission]:
    """What ``user`` may do in a namespace, or on the whole cluster when it is empty."""
    for binding in _stored(registry, "clusterrolebindings", ""):
        if _binds(binding, user):
            yield from _bound(registry, binding, "")
    if namespace:
        for binding in _stored(registry, "rolebindings", namespace):
            if _binds(binding, user):
                yield from _bound(registry, binding, namespace)


def _stored(registry: Registry, plural: str, namespace: str) -> Iterable[Document]:
    return registry.selected(registry.resource(RBAC, "v1", plural), namespace)


def _binds(binding: Document, user: User) -> bool:
    return any(_is_subject(subject, binding, user) for subject in binding.get("subjects", ()))


def _is_subject(subject: Document, binding: Document, user: User) -> bool:
    if subject["kind"] == "ServiceAccount":
        namespace = subject.get("namespace", binding["metadata"].get("namespace", ""))
        return user.name == service_account(namespace, subject["name"]).name
    return bool(subject["name"] == user.name if subject["kind"] == "User" else subject["name"] in user.groups)


def _bound(registry: Registry, binding: Document, namespace: str) -> Iterator[Permission]:
    reference = binding["roleRef"]
    plural, where = ("roles", namespace) if reference["kind"] == "Role" else ("clusterroles", "")
    for role in _stored(registry, plural, where):
        if role["metadata"]["name"] == reference["name"]:
            yield from permissions(role)


def _covers(permission: Permission, asked: Asked) -> bool:
    return (
        permission.verb in ("*", asked.verb)
        and permission.group in ("*", asked.group)
        and permission.resource in ("*", asked.full_resource)
        and (not permission.names or asked.name in permission.names)
    )
