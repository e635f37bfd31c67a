"""What of the manifests becomes a value of the chart."""

from dataclasses import dataclass, field

from deploy.helm.text import Edit

# A template: the manifest that it is made of, and the switch without which it renders nothing.
SOURCES: dict[str, tuple[str, str]] = {
    "service-account.yaml": ("base/service-account.yaml", ""),
    "service.yaml": ("base/service.yaml", ""),
    "stateful-set.yaml": ("base/stateful-set.yaml", ""),
    "disruption-budget.yaml": ("base/disruption-budget.yaml", ""),
    "network-policy.yaml": ("base/network-policy.yaml", ""),
    "scaled-object.yaml": ("overlays/keda/scaled-object.yaml", ".Values.keda.enabled"),
    "trigger-authentication.yaml": (
        "components/secured-kafka-keda/trigger-authentication.yaml",
        "and .Values.keda.enabled .Values.securedKafka.enabled",
    ),
    "topics-job.yaml": ("components/topics/job.yaml", ".Values.topics.enabled"),
    "doctor-job.yaml": ("components/doctor/job.yaml", ".Values.doctor.enabled"),
    "audit-cron-job.yaml": ("components/audit/cron-job.yaml", ".Values.audit.enabled"),
    "pod-monitor.yaml": ("components/pod-monitor/pod-monitor.yaml", ".Values.podMonitor.enabled"),
    **{
        f"serve-{name}.yaml": (f"components/serve/{name}.yaml", ".Values.serve.enabled")
        for name in ("deployment", "service", "autoscaler", "disruption-budget", "network-policy")
    },
}


@dataclass(frozen=True)
class Switch:
    """What a component adds to the pods that its labels select.

    Args:
        source: its kustomization.
        switch: the condition.
        selects: what a manifest says that is selected.
        values: what of the added becomes a value.
    """

    source: str
    switch: str
    selects: str
    values: dict[str, str] = field(default_factory=dict)


_COMPUTE = r"app.kubernetes.io/component: (live|serve)$"
PATCHES = {
    "models": Switch(
        "components/models/kustomization.yaml",
        "or .Values.models.enabled .Values.shadow.enabled",
        r"app.kubernetes.io/component: (live|serve|doctor)$",
        {"moderation-models": "{{ .Values.models.claim }}"},
    ),
    "policies": Switch("components/policies/kustomization.yaml", ".Values.policies.enabled", _COMPUTE),
    "secured-kafka": Switch(
        "components/secured-kafka/kustomization.yaml",
        ".Values.securedKafka.enabled",
        r"app.kubernetes.io/name: moderation-(worker|serve)$",
    ),
}

# Settings that a switch brings, by its condition.
SETTINGS = {
    'eq .Values.device "cpu"': "overlays/cpu/kustomization.yaml",
    'eq .Values.device "cuda"': "overlays/gpu/kustomization.yaml",
    ".Values.keda.enabled": "overlays/keda/kustomization.yaml",
    ".Values.shadow.enabled": "overlays/shadow/kustomization.yaml",
    ".Values.securedKafka.enabled": "components/secured-kafka/kustomization.yaml",
}
SETTING_VALUES = {
    "MODERATE_SHADOW__CHECKPOINT": "{{ .Values.shadow.checkpoint | quote }}",
    "MODERATE_SHADOW__SHARE": "{{ .Values.shadow.share | quote }}",
}
RESOURCES = {
    "baseResources": "base/stateful-set.yaml",
    "gpuResources": "overlays/gpu/gpu.yaml",
    "shadowResources": "overlays/shadow/shadow.yaml",
}

# A digest of a map's name would be gone with an upgrade, while pods of before still start: so it is the pods' own.
SETTINGS_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: moderation-settings
  labels:
    {{- include "moderation.labels" . | nindent 4 }}
data:
  {{- include "moderation.settings" . | nindent 2 }}
{{- if .Values.policies.enabled }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: moderation-policies
  labels:
    {{- include "moderation.labels" . | nindent 4 }}
data:
  {{- toYaml .Values.policies.files | nindent 2 }}
{{- end }}
"""
_CHECKSUMS = """\
        # A changed setting rolls the pods.
        checksum/settings: {{ include "moderation.settings" . | sha256sum }}
        {{- if .Values.policies.enabled }}
        checksum/policies: {{ toYaml .Values.policies.files | sha256sum }}
        {{- end }}
"""
_SCRAPED = '        prometheus.io/scrape: "true"\n'
_MORE_EGRESS = "\n    {{- with .Values.networkPolicy.extraEgress }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}\n"
_PROMETHEUS = (
    "kubernetes.io/metadata.name: monitoring",
    "kubernetes.io/metadata.name: {{ .Values.networkPolicy.prometheusNamespace }}",
)
_PORTS = "        - {protocol: TCP, port: 80}\n        - {protocol: TCP, port: 443}\n"
_NETWORK: list[Edit] = [_PROMETHEUS, (_PORTS, _PORTS.rstrip("\n") + _MORE_EGRESS)]

_WITHOUT_DEVICE = "settings,broker,topics,permissions,transactions,group,redis,pictures"

# Made in every template in which they fit.
EVERYWHERE: list[Edit] = [
    ("image: mm-orient-moderation:0.2.0-cpu", 'image: {{ include "moderation.image" . | quote }}'),
    ("imagePullPolicy: IfNotPresent", "imagePullPolicy: {{ .Values.image.pullPolicy }}"),
]
EDITS: dict[str, list[Edit]] = {
    "service-account.yaml": [
        (
            "automountServiceAccountToken: false\n",
            """\
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
""",
        ),
    ],
    "stateful-set.yaml": [
        (
            "  replicas: 2\n",
            "  {{- if not .Values.keda.enabled }}\n  replicas: {{ .Values.worker.replicas }}\n  {{- end }}\n",
        ),
        (_SCRAPED, _CHECKSUMS + _SCRAPED),
        (
            "      containers:\n",
            """\
      {{- with .Values.worker.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or (eq .Values.device "cuda") .Values.worker.tolerations }}
      tolerations:
        {{- if eq .Values.device "cuda" }}
        # Nodes with GPUs are kept free of what needs none.
        - key: nvidia.com/gpu
          operator: Exists
          effect: NoSchedule
        {{- end }}
        {{- with .Values.worker.tolerations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      containers:
""",
        ),
        # CUDA's libraries are gigabytes to read.
        ("failureThreshold: 50\n", 'failureThreshold: {{ ternary 100 50 (eq .Values.device "cuda") }}\n'),
        (
            """\
            requests:
              cpu: "2"
              memory: 1Gi
              ephemeral-storage: 64Mi
            limits:
              cpu: "2"
              memory: 2560Mi
              ephemeral-storage: 512Mi
""",
            '            {{- include "moderation.workerResources" . | nindent 12 }}\n',
        ),
    ],
    "network-policy.yaml": _NETWORK,
    "serve-network-policy.yaml": _NETWORK,
    "serve-deployment.yaml": [(_SCRAPED, _CHECKSUMS + _SCRAPED)],
    "serve-autoscaler.yaml": [
        ("minReplicas: 2", "minReplicas: {{ .Values.serve.minReplicas }}"),
        ("maxReplicas: 12", "maxReplicas: {{ .Values.serve.maxReplicas }}"),
    ],
    "scaled-object.yaml": [
        ("apiVersion: keda", '{{- $settings := include "moderation.settings" . | fromYaml }}\napiVersion: keda'),
        ("minReplicaCount: 2", "minReplicaCount: {{ .Values.keda.minReplicas }}"),
        ("maxReplicaCount: 24", "maxReplicaCount: {{ .Values.keda.maxReplicas }}"),
        (
            "        bootstrapServers: kafka:9092\n",
            """\
        {{- if .Values.securedKafka.enabled }}
        {{- $mechanisms := dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" }}
        {{- $known := get $mechanisms $settings.MODERATE_KAFKA__SASL_MECHANISM }}
        sasl: {{ required "keda.enabled: the ScaledObject of this chart logs in by PLAIN or SCRAM alone" $known }}
        tls: enable
        {{- end }}
        bootstrapServers: {{ $settings.MODERATE_KAFKA__BOOTSTRAP_SERVERS | quote }}
""",
        ),
        ("consumerGroup: moderate\n", "consumerGroup: {{ $settings.MODERATE_KAFKA__GROUP_ID | quote }}\n"),
        ("topic: posts\n", "topic: {{ $settings.MODERATE_KAFKA__POSTS_TOPIC | quote }}\n"),
        ('lagThreshold: "560"', "lagThreshold: {{ int64 .Values.keda.lagThreshold | quote }}"),
        (
            "    # Lag says nothing until workers",
            """\
      {{- if .Values.securedKafka.enabled }}
      authenticationRef:
        name: moderation-kafka
      {{- end }}
    {{- with .Values.keda.cpuUtilization }}
    # Lag says nothing until workers""",
        ),
        ('        value: "70"\n', "        value: {{ . | quote }}\n    {{- end }}\n"),
    ],
    "topics-job.yaml": [
        # A Job cannot be changed: each revision has its own, and Helm deletes the last one's.
        ("  name: moderation-topics\n", "  name: moderation-topics-{{ .Release.Revision }}\n"),
        (
            "--partitions=24,",
            '"--partitions={{ .Values.topics.partitions }}",',
        ),
        ("--replication-factor=3]", '"--replication-factor={{ .Values.topics.replicationFactor }}"]'),
    ],
    "doctor-job.yaml": [
        ("  name: moderation-doctor\n", "  name: moderation-doctor-{{ .Release.Revision }}\n"),
        (
            "          args: [doctor, --timeout=120]\n",
            f"""\
          args:
            - doctor
            - --timeout=120
            {{{{- if eq .Values.device "cuda" }}}}
            # It has no GPU: workers prove theirs when they start.
            - --only={_WITHOUT_DEVICE}
            {{{{- end }}}}
""",
        ),
    ],
    "audit-cron-job.yaml": [('schedule: "17 * * * *"', "schedule: {{ .Values.audit.schedule | quote }}")],
}
