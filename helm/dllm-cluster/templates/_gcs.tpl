{{/* Where the head keeps what it has to know when it comes back: a server of its own. */}}

{{- define "dllm.gcsFaultTolerance" -}}
{{- $external := .Values.gcs.externalRedis -}}
{{- if $external.address -}}
{{- if contains "@" $external.address -}}
{{- fail "gcs.externalRedis.address: it must not hold credentials; give username and existingSecret" -}}
{{- end -}}
{{- if $external.tls.existingSecret -}}
{{- if not (hasPrefix "rediss://" $external.address) -}}
{{- fail "gcs.externalRedis.tls: it needs a rediss address" -}}
{{- end -}}
{{- if ne (empty $external.tls.certKey) (empty $external.tls.keyKey) -}}
{{- fail "gcs.externalRedis.tls: certKey and keyKey go together" -}}
{{- end -}}
{{- end -}}
redisAddress: {{ $external.address }}
{{- with $external.username }}
redisUsername:
  value: {{ . }}
{{- end }}
{{- with $external.existingSecret }}
redisPassword:
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $external.passwordKey }}
{{- end }}
{{- else if .Values.valkey.enabled -}}
redisAddress: {{ include "dllm.fullname" . }}-gcs:6379
redisPassword:
  valueFrom:
    secretKeyRef:
      name: {{ include "dllm.valkeySecret" . }}
      key: gcs-password
{{- else -}}
{{- fail "gcs.faultTolerance: it needs a server: give gcs.externalRedis.address, or set valkey.enabled for an evaluation" -}}
{{- end -}}
{{- end -}}

{{/* Whether the head shows or checks certificates of our own: non-empty or empty. */}}
{{- define "dllm.gcsTls" -}}
{{- with .Values.gcs }}{{ if and .faultTolerance .externalRedis.address .externalRedis.tls.existingSecret }}yes{{ end }}{{ end -}}
{{- end -}}
