"""Tenants and keys as a configuration names them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, SecretStr, model_validator

from deployments.gateway.effort import Effort
from deployments.section import Name, PositiveInt, Section, refuse_repetition
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.keys import KEY_ID, digest_of, parse_key
from deployments.tenancy.tenant import SCOPES, USUAL_BANDS, Band, KeyRecord, Limits, Scope, Tenant

Rate = Annotated[int, Field(gt=0, le=10**11)]


def _moment(value: object) -> object:
    """YAML has moments of its own; JSON, and with it the document that Ray Serve is given, has them as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Budget = Annotated[int, Field(gt=0, le=2**53)]


class TenantLimits(Section):
    """How much a tenant may do; null sets no limit.

    Work is in work units: position-forwards times the model's ``work_weight``. Above the bounds the server's numbers
    would not be exact any more.
    """

    requests_per_minute: Rate | None = None
    """Requests a minute."""

    tokens_per_minute: Rate | None = None
    """Tokens of prompts and answers a minute."""

    work_per_minute: Rate | None = None
    """Work a minute."""

    concurrency: PositiveInt | None = None
    """Requests at one time, from their acceptance to their end."""

    work_per_day: Budget | None = None
    """Work a day of UTC."""

    work_per_month: Budget | None = None
    """Work a month of UTC."""

    queued: PositiveInt | None = 256
    """Requests that wait for their turn at one model at one time."""


class TenantConfig(Section):
    """What holds for a tenant."""

    name: Name
    """The name."""

    models: list[str] | None = None
    """The models that it may use; null allows all."""

    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Its share beside other tenants that wait for the same replicas."""

    bands: list[Band] = Field(default=list(USUAL_BANDS), min_length=1)
    """The bands that its requests may ask for."""

    quality_floor: Effort | None = None
    """Requests with a lower effort get this one."""

    limits: TenantLimits = TenantLimits()
    """How much it may do."""

    def as_tenant(self) -> Tenant:
        """The same as a declared tenant."""
        return Tenant(
            name=self.name,
            models=_tuple(self.models),
            weight=self.weight,
            bands=tuple(self.bands),
            quality_floor=self.quality_floor,
            limits=Limits(**self.limits.model_dump()),
            declared=True,
        )


def _well_formed(key: SecretStr) -> SecretStr:
    parse_key(key.get_secret_value())
    return key


class KeyConfig(Section):
    """An API key and the tenant that it speaks for; a tenant that is not declared otherwise has the defaults.

    A key is given as the whole ``key``, or by ``id`` and ``sha256``, so that the file holds no secret.
    """

    tenant: Name
    """The tenant."""

    key: Annotated[SecretStr, AfterValidator(_well_formed)] | None = None
    """The whole key."""

    id: Annotated[str, Field(pattern=f"^{KEY_ID}$")] | None = None
    """Its public part."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The hex SHA-256 of the whole key."""

    name: str = Field(default="", max_length=64)
    """What the operator calls it."""

    scopes: list[Scope] = Field(default=list(SCOPES), min_length=1)
    """What it opens: answers (``generate``), requests that are stored or run in the background (``jobs``), the tenant's
    usage (``usage:read``).
    """

    models: list[str] | None = None
    """The tenant's models that it opens; null opens all of them."""

    expires_at: Moment | None = None
    """When it opens nothing any more, with a time zone."""

    @model_validator(mode="after")
    def _is_given_in_one_way(self) -> Self:
        if (self.id is None) != (self.sha256 is None) or (self.key is None) == (self.id is None):
            raise ValueError("a key is given as key, or as id and sha256")
        return self

    @property
    def key_id(self) -> str:
        """The public id, however the key is given."""
        return parse_key(self.key.get_secret_value()).id if self.key else self.id or ""

    def as_record(self, now: float) -> KeyRecord:
        """The same as a declared key that was made at ``now``."""
        return KeyRecord(
            id=self.key_id,
            tenant=self.tenant,
            digest=digest_of(self.key.get_secret_value()) if self.key else self.sha256 or "",
            created_at=now,
            name=self.name,
            scopes=tuple(self.scopes),
            models=_tuple(self.models),
            expires_at=None if self.expires_at is None else self.expires_at.timestamp(),
            declared=True,
        )


def refuse_ambiguity(tenants: Sequence[TenantConfig], keys: Sequence[KeyConfig]) -> None:
    """Raise :class:`ValueError` when a tenant is declared twice, or a key."""
    refuse_repetition("tenants", [tenant.name for tenant in tenants])
    refuse_repetition("keys", [key.key_id for key in keys])


def declared_of(tenants: Sequence[TenantConfig], keys: Sequence[KeyConfig], now: float) -> Declared:
    """What is declared, at ``now`` in Unix seconds. Raises :class:`ValueError` as :func:`refuse_ambiguity` does."""
    refuse_ambiguity(tenants, keys)
    named = {tenant.name: tenant.as_tenant() for tenant in tenants}
    implied = {key.tenant: TenantConfig(name=key.tenant).as_tenant() for key in keys}
    return Declared(tuple((implied | named).values()), tuple(key.as_record(now) for key in keys))


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
