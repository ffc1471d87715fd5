{{- define "dllm.monitoringLabels" -}}
{{- include "dllm.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The groups of alerts/, with the address in front of each runbook. */}}
{{- define "dllm.ruleGroups" -}}
{{- $prefix := trimSuffix "/" .Values.monitoring.runbookUrl -}}
{{- range $path, $_ := .Files.Glob "alerts/*.yaml" }}
{{- range $group := ($.Files.Get $path | fromYaml).groups }}
{{- range $rule := $group.rules }}
{{- if and $prefix $rule.annotations }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s" $prefix $rule.annotations.runbook_url) }}
{{- end }}
{{- end }}
{{ toYaml (list $group) }}
{{- end }}
{{- end }}
{{- end -}}
