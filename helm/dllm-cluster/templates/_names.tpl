{{/* Names and labels of what the release consists of. */}}

{{- define "dllm.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: KubeRay appends to it. */}}
{{- define "dllm.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = include "dllm.name" . -}}
{{- if contains $name .Release.Name -}}
{{- $name = .Release.Name -}}
{{- else -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "dllm.labels" -}}
app.kubernetes.io/name: {{ include "dllm.name" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "dllm.selectorLabels" . }}
{{- end -}}

{{/* What a pod of the release has; a component is told by app.kubernetes.io/component. They stay over upgrades. */}}
{{- define "dllm.selectorLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: {{ include "dllm.name" . }}
{{- end -}}

{{/* The address of an image: its digest goes before its tag. Takes repository, tag and digest, and the chart's version. */}}
{{- define "dllm.imageOf" -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (required (printf "%s: an image needs a tag or a digest" .repository) .tag) -}}
{{- end -}}
{{- end -}}

{{- define "dllm.image" -}}
{{- include "dllm.imageOf" (dict "repository" .Values.image.repository "tag" (default .Chart.AppVersion .Values.image.tag) "digest" .Values.image.digest) -}}
{{- end -}}

{{- define "dllm.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "dllm.podSecurityContext" -}}
{{- toYaml .Values.security.podSecurityContext -}}
{{- end -}}

{{- define "dllm.containerSecurityContext" -}}
{{- toYaml .Values.security.containerSecurityContext -}}
{{- end -}}

{{/* The names of Secrets, ours or those that are given. */}}
{{- define "dllm.adminSecret" -}}
{{- default (printf "%s-admin" (include "dllm.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{- define "dllm.valkeySecret" -}}
{{- default (printf "%s-valkey" (include "dllm.fullname" .)) .Values.valkey.existingSecret -}}
{{- end -}}

{{/* Which servers of state the chart runs: non-empty or empty. */}}
{{- define "dllm.runsState" -}}
{{- if and .Values.valkey.enabled (not .Values.externalRedis.url) -}}yes{{- end -}}
{{- end -}}

{{- define "dllm.runsGcs" -}}
{{- if and .Values.valkey.enabled .Values.gcs.faultTolerance (not .Values.gcs.externalRedis.address) -}}yes{{- end -}}
{{- end -}}
