{{- /* Made by deploy/helm/generate.py from deploy/kubernetes/overlays and components: change that one. */ -}}

{{- define "moderation.switchedSettings" -}}
{{- if eq .Values.device "cpu" }}
MODERATE_DEVICE: "cpu"
{{- end }}
{{- if eq .Values.device "cuda" }}
MODERATE_DEVICE: "cuda"
{{- end }}
{{- if .Values.keda.enabled }}
MODERATE_KAFKA__LEAVE_ON_STOP: "true"
{{- end }}
{{- if .Values.shadow.enabled }}
MODERATE_SHADOW__CHECKPOINT: {{ .Values.shadow.checkpoint | quote }}
MODERATE_SHADOW__SHARE: {{ .Values.shadow.share | quote }}
{{- end }}
{{- if .Values.securedKafka.enabled }}
MODERATE_KAFKA__SECURITY_PROTOCOL: "SASL_SSL"
MODERATE_KAFKA__SASL_MECHANISM: "SCRAM-SHA-512"
MODERATE_KAFKA__SSL_CAFILE: "/kafka/ca.crt"
{{- end }}
{{- end }}
{{- define "moderation.baseResources" -}}
limits:
  cpu: '2'
  ephemeral-storage: 512Mi
  memory: 2560Mi
requests:
  cpu: '2'
  ephemeral-storage: 64Mi
  memory: 1Gi
{{- end }}
{{- define "moderation.gpuResources" -}}
limits:
  cpu: '2'
  memory: 8Gi
  nvidia.com/gpu: '1'
requests:
  cpu: '2'
  memory: 4Gi
{{- end }}
{{- define "moderation.shadowResources" -}}
limits:
  memory: 3Gi
requests:
  memory: 1536Mi
{{- end }}
