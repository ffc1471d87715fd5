{{/* Who may talk to whom. A peer list that is empty lets nobody through; left to Kubernetes it would let everybody. */}}

{{/* The pods that run Ray, as a match expression. */}}
{{- define "dllm.rayPods" -}}
{key: app.kubernetes.io/component, operator: In, values: [head, gateway, worker]}
{{- end -}}

{{/* Pods of the release as a list of peers: {root, components}. */}}
{{- define "dllm.pods" -}}
- podSelector:
    matchLabels:
      {{- include "dllm.selectorLabels" .root | nindent 6 }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ toJson .components }}
{{- end -}}

{{/* A rule: {way: from or to, peers, ports, protocols}. Without ports it holds for all of them. */}}
{{- define "dllm.rule" -}}
{{- $protocols := default (list "TCP") .protocols -}}
{{- if .peers }}
- {{ .way }}:
    {{- toYaml .peers | nindent 4 }}
  {{- with .ports }}
  ports:
    {{- range $port := . }}
    {{- range $protocols }}
    - port: {{ int $port }}
      protocol: {{ . }}
    {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A policy: {root, name, components, ingress, egress}, whose rules only add to what others let through. */}}
{{- define "dllm.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "dllm.fullname" .root }}-{{ .name }}
  labels:
    {{- include "dllm.labels" .root | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "dllm.selectorLabels" .root | nindent 6 }}
    {{- with .components }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ toJson . }}
    {{- end }}
  policyTypes: [Ingress, Egress]
  {{- with trim (default "" .ingress) }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with trim (default "" .egress) }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The ports of a Redis address, whose servers listen at 6379 if nothing else is said. Behind sentinels, which the
     address names, they do as well. */}}
{{- define "dllm.redisPorts" -}}
{{- $sentinel := contains "+sentinel://" . -}}
{{- $ports := ternary (list 6379) list $sentinel -}}
{{- $hosts := regexReplaceAll "^([a-z+]+://)?([^@/]*@)?" . "" | splitList "/" | first -}}
{{- range splitList "," $hosts -}}
{{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" -}}
{{- $ports = append $ports (default (ternary 26379 6379 $sentinel) $port | int) -}}
{{- end -}}
{{- toJson (uniq $ports) -}}
{{- end -}}

{{/* The port of an endpoint, as in host:4317 or https://host: {endpoint, default}. */}}
{{- define "dllm.endpointPort" -}}
{{- $address := regexReplaceAll "^[a-z]+://" .endpoint "" | splitList "/" | first -}}
{{- $port := regexFind ":[0-9]+$" $address | trimPrefix ":" -}}
{{- if $port -}}{{ $port }}
{{- else if hasPrefix "https://" .endpoint -}}443
{{- else if hasPrefix "http://" .endpoint -}}80
{{- else -}}{{ .default }}
{{- end -}}
{{- end -}}
