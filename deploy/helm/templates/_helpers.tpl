{{- /* Labels that every object carries. The base sets the first; the others are Helm's. */ -}}
{{- define "moderation.labels" -}}
app.kubernetes.io/part-of: moderation
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "moderation.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s-%s" .Chart.AppVersion (.Values.device | default "cpu")) -}}
{{ printf "%s:%s" .Values.image.repository $tag }}
{{- end }}

{{- /* The settings as YAML: what the switches set, and over it the values' own. */ -}}
{{- define "moderation.settings" -}}
{{- $settings := include "moderation.switchedSettings" . | fromYaml -}}
{{- range $name, $value := .Values.settings -}}
{{- /* Numbers of values are floats: 1073741824 is not to become 1.073741824e+09. */ -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $value = int64 $value -}}
{{- end -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $settings $name (toString $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{- /* Resources of a worker: the device's, the shadow's and the values', one over the other. */ -}}
{{- define "moderation.workerResources" -}}
{{- $resources := include "moderation.baseResources" . | fromYaml -}}
{{- if .Values.shadow.enabled -}}
{{- $resources = mustMergeOverwrite $resources (include "moderation.shadowResources" . | fromYaml) -}}
{{- end -}}
{{- if eq .Values.device "cuda" -}}
{{- $resources = mustMergeOverwrite $resources (include "moderation.gpuResources" . | fromYaml) -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $resources (deepCopy .Values.worker.resources)) -}}
{{- end }}
