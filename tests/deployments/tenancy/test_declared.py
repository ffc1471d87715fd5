from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.document import ConfigError
from deployments.tenancy.declared import KeyConfig, TenantConfig, TenantLimits, declared_of
from deployments.tenancy.file import TenancyFile, load_declared
from deployments.tenancy.keys import digest_of, make_key, parse_key
from deployments.tenancy.tenant import SCOPES, KeyRecord, Limits, Tenant

NOW = 1_700_000_000.0
KEY, OTHER = make_key("live", lambda count: b"\1" * count), make_key("live", lambda count: b"\2" * count)
ID, DIGEST = parse_key(KEY).id, digest_of(KEY)
MISTYPED = KEY[:-1] + ("x" if KEY[-1] != "x" else "y")

REFUSED = {
    "tenants: [{name: a, limits: {work_per_minute: 100000000001}}]": "tenants.0.limits.work_per_minute: ",
    "tenants: [{name: a, limits: {work_per_month: 9007199254740993}}]": "tenants.0.limits.work_per_month: ",
    "keys: [{tenant: a, key: hushhushhushhush}]": "keys.0.key: expected a key of the form dllm_",
    f"keys: [{{tenant: a, key: {MISTYPED}}}]": "keys.0.key: the checksum of the key is wrong",
    f"keys: [{{tenant: a, key: {KEY}, id: {ID}, sha256: {DIGEST}}}]": "keys.0: a key is given as key, or as id and",
    f"keys: [{{tenant: a, id: {ID}}}]": "keys.0: a key is given as key, or as id and sha256",
    f"keys: [{{tenant: a, sha256: {DIGEST}}}]": "keys.0: a key is given as key, or as id and sha256",
    "keys: [{tenant: a}]": "keys.0: a key is given as key, or as id and sha256",
    f"keys: [{{tenant: a, id: short, sha256: {DIGEST}}}]": "keys.0.id: ",
    f"keys: [{{tenant: a, id: {ID}, sha256: ABC}}]": "keys.0.sha256: ",
    f"keys: [{{tenant: a, key: {KEY}, scopes: [admin]}}]": "keys.0.scopes.0: ",
    f"keys: [{{tenant: a, key: {KEY}, scopes: []}}]": "keys.0.scopes: ",
    f"keys: [{{tenant: a, key: {KEY}, expires_at: 2027-01-01 10:00:00}}]": "keys.0.expires_at: Input should have",
    f"keys: [{{tenant: a, key: {KEY}, expires_at: 2027-01-01}}]": "keys.0.expires_at: ",
    f"keys: [{{tenant: a, key: {KEY}, expires_at: 1800000000}}]": "keys.0.expires_at: ",
    f"keys: [{{tenant: a, key: {KEY}}}, {{tenant: b, id: {ID}, sha256: {DIGEST}}}]": f"keys: {ID} is given more than",
    f"keys: [{{tenant: a b, key: {KEY}}}]": "keys.0.tenant: ",
    f"keys: [{{tenant: a, key: {KEY}, kee: 1}}]": "keys.0.kee: unknown key",
    "tenants: [{name: a}, {name: a}]": "tenants: a is given more than once",
    "tenants: [{name: a, limits: {queued: 0}}]": "tenants.0.limits.queued: ",
    "tenants: [{name: a, weight: 0}]": "tenants.0.weight: ",
    "tenants: [{name: a, bands: [urgent]}]": "tenants.0.bands.0: ",
    "models: []": "models: unknown key",
    "tenants: []\ntenants: []": "tenants: given twice",
}


def written(directory: Path, text: str) -> Path:
    path = directory / "tenancy.yaml"
    path.write_text(text)
    return path


def test_a_file_names_tenants_and_keys(tmp_path: Path) -> None:
    text = f"""
tenants:
- {{name: acme, models: [tiny], weight: 3, bands: [interactive, default], quality_floor: low,
  limits: {{concurrency: 4}}}}
keys:
- {{tenant: acme, key: {KEY}, name: ci, scopes: [generate], models: [tiny], expires_at: 2027-01-01T12:00:00+02:00}}
- {{tenant: bravo, id: {parse_key(OTHER).id}, sha256: {digest_of(OTHER)}}}
"""
    found = load_declared(written(tmp_path, text))
    declared = declared_of(found.tenants, found.keys, NOW)
    assert {tenant.name: tenant for tenant in declared.tenants} == {
        "acme": Tenant(
            "acme",
            models=("tiny",),
            weight=3.0,
            bands=("interactive", "default"),
            quality_floor="low",
            limits=Limits(concurrency=4),
            declared=True,
        ),
        "bravo": Tenant("bravo", declared=True),
    }
    expires_at = datetime(2027, 1, 1, 10, tzinfo=UTC).timestamp()
    assert declared.keys == (
        KeyRecord(
            ID,
            "acme",
            DIGEST,
            NOW,
            name="ci",
            scopes=("generate",),
            models=("tiny",),
            expires_at=expires_at,
            declared=True,
        ),
        KeyRecord(parse_key(OTHER).id, "bravo", digest_of(OTHER), NOW, scopes=SCOPES, declared=True),
    )


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_a_bad_file_is_refused_with_the_path_of_the_key_and_without_a_secret(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_declared(written(tmp_path, text))
    assert reason in str(refusal.value)
    assert not any(secret in str(refusal.value) for secret in ("hush", KEY, MISTYPED, DIGEST))


def test_a_file_that_is_absent_is_named_and_an_empty_one_declares_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file"):
        load_declared(tmp_path / "absent.yaml")
    assert load_declared(written(tmp_path, "")) == TenancyFile()


def test_the_whole_key_and_its_digest_declare_the_same() -> None:
    whole = KeyConfig(tenant="a", key=SecretStr(KEY))
    assert whole.as_record(NOW) == KeyConfig(tenant="a", id=ID, sha256=DIGEST).as_record(NOW)
    assert KEY not in repr(whole)


def test_the_defaults_are_those_of_a_tenant_that_is_not_configured() -> None:
    assert TenantConfig(name="a").as_tenant() == Tenant("a", declared=True)
    assert TenantLimits().model_dump() == {name: getattr(Limits(), name) for name in Limits.__slots__}


def test_what_comes_from_two_files_is_still_unique() -> None:
    keys = [KeyConfig(tenant="a", key=SecretStr(KEY))]
    with pytest.raises(ValueError, match=f"keys: {ID} is given more than once"):
        declared_of([], keys * 2, NOW)
    with pytest.raises(ValueError, match="tenants: a is given more than once"):
        declared_of([TenantConfig(name="a")] * 2, keys, NOW)
