"""What is deployed fits what is built: the files for Docker and Kubernetes against the services' own settings."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.imports import form
from gateway.web import _SECONDS as LONG_CALLS
from kit import secrets
from kit.imports.values import Limits
from kit.service import KitContext, Service
from kit.settings import PREFIX, KitSettings, load

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
SERVICES = ("sales", "customer_care", "aftersales", "scoring", "gateway")
# Read by something else than a service's settings: where they come from, and the two of kit.local.provision.
BESIDE_SETTINGS = {"DEALERLOOP_SECRETS_DIR", "DEALERLOOP_SUPERUSER_URL", "DEALERLOOP_ROLE_SECRET"}
# Measured: a cell of a workbook that is being read, and a process with everything else at its height.
CELL_BYTES = 75
PROCESS_BYTES = 160 * 2**20

Document = dict[str, Any]


def dashed(service: str) -> str:
    return service.replace("_", "-")


def settings_of(service: str) -> type[KitSettings]:
    found: type[KitSettings] = importlib.import_module(f"{service}.settings").Settings
    return found


def known_names() -> set[str]:
    fields = {name for service in SERVICES for name in settings_of(service).model_fields}
    return {f"{PREFIX}{name.upper()}" for name in fields} | BESIDE_SETTINGS


@pytest.fixture(scope="module")
def compose() -> Document:
    loaded: Document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def manifests() -> dict[str, list[Document]]:
    """Every file under deploy/k8s, by its path there."""
    return {
        str(path.relative_to(K8S)): [it for it in yaml.safe_load_all(path.read_text(encoding="utf-8")) if it]
        for path in sorted(K8S.rglob("*.yaml"))
        if "made" not in path.parts
    }


def merged(base: Any, more: Any) -> Any:
    if isinstance(base, dict) and isinstance(more, dict):
        return {key: merged(base.get(key), more.get(key)) for key in base | more}
    if isinstance(base, list) and isinstance(more, list) and len(base) == len(more) == 1:
        return [merged(base[0], more[0])]
    return base if more is None else more


def pods(manifests: dict[str, list[Document]]) -> Iterator[tuple[str, Document]]:
    """Every pod with its name; what all deployments share is merged in as kustomize does."""
    shared = manifests["base/service/pod.yaml"][0]["spec"]["template"]["spec"]
    for path, documents in manifests.items():
        for document in documents:
            if path.endswith("pod.yaml") or "template" not in document.get("spec", {}):
                continue
            pod = document["spec"]["template"]["spec"]
            yield (
                f"{path}: {document['metadata']['name']}",
                (merged(shared, pod) if document["kind"] == "Deployment" else pod),
            )


def deployed(manifests: dict[str, list[Document]], service: str, half: str) -> Document:
    """The pod of one half of a service, with what the service's own folder says of it."""
    pod = dict(pods(manifests))[f"base/service/{half}.yaml: {half}"]
    [own] = manifests[f"base/{service}/kustomization.yaml"]
    for patch in own["patches"]:
        said = yaml.safe_load(patch["patch"])
        if isinstance(said, dict) and said["kind"] == "Deployment" and patch["target"].get("name") == half:
            pod = merged(pod, said["spec"]["template"]["spec"])
    return pod


def texts() -> dict[str, str]:
    paths = [ROOT / "docker-compose.yml", *(ROOT / "deploy").rglob("*")]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths if path.is_file()}


def test_every_service_runs_under_compose_with_its_own_migration_and_secrets(compose: Document) -> None:
    for service in SERVICES:
        name = dashed(service)
        entry = compose["services"][name]
        migration = compose["services"][f"migrate-{name}"]

        assert f"SERVICE={service}" in entry["build"]["args"]
        assert entry["image"] == migration["image"] == f"dealerloop/{service}:${{DEALERLOOP_TAG:-dev}}"
        assert entry["volumes"] == [f"{name}-secrets:/secrets/{service}:ro"]
        assert entry["depends_on"][f"migrate-{name}"] == {"condition": "service_completed_successfully"}
        assert migration["command"] == ["migrate"]
        assert migration["environment"] == {"DEALERLOOP_SECRETS_DIR": f"/secrets/migrations/{service}"}
        for once in ("secrets", "databases"):
            assert service in compose["services"][once]["command"]


def test_a_container_can_change_nothing_but_its_data(compose: Document) -> None:
    for name, entry in compose["services"].items():
        assert entry["read_only"] is True, name
        assert entry["cap_drop"] == ["ALL"], name
        assert entry["security_opt"] == ["no-new-privileges:true"], name
        assert "cap_add" not in entry, name
        assert "mem_limit" in entry, name
        assert "restart" in entry, name
        assert entry.get("user") != "root", name


def test_only_the_gateway_is_reached_from_outside_and_only_from_this_machine(compose: Document) -> None:
    published = {name: entry["ports"] for name, entry in compose["services"].items() if "ports" in entry}

    assert published == {"gateway": ["127.0.0.1:${DEALERLOOP_PORT:-8080}:8080"]}
    assert compose["networks"]["data"] == {"internal": True}


def test_compose_asks_for_the_first_password_in_words(compose: Document) -> None:
    asked = compose["services"]["gateway"]["environment"]["DEALERLOOP_ADMIN_PASSWORD"]

    assert asked.startswith("${DEALERLOOP_ADMIN_PASSWORD:?")
    assert "10 characters" in asked


def test_the_image_belongs_to_nobody_and_says_how_it_feels() -> None:
    text = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]

    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert re.search(r'^HEALTHCHECK .*CMD \["python", "-m", "kit\.healthcheck"\]$', final, re.MULTILINE)
    assert re.search(r"^ARG SERVICE=", final, re.MULTILINE)
    assert "--require-hashes" in text
    assert "# syntax=" not in text
    for service in SERVICES:
        assert re.search(rf"for reader in .*\b{service}\b", text), f"no folder for the secrets of {service}"


def test_no_image_is_the_latest_and_none_names_a_host() -> None:
    for path, text in texts().items():
        assert ":latest" not in text, path
    images = re.findall(r"\b(?:image|name|newName): ([\w.-]+/[\w.-]+)", "\n".join(texts().values()))
    # Anything before a slash with a dot in it would be a host; labels such as app.kubernetes.io/name are keys.
    assert not [image for image in images if "." in image.split("/")[0]]


def test_every_variable_that_is_set_is_one_that_somebody_reads() -> None:
    known = known_names() | {
        # Of compose itself.
        "DEALERLOOP_TAG",
        "DEALERLOOP_PORT",
    }

    used = {(path, name) for path, text in texts().items() for name in re.findall(r"\bDEALERLOOP_[A-Z_]+", text)}

    assert {(path, name) for path, name in used if name not in known} == set()


def bytes_of(size: str) -> int:
    """Of `512m`, `66m`, `1g`, `850MiB`, `1536Mi`: all of them count by 1024."""
    found = re.fullmatch(r"(\d+)([kmg])(i|ib)?", size, re.IGNORECASE)
    assert found, size
    return int(found[1]) << 10 * ("kmg".index(found[2].lower()) + 1)


def test_no_deployment_sets_the_clock() -> None:
    for path, text in texts().items():
        assert "CLOCK_FILE" not in text, path


def test_the_largest_list_passes_the_ingress_and_is_waited_for(manifests: dict[str, list[Document]]) -> None:
    [ingress] = (it for it in manifests["base/gateway/web.yaml"] if it["kind"] == "Ingress")
    limits = {key.rpartition("/")[2]: value for key, value in ingress["metadata"]["annotations"].items()}
    defaults = {name: field.default for name, field in settings_of("gateway").model_fields.items()}

    assert bytes_of(limits["proxy-body-size"]) >= defaults["import_max_bytes"] + form.OTHER_PARTS
    longest = max(defaults["import_upload_seconds"] + defaults["import_wait_seconds"], *LONG_CALLS.values())
    assert int(limits["proxy-read-timeout"]) > longest
    assert int(limits["proxy-send-timeout"]) > longest


def test_files_on_their_way_fit_into_the_gateway(manifests: dict[str, list[Document]], compose: Document) -> None:
    defaults = {name: field.default for name, field in settings_of("gateway").model_fields.items()}
    arriving = defaults["import_uploads"] * (defaults["import_max_bytes"] + form.OTHER_PARTS)
    [tmp] = (it for it in deployed(manifests, "gateway", "rpc")["volumes"] if it["name"] == "tmp")

    assert bytes_of(tmp["emptyDir"]["sizeLimit"]) > arriving
    # Under Docker /tmp is memory, and counts beside the process.
    assert bytes_of(compose["services"]["gateway"]["mem_limit"]) > arriving + PROCESS_BYTES


def test_the_largest_workbook_fits_into_the_memory_of_its_reader(
    manifests: dict[str, list[Document]], compose: Document
) -> None:
    needed = Limits().area * CELL_BYTES + PROCESS_BYTES

    for service in ("sales", "aftersales"):
        [container] = deployed(manifests, service, "worker")["containers"]
        assert bytes_of(container["resources"]["limits"]["memory"]) > needed, service
        assert bytes_of(compose["services"][service]["mem_limit"]) > needed, service


def test_the_broker_knows_its_limit(manifests: dict[str, list[Document]], compose: Document) -> None:
    [container] = dict(pods(manifests))["components/nats/nats.yaml: nats"]["containers"]
    environment = {it["name"]: it.get("value", "") for it in container["env"]}
    broker = compose["services"]["nats"]

    assert bytes_of(environment["GOMEMLIMIT"]) < bytes_of(container["resources"]["limits"]["memory"])
    assert bytes_of(broker["environment"]["GOMEMLIMIT"]) < bytes_of(broker["mem_limit"])


def test_kubernetes_has_every_service_under_its_name(manifests: dict[str, list[Document]]) -> None:
    assert set(map(dashed, SERVICES)) <= set(manifests["base/kustomization.yaml"][0]["resources"])
    for service in SERVICES:
        name = dashed(service)
        [own] = manifests[f"base/{name}/kustomization.yaml"]

        assert own["namePrefix"] == f"{name}-"
        assert own["labels"][0]["pairs"] == {"app.kubernetes.io/name": name}
        assert own["images"] == [{"name": "dealerloop/service", "newName": f"dealerloop/{service}"}]
        assert {f"value: {name}-secrets", f"value: {name}-migration"} <= set(
            re.findall(r"value: [\w-]+", "".join(patch["patch"] for patch in own["patches"]))
        )
    for overlay in ("dev", "production"):
        tagged = manifests[f"overlays/{overlay}/kustomization.yaml"][0]["images"]
        assert [image["name"] for image in tagged] == [f"dealerloop/{service}" for service in SERVICES]


def test_every_pod_is_restricted(manifests: dict[str, list[Document]]) -> None:
    found = dict(pods(manifests))

    assert len(found) >= 5
    for name, pod in found.items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name


def test_what_runs_for_long_is_probed(manifests: dict[str, list[Document]]) -> None:
    for name, pod in pods(manifests):
        if "restartPolicy" not in pod:
            for container in pod["containers"]:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), name


def test_nothing_speaks_with_anything_unless_a_rule_says_so(manifests: dict[str, list[Document]]) -> None:
    policies = {it["metadata"]["name"]: it["spec"] for it in manifests["base/network.yaml"]}

    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {f"answer-as-{dashed(service)}" for service in SERVICES} <= set(policies)


def test_the_secrets_that_pods_name_are_made(manifests: dict[str, list[Document]], tmp_path: Path) -> None:
    generated = manifests["secrets/kustomization.yaml"][0]["secretGenerator"]
    secrets.create(tmp_path / "made", SERVICES, postgres="postgres-rw:5432", nats="nats:4222")

    for one in generated:
        for file in one["files"]:
            assert (tmp_path / file).is_file(), file
    named = {f"{dashed(service)}-{kind}" for service in SERVICES for kind in ("secrets", "migration")}
    named |= {"postgres-superuser", "postgres-roles", "nats-authorization"}
    assert {one["name"] for one in generated} == named
    assert "deploy/k8s/secrets/made/" in (ROOT / ".gitignore").read_text().split()


async def test_workers_are_scaled_on_readers_that_there_are(
    manifests: dict[str, list[Document]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.create(tmp_path, SERVICES, postgres="127.0.0.1:1", nats="127.0.0.1:1")
    for service in SERVICES:
        monkeypatch.setenv(f"{PREFIX}{service.upper()}_TARGET", "127.0.0.1:1")
    read = set()
    for service in SERVICES:
        monkeypatch.setenv("DEALERLOOP_SECRETS_DIR", str(tmp_path / service))
        monkeypatch.setenv("DEALERLOOP_KEYS_DIR", str(tmp_path / service))
        # Nothing connects before the first call.
        context = await KitContext.open(load(settings_of(service)), service)
        built: Service = importlib.import_module(f"{service}.app").build(context)
        read |= {(f"{dashed(service)}-worker", it.stream, f"{service}-{it.name}") for it in built.subscriptions}
        await context.close()

    scaled = {
        (it["spec"]["scaleTargetRef"]["name"], trigger["metadata"]["stream"], trigger["metadata"]["consumer"])
        for it in manifests["components/scaling-on-lag/scaled.yaml"]
        for trigger in it["spec"]["triggers"]
    }

    # Stores and their people change, and wrong numbers are found, so rarely that nobody waits for it.
    rare = ("-stores", "-staff", "sales-corrections")
    assert scaled == {it for it in read if not it[2].endswith(rare)}
