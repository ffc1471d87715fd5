{{/* What keeps pods apart and alive while nodes go. */}}

{{- define "dllm.serviceAccountName" -}}
{{- include "dllm.fullname" . -}}
{{- end -}}

{{- define "dllm.priorityClass" -}}
{{- with .Values.disruption.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Takes root and component. The pods of one Ray cluster and group are spread, also while an upgrade runs two. */}}
{{- define "dllm.topologySpread" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- with $root.Values.disruption.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ .topologyKey }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "dllm.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
    matchLabelKeys: [ray.io/cluster, ray.io/group]
  {{- end }}
{{- end }}
{{- end -}}

{{/* Takes root, name, labels (besides those of the release) and minAvailable. A number: a share, or maxUnavailable, needs
     an owner with a scale, which a RayCluster has not, and without one no eviction at all would be allowed. */}}
{{- define "dllm.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "dllm.labels" .root | nindent 4 }}
spec:
  minAvailable: {{ .minAvailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "dllm.selectorLabels" .root | nindent 6 }}
      {{- toYaml .labels | nindent 6 }}
{{- end -}}
