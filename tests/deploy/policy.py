"""What every manifest must keep to: pod security `restricted` and more, and names that fit together.

Returns violations in words instead of raising, so that one run names all, and a test can see each of them caught.
"""

from collections.abc import Iterator

from tests.deploy.manifests import Document, Workload, environment, matches, of_kind, workloads

_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
_CONTAINER_MUSTS = {
    ("allowPrivilegeEscalation",): False,
    ("readOnlyRootFilesystem",): True,
    ("capabilities",): {"drop": ["ALL"]},
}


def violations(built: list[Document], documented: str) -> list[str]:
    """Return what is wrong with the documents of an overlay.

    Args:
        built: the documents.
        documented: text that must name what the user has to bring: Secrets and volume claims.
    """
    found: list[str] = []
    for workload in workloads(built):
        found += [f"{workload.name}: {wrong}" for wrong in (*_pod(workload), *_volumes(workload))]
        for container in workload.containers:
            wrongs = (*_container(container), *_probes(container, workload), *_threads(container, workload))
            found += [f"{workload.name}: {container['name']}: {wrong}" for wrong in wrongs]
        wrongs = (*_references(workload, built, documented), *_companions(workload, built))
        found += [f"{workload.name}: {wrong}" for wrong in wrongs]
    return found + list(_selectors(built)) + list(_scaling(built))


def _pod(workload: Workload) -> Iterator[str]:
    pod, context = workload.pod, workload.pod.get("securityContext", {})
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token of the API server"
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(shared):
            yield f"shares the node's {shared}"
    if pod.get("shareProcessNamespace") is not True:
        yield "its process is number 1, which does not hear SIGTERM while it starts"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if not pod.get("terminationGracePeriodSeconds") and workload.runs_on:
        yield "does not say how long its end may take"
    for constraint in pod.get("topologySpreadConstraints", []):
        if not matches(constraint["labelSelector"], workload.labels):
            yield f"its spread over {constraint['topologyKey']} counts other pods"


def _volumes(workload: Workload) -> Iterator[str]:
    for volume in workload.pod.get("volumes", []):
        kind = next(key for key in volume if key != "name")
        if kind not in _VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
        if kind == "emptyDir" and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no limit"
    names = {volume["name"] for volume in workload.pod.get("volumes", [])}
    mounted = {mount["name"] for container in workload.containers for mount in container.get("volumeMounts", [])}
    yield from (f"mounts {name}, which is no volume" for name in mounted - names)


def _container(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    for (must,), value in _CONTAINER_MUSTS.items():
        if context.get(must) != value:
            yield f"securityContext.{must} is {context.get(must)!r}"
    if context.get("privileged") or context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "takes back what the pod's security context forbids"
    name, _, tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")
    if not name or tag in {"", "latest"}:
        yield f"image {container['image']} has no version"
    resources = container.get("resources", {})
    for needed in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if needed[1] not in resources.get(needed[0], {}):
            yield f"has no {needed[0]}.{needed[1]}"


def _probes(container: Document, workload: Workload) -> Iterator[str]:
    ports = {port.get("name") for port in container.get("ports", [])}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            if workload.runs_on:
                yield f"has no {probe}"
        elif container[probe]["httpGet"]["port"] not in ports:
            yield f"{probe} asks a port that the container does not have"


def _threads(container: Document, workload: Workload) -> Iterator[str]:
    if not workload.runs_on:
        return
    sources = [entry.get("valueFrom", {}) for entry in container.get("env", []) if entry["name"] == "OMP_NUM_THREADS"]
    wanted = {"containerName": container["name"], "resource": "limits.cpu"}
    if not any(
        {**source.get("resourceFieldRef", {}), "divisor": None} == {**wanted, "divisor": None} for source in sources
    ):
        yield "computes with other threads than its CPU limit"
    elif "cpu" not in container.get("resources", {}).get("limits", {}):
        yield "has no limits.cpu, which its threads follow"


def _references(workload: Workload, built: list[Document], documented: str) -> Iterator[str]:
    def there(kind: str, name: str) -> bool:
        return any(document["metadata"]["name"] == name for document in of_kind(built, kind))

    pod = workload.pod
    if not there("ServiceAccount", pod.get("serviceAccountName", "")):
        yield f"its ServiceAccount {pod.get('serviceAccountName')!r} is not there"
    if "priorityClassName" in pod and not there("PriorityClass", pod["priorityClassName"]):
        yield f"its PriorityClass {pod['priorityClassName']} is not there"
    for kind, name, optional in _named(workload):
        if there(kind, name):
            continue
        if kind == "ConfigMap" or (kind == "Secret" and not optional):
            yield f"needs {kind} {name}, which is not there"
        elif f"`{name}`" not in documented:
            yield f"{kind} {name} is not documented"


def _named(workload: Workload) -> Iterator[tuple[str, str, bool]]:
    """Give kind, name and optionality of what the pods refer to."""
    for container in workload.containers:
        for source in container.get("envFrom", []):
            yield from _source(source, "configMapRef", "secretRef")
        for entry in container.get("env", []):
            yield from _source(entry.get("valueFrom", {}), "configMapKeyRef", "secretKeyRef")
    for volume in workload.pod.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], volume["configMap"].get("optional", False)
        # A pod waits for these two, visibly: that they are documented is enough.
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], True
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], True


def _source(source: Document, config_map: str, secret: str) -> Iterator[tuple[str, str, bool]]:
    for key, kind in ((config_map, "ConfigMap"), (secret, "Secret")):
        if key in source:
            yield kind, source[key]["name"], source[key].get("optional", False)


def _companions(workload: Workload, built: list[Document]) -> Iterator[str]:
    policies = [policy["spec"] for policy in of_kind(built, "NetworkPolicy")]
    ours = [spec for spec in policies if matches(spec["podSelector"], workload.labels)]
    if not any({"Ingress", "Egress"} <= set(spec["policyTypes"]) for spec in ours):
        yield "no NetworkPolicy says whom its pods may talk to"
    for spec in ours:
        yield from (
            f"a NetworkPolicy lets everything {way}" for way in ("ingress", "egress") if _open(spec.get(way, []))
        )
    if workload.document["kind"] != "StatefulSet":
        return
    if not matches(workload.document["spec"]["selector"], workload.labels):
        yield "does not select its own pods"
    if workload.document["spec"]["serviceName"] not in {s["metadata"]["name"] for s in of_kind(built, "Service")}:
        yield "its Service is not there"
    if not any(matches(b["spec"]["selector"], workload.labels) for b in of_kind(built, "PodDisruptionBudget")):
        yield "has no PodDisruptionBudget"


def _open(rules: list[Document]) -> bool:
    """Return whether a rule leaves out whom, or on which ports."""
    return any(not (rule.get("to") or rule.get("from")) or not rule.get("ports") for rule in rules)


def _selectors(built: list[Document]) -> Iterator[str]:
    pods = list(workloads(built))
    for document in of_kind(built, "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        spec, name = document["spec"], f"{document['kind']} {document['metadata']['name']}"
        selected = [pod for pod in pods if matches(spec.get("podSelector", spec.get("selector")), pod.labels)]
        if not selected:
            yield f"{name} selects no pod"
        ports = {
            port["name"] for pod in selected for container in pod.containers for port in container.get("ports", [])
        }
        asked = [entry.get("targetPort") for entry in spec.get("ports", [])]
        asked += [entry["port"] for rule in spec.get("ingress", []) for entry in rule["ports"]]
        asked += [entry["port"] for entry in spec.get("podMetricsEndpoints", [])]
        yield from (f"{name} names port {port}, which no pod has" for port in asked if port not in ports)


def _scaling(built: list[Document]) -> Iterator[str]:
    for scaled in of_kind(built, "ScaledObject"):
        name, spec = f"ScaledObject {scaled['metadata']['name']}", scaled["spec"]
        target = spec["scaleTargetRef"]
        found = [
            workload
            for workload in workloads(built)
            if workload.document["metadata"]["name"] == target["name"]
            and (workload.document["kind"], workload.document["apiVersion"]) == (target["kind"], target["apiVersion"])
        ]
        if not found:
            yield f"{name} scales {target['kind']} {target['name']}, which is not there"
            continue
        if "replicas" in found[0].document["spec"]:
            yield f"{found[0].name}: its replicas are KEDA's to say"
        if not 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]:
            yield f"{name} lets the live stream stop"
        settings = environment(found[0].pod["containers"][0], built)
        yield from (f"{name}: {wrong}" for wrong in _trigger(spec["triggers"][0], settings, built))


def _trigger(trigger: Document, settings: dict[str, str], built: list[Document]) -> Iterator[str]:
    asked = trigger["metadata"]
    for key, variable in (
        ("bootstrapServers", "MODERATE_KAFKA__BOOTSTRAP_SERVERS"),
        ("consumerGroup", "MODERATE_KAFKA__GROUP_ID"),
        ("topic", "MODERATE_KAFKA__POSTS_TOPIC"),
    ):
        if asked.get(key) != settings.get(variable):
            yield f"{key} is {asked.get(key)!r}, the worker's {variable} {settings.get(variable)!r}"
    # Why lag that stands still counts: deploy/simulation/README.md.
    wanted = {"limitToPartitionsWithLag": "true", "excludePersistentLag": "false", "allowIdleConsumers": "false"}
    yield from (f"{key} is not {value}" for key, value in wanted.items() if asked.get(key) != value)
    if int(asked.get("activationLagThreshold", -1)) < 0 or int(asked.get("lagThreshold", 0)) < 1:
        yield "its thresholds are missing"
    known = {authentication["metadata"]["name"] for authentication in of_kind(built, "TriggerAuthentication")}
    if "authenticationRef" in trigger and trigger["authenticationRef"]["name"] not in known:
        yield f"its TriggerAuthentication {trigger['authenticationRef']['name']} is not there"
