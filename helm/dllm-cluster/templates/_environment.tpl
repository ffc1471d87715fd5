{{/* The environment of every Ray container, as cluster/environment.py has it. By NODE_NAME a replica finds the figures of
     its device among those of a DCGM exporter. */}}

{{- define "dllm.environment" -}}
{{- $config := include "dllm.config" . | fromYaml -}}
{{- $bytes := dig "http" "max_body_bytes" 1048576 $config | int64 -}}
{{- $own := dict
  "RAY_USAGE_STATS_ENABLED" "0"
  "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S" "1"
  "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S" "3"
  "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH" "deployments.gateway.proxy:layers"
  "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE" (mul 4 $bytes | toString)
  "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH" (mul 8 $bytes | toString)
  "MALLOC_ARENA_MAX" "2"
  "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S" (.Values.ray.drainSeconds | int | toString)
  "DLLM_TRACES" (dig "telemetry" "traces" dict $config | toJson)
  "HOME" "/tmp" -}}
{{- $serving := dig "ray" "serving" "default" $config -}}
{{- if eq $serving "throughput" -}}
{{- $own = merge $own (dict "RAY_SERVE_THROUGHPUT_OPTIMIZED" "1" "RAY_SERVE_ENABLE_DIRECT_INGRESS" "0") -}}
{{- else if eq $serving "haproxy" -}}
{{- $own = merge $own (dict
  "RAY_SERVE_THROUGHPUT_OPTIMIZED" "1"
  "RAY_SERVE_ENABLE_HA_PROXY" "1"
  "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S" "1") -}}
{{- end -}}
{{- if .Values.weights.hub.enabled -}}
{{- $_ := set $own "HF_HOME" "/var/cache/dllm/hub" -}}
{{- if .Values.weights.hub.existingSecret }}{{ $_ := set $own "HF_TOKEN_PATH" "/etc/dllm/hub/token" }}{{ end -}}
{{- end -}}
{{- if include "dllm.gcsTls" . -}}
{{- with .Values.gcs.externalRedis.tls -}}
{{- if .caKey }}{{ $_ := set $own "RAY_REDIS_CA_CERT" "/etc/dllm/gcs-tls/ca.crt" }}{{ end -}}
{{- if .certKey -}}
{{- $_ := set $own "RAY_REDIS_CLIENT_CERT" "/etc/dllm/gcs-tls/tls.crt" -}}
{{- $_ := set $own "RAY_REDIS_CLIENT_KEY" "/etc/dllm/gcs-tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $own }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- range $name, $value := .Values.ray.environment }}
{{- if or (hasKey $own $name) (eq $name "NODE_NAME") (hasPrefix "RAY_AUTH" $name) }}
{{- fail (printf "ray.environment.%s: it is the chart's to say" $name) }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* From the end of a pod's endpoint to its SIGKILL. Serve gives a replica SHUTDOWN_SECONDS of deployments/app.py to end. */}}
{{- define "dllm.gracePeriod" -}}
{{- with .Values.ray }}{{ add (int .preStopSeconds) (int .drainSeconds) 5 (int .marginSeconds) }}{{ end -}}
{{- end -}}
